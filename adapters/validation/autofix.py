"""Plan automatic fixes: what can be changed in an adapter without guessing and without changing what it does.

`adapters.uploads.sessions` and docs/adapters.md explain the codes to people. A fix is planned only if
names, shapes and config are valid afterwards, so that none leads to the next rejection.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.validation.config import Settings, last_part, names_in, read_config
from adapters.validation.findings import Findings
from adapters.validation.header import ITEM_BYTES, LENGTH_BYTES, Header, Tensor, read_header
from adapters.validation.limits import WEIGHTS_LIMIT
from adapters.validation.shapes import BaseShape, last_name, split
from adapters.validation.sources import Source
from adapters.validation.strict_json import DuplicateKey, NotJson, load
from adapters.validation.tensors import DTYPES, Factor, identify_factors
from adapters.validation.weights import TYPES, HashingReader, read_rows

# Correct fields of a config that are written otherwise than they are meant.
#
# Each function in FIELDS returns the right value of a field; what is not certain stays as it is.

NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
SWITCHES = {"true": True, "1": True, "false": False, "0": False, "none": False}
REQUIRED = {"peft_type", "r", "target_modules"}  # other fields may be absent


@dataclass(frozen=True)
class TensorFacts:
    """What the tensors show of an adapter, and the name of the base that is served."""

    ranks: Set[int]
    modules: Set[str]
    base: str


def correct_config(config_bytes: bytes, shown: TensorFacts) -> tuple[dict[str, Any], bytes]:
    """Return the fields to be corrected with their right values, and the config's bytes with these."""
    try:
        config = load(config_bytes)
    except (NotJson, DuplicateKey):
        return {}, config_bytes
    if not isinstance(config, dict):
        return {}, config_bytes
    corrections = _find_corrections(config, shown)
    if corrections:
        config_bytes = json.dumps(config | corrections, indent=2).encode()
    return corrections, config_bytes


def _find_corrections(config: dict[str, Any], shown: TensorFacts) -> dict[str, Any]:
    corrections = {}
    for field, correct in FIELDS.items():
        if field in config or field in REQUIRED:
            value = config.get(field)
            corrected = correct(value, shown)
            if type(corrected) is not type(value) or corrected != value:
                corrections[field] = corrected
    return corrections


def _correct_peft_type(value: Any, shown: TensorFacts) -> Any:
    return "LORA" if value is None or str(value).upper() == "LORA" else value


def _correct_rank(value: Any, shown: TensorFacts) -> Any:
    if value is None and len(shown.ranks) == 1:
        return next(iter(shown.ranks))
    number = _correct_number(value, shown)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _correct_number(value: Any, shown: TensorFacts) -> Any:
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _correct_targets(value: Any, shown: TensorFacts) -> Any:
    is_expression = isinstance(value, str) and value
    if is_expression or names_in(value):
        return value
    return sorted({last_name(module) for module in shown.modules})


def _correct_base_name(value: Any, shown: TensorFacts) -> Any:
    """Correct case and punctuation only: a name with other letters or numbers may be another model."""
    served = last_part(shown.base)
    trained = last_part(str(value))
    is_valid = split(trained)[0].lower() == split(served)[0].lower()
    if is_valid or _letters_and_numbers(trained) != _letters_and_numbers(served):
        return value
    return shown.base


