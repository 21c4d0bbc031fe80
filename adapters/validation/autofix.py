"""Mending: what can be changed in an adapter without guessing and without changing what it does.

Its codes are explained to people in `adapters.uploads.conversions` and in docs/adapters.md. A fix is planned
only if names, shapes and config are in order afterwards, so that none leads into the next rejection.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile

import numpy as np
from numpy.typing import NDArray

from adapters.validation import config as configs
from adapters.validation import header
from adapters.validation import tensors as factors
from adapters.validation.config import Settings
from adapters.validation.config_autofix import TensorFacts, corrected_config
from adapters.validation.findings import Findings
from adapters.validation.header import ITEM_BYTES, Header, Tensor
from adapters.validation.limits import WEIGHTS_LIMIT
from adapters.validation.shapes import BaseShape
from adapters.validation.sources import Source
from adapters.validation.weights import TYPES, Stream, rows

FACTOR = re.compile(r"(?P<path>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight")
WRAPPERS = {"base_model", "model", "module", "_orig_mod"}  # what libraries put before a module's own name
ALIGNMENT = 8  # bytes, of the header
IN_16_BITS = ("F16", "BF16")


@dataclass(frozen=True)
class IdentifiedTensor:
    """A tensor whose name shows for certain which factor of which of the base's layers it is."""

    tensor: Tensor
    module: str
    side: str  # "A" or "B"

    @property
    def rank(self) -> int:
        return self.tensor.shape[0 if self.side == "A" else 1]


@dataclass(frozen=True)
class Change:
    """One tensor in the old file, and in the new one."""

    before: Tensor
    after: Tensor  # its start is counted from behind the header

    @property
    def added_bytes(self) -> int:
        """Return the length of the rows that it has more than before."""
        added = self.after.shape[0] - self.before.shape[0]
        return added * self.after.shape[1] * ITEM_BYTES[self.after.dtype]


@dataclass(frozen=True)
class Autofix:
    """What becomes of an adapter: its new config, and its tensors in the order of the file."""

    codes: tuple[str, ...]
    config_bytes: bytes
    changes: tuple[Change, ...]

    def weights(self, source: Source) -> Iterator[bytes]:
        """Yield the new safetensors file while the old one is read once. Raises what the source raises."""
        yield _header(change.after for change in self.changes)
        stream = Stream(source)
        for change in self.changes:
            stream.skip_to(change.before.start)
            for chunk in rows(stream, change.before):
                yield _changed(chunk, change.after)
            yield bytes(change.added_bytes)


def plan_autofix(
    config_bytes: bytes,
    source: Source,
    base: BaseShape,
    max_rank: int,
    stated_quantisation: str = "",
) -> Autofix | None:
    """Return how an adapter can be mended, or None. Takes and raises what `examine` does."""
    known = _known(header.read_header(source, Findings()), base)
    if not known:
        return None
    shown = TensorFacts({one.rank for one in known}, {one.module for one in known}, base.name)
    corrections, config_bytes = corrected_config(config_bytes, shown)
    findings = Findings()
    settings = configs.read_config(
        config_bytes, base=base, max_rank=max_rank, stated_quantisation=stated_quantisation, findings=findings
    )
    changes = _changes(known, settings, kept=factors.DTYPES)
    if max(source.size, _size(changes)) > WEIGHTS_LIMIT:
        changes = _changes(known, settings, kept=IN_16_BITS)
    content = Header(tuple(change.after for change in changes), is_sound=True)
    factors.identify_factors(content, base=base, settings=settings, max_rank=max_rank, findings=findings)
    codes = (*_codes(changes), *corrections)
    is_small = _size(changes) <= WEIGHTS_LIMIT
    return Autofix(codes, config_bytes, changes) if codes and is_small and not findings.count else None


def _known(content: Header, base: BaseShape) -> list[IdentifiedTensor]:
    """Return all tensors in their order, or none if any is not certain."""
    modules = {_core(module): module for module in base.modules}
    known: dict[tuple[str, str], IdentifiedTensor] = {}
    for tensor in content.tensors:
        match = FACTOR.fullmatch(tensor.name)
        module = modules.get(_core(match["path"])) if match else None
        if match is None or module is None or not _is_matrix(tensor):
            return []
        known[module, match["side"]] = IdentifiedTensor(tensor, module, match["side"])
    is_certain = content.is_sound and len(known) == len(content.tensors) and len(modules) == len(base.modules)
    return list(known.values()) if is_certain else []


def _core(path: str) -> str:
    """Return a module's name without what libraries put before it, such as base_model.model."""
    return ".".join(dropwhile(WRAPPERS.__contains__, path.split(".")))


def _is_matrix(tensor: Tensor) -> bool:
    return tensor.dtype in TYPES and len(tensor.shape) == 2 and 0 not in tensor.shape


def _changes(
    known: Sequence[IdentifiedTensor], settings: Settings, *, kept: Sequence[str]
) -> tuple[Change, ...]:
    """Return what becomes of each tensor; types that are not `kept` become BF16."""
    ranks: defaultdict[str, set[int]] = defaultdict(set)
    for one in known:
        ranks[one.module].add(one.rank)
    changes, position = [], 0
    for one in known:
        agree = len(ranks[one.module]) == 1  # zeros beside factors that don't fit each other would be a guess
        rank = max(one.rank, settings.rank_of(one.module) or 0) if agree else one.rank
        dtype = one.tensor.dtype if one.tensor.dtype in kept else "BF16"
        after = _after(one, rank, dtype=dtype, start=position)
        changes.append(Change(one.tensor, after))
        position = after.end
    return tuple(changes)


def _after(one: IdentifiedTensor, rank: int, *, dtype: str, start: int) -> Tensor:
    before = one.tensor
    shape = (rank, before.shape[1]) if one.side == "A" else (before.shape[0], rank)
    name = f"base_model.model.{one.module}.lora_{one.side}.weight"
    return Tensor(name, dtype, shape, start, shape[0] * shape[1] * ITEM_BYTES[dtype])


def _codes(changes: Iterable[Change]) -> list[str]:
    pairs = [(change.before, change.after) for change in changes]
    found = {
        "names": any(before.name != after.name for before, after in pairs),
        "precision": any(before.dtype != after.dtype for before, after in pairs),
        "ranks": any(before.shape != after.shape for before, after in pairs),
    }
    return [code for code, is_changed in found.items() if is_changed]


def _size(changes: Sequence[Change]) -> int:
    """Return the length in bytes of the new file."""
    return len(_header(change.after for change in changes)) + sum(change.after.length for change in changes)


def _header(tensors: Iterable[Tensor]) -> bytes:
    entries = {
        tensor.name: {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": (tensor.start, tensor.end),
        }
        for tensor in tensors
    }
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(header.LENGTH_BYTES, "little") + text


def _changed(chunk: NDArray[np.generic], after: Tensor) -> bytes:
    """Return some rows of a tensor in its new type, filled up with zeros to its new width."""
    with np.errstate(all="ignore"):  # what overflows is found by the check that follows
        values = chunk.astype(TYPES[after.dtype])
    return np.pad(values, ((0, 0), (0, after.shape[1] - values.shape[1]))).tobytes()