def _letters_and_numbers(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", name.lower())


FIELDS: dict[str, Callable[[Any, TensorFacts], Any]] = {
    "peft_type": _correct_peft_type,
    "r": _correct_rank,
    "lora_alpha": _correct_number,
    "use_rslora": lambda value, shown: SWITCHES.get(str(value).lower(), value),
    "target_modules": _correct_targets,
    "bias": lambda value, shown: value or "none",
    "base_model_name_or_path": _correct_base_name,
}


FACTOR = re.compile(r"(?P<path>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight")
WRAPPERS = {"base_model", "model", "module", "_orig_mod"}  # what libraries put before a module's own name
HEADER_ALIGNMENT_BYTES = 8
DTYPES_IN_16_BITS = ("F16", "BF16")


@dataclass(frozen=True)
class Change:
    """One tensor in the old file, and in the new one."""

    before: Tensor
    after: Tensor  # its start is counted from behind the header

    @property
    def added_bytes(self) -> int:
        """The length of the rows that it has more than before."""
        added_rows = self.after.shape[0] - self.before.shape[0]
        return added_rows * self.after.shape[1] * ITEM_BYTES[self.after.dtype]


@dataclass(frozen=True)
class Autofix:
    """What becomes of an adapter: its new config, and its tensors in the order of the file."""

    codes: tuple[str, ...]
    config_bytes: bytes
    changes: tuple[Change, ...]

    @property
    def weights_bytes(self) -> int:
        """The length of the new safetensors file."""
        return len(_write_header(self.changes)) + sum(change.after.length for change in self.changes)

    def weights(self, source: Source) -> Iterator[bytes]:
        """Yield the new safetensors file while the old one is read once. Raises what the source raises."""
        yield _write_header(self.changes)
        reader = HashingReader(source)
        for change in self.changes:
            reader.skip_to(change.before.start)
            for chunk in read_rows(reader, change.before):
                yield _convert_rows(chunk, change.after)
            yield bytes(change.added_bytes)


def plan_autofix(
    config_bytes: bytes,
    source: Source,
    base: BaseShape,
    max_rank: int,
    stated_quantisation: str = "",
) -> Autofix | None:
    """Return how an adapter can be fixed, or None. Takes and raises what `validate_adapter` does."""
    identified = _identify_tensors(read_header(source, Findings()), base)
    if not identified:
        return None
    ranks = {one.rank for one in identified}
    modules = {one.module for one in identified}
    corrections, config_bytes = correct_config(config_bytes, TensorFacts(ranks, modules, base.name))
    findings = Findings()
    settings = read_config(
        config_bytes, base=base, max_rank=max_rank, stated_quantisation=stated_quantisation, findings=findings
    )

    def plan(kept_dtypes: Sequence[str]) -> Autofix:
        changes = _plan_changes(identified, settings, kept_dtypes)
        return Autofix((*_codes_of(changes), *corrections), config_bytes, changes)

    fix = plan(DTYPES)
    if max(source.size, fix.weights_bytes) > WEIGHTS_LIMIT:
        fix = plan(DTYPES_IN_16_BITS)
    # The fix is offered only where nothing is wrong with the adapter afterwards.
    fixed = Header(tuple(change.after for change in fix.changes), is_sound=True)
    identify_factors(fixed, base=base, settings=settings, max_rank=max_rank, findings=findings)
    if findings.count or not fix.codes or fix.weights_bytes > WEIGHTS_LIMIT:
        return None
    return fix


def _identify_tensors(content: Header, base: BaseShape) -> list[Factor]:
    """Return all tensors in their order, or none if it is not certain of any which factor it is."""
    modules = {_without_wrappers(module): module for module in base.modules}
    if not content.is_sound or len(modules) != len(base.modules):
        return []
    identified: list[Factor] = []
    seen: set[tuple[str, str]] = set()
    for tensor in content.tensors:
        match = FACTOR.fullmatch(tensor.name)
        module = modules.get(_without_wrappers(match["path"])) if match else None
        if match is None or module is None or not _is_matrix(tensor):
            return []
        if (module, match["side"]) in seen:
            return []
        seen.add((module, match["side"]))
        identified.append(Factor(tensor, module, match["side"]))
    return identified


def _without_wrappers(path: str) -> str:
    """Return a module's name without what libraries put before it, such as base_model.model."""
    names = path.split(".")
    while names and names[0] in WRAPPERS:
        names.pop(0)
    return ".".join(names)


def _is_matrix(tensor: Tensor) -> bool:
    return tensor.dtype in TYPES and len(tensor.shape) == 2 and 0 not in tensor.shape


def _plan_changes(
    identified: Sequence[Factor], settings: Settings, kept_dtypes: Sequence[str]
) -> tuple[Change, ...]:
    """Return what becomes of each tensor; types that are not kept become BF16."""
    ranks: defaultdict[str, set[int]] = defaultdict(set)
    for one in identified:
        ranks[one.module].add(one.rank)
    changes = []
    position = 0
    for one in identified:
        rank = one.rank
        # Zeros fill up to the config's rank, unless the factors don't fit each other: that would be a guess.
        if len(ranks[one.module]) == 1:
            rank = max(rank, settings.rank_of(one.module) or 0)
        dtype = one.tensor.dtype if one.tensor.dtype in kept_dtypes else "BF16"
        after = _changed_tensor(one, rank, dtype=dtype, start=position)
        changes.append(Change(one.tensor, after))
        position = after.end
    return tuple(changes)


def _changed_tensor(one: Factor, rank: int, *, dtype: str, start: int) -> Tensor:
    height, width = one.tensor.shape
    shape = (rank, width) if one.side == "A" else (height, rank)
    name = f"base_model.model.{one.module}.lora_{one.side}.weight"
    return Tensor(name, dtype, shape, start, shape[0] * shape[1] * ITEM_BYTES[dtype])


def _codes_of(changes: Iterable[Change]) -> list[str]:
    codes = dict.fromkeys(("names", "precision", "ranks"), False)
    for change in changes:
        codes["names"] |= change.before.name != change.after.name
        codes["precision"] |= change.before.dtype != change.after.dtype
        codes["ranks"] |= change.before.shape != change.after.shape
    return [code for code, is_needed in codes.items() if is_needed]


def _write_header(changes: Iterable[Change]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for change in changes:
        tensor = change.after
        offsets = (tensor.start, tensor.end)
        entries[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": offsets}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _convert_rows(chunk: NDArray[np.generic], after: Tensor) -> bytes:
    """Return some rows of a tensor in its new type, filled up with zeros to its new width."""
    with np.errstate(all="ignore"):  # what overflows is found by the check that follows
        values = chunk.astype(TYPES[after.dtype])
    added_columns = after.shape[1] - values.shape[1]
    return np.pad(values, ((0, 0), (0, added_columns))).tobytes()
