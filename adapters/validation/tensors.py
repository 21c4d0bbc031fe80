"""Tensors by name and shape: which factor (A or B) of which of the base's layers each one is."""

import re
from collections import defaultdict
from dataclasses import dataclass

from adapters.validation.config import Settings
from adapters.validation.findings import Findings
from adapters.validation.header import Header, Tensor
from adapters.validation.shapes import LAYER, BaseShape, in_any_layer

LORA = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
WITHOUT_PREFIX = re.compile(r"(?P<module>.+)\.lora_[AB]\.weight")
WITH_INFIX = re.compile(r"(?P<head>.+\.lora_[AB])\.[^.]+\.weight")
BIAS = re.compile(r".+\.lora_[AB](\.[^.]+)?\.bias")
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "wpe", "word_embeddings", "embed_in", "embed_out")
DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Factor:
    """One tensor known to fit: A is (rank, input width), B is (output width, rank)."""

    tensor: Tensor
    module: str
    side: str  # "A" or "B"
    scale: float | None  # what B·A is multiplied with; None when the config does not say


def identify_factors(
    content: Header, *, base: BaseShape, settings: Settings, max_rank: int, findings: Findings
) -> list[Factor]:
    """Return the tensors that fit the base and the config, in their order; the rest goes to `findings`."""
    factors: list[Factor] = []
    sides: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for tensor in content.tensors:
        match = LORA.fullmatch(tensor.name)
        if match is None or match["module"] not in base.modules:
            _note_stranger(tensor.name, match["module"] if match else None, base=base, findings=findings)
            continue
        sides[match["module"]][match["side"]] = tensor.name
        factor = Factor(tensor, match["module"], match["side"], settings.scale_of(match["module"]))
        if _fits(factor, base=base, settings=settings, findings=findings) and _rank(factor) <= max_rank:
            factors.append(factor)
    for found in sides.values():
        if len(found) == 1 and content.is_sound:  # else the partner may be among the malformed
            ((side, name),) = found.items()
            findings.add("pair_incomplete", tensor=name, side="B" if side == "A" else "A")
    return factors


def _note_stranger(name: str, module: str | None, *, base: BaseShape, findings: Findings) -> None:
    """Note why a tensor's name means nothing to engines, as precisely as the name shows it."""
    if "lora_embedding_" in name or (module or "").rsplit(".", 1)[-1] in EMBEDDINGS:
        findings.add("tensor_embedding", tensor=name)
    elif module is not None:
        _note_module(name, module, base=base, findings=findings)
    elif "lora_magnitude_vector" in name:
        findings.add("tensor_dora", tensor=name)
    elif infix := WITH_INFIX.fullmatch(name):
        findings.add("name_infix", tensor=name, right=f"{infix['head']}.weight")
    elif BIAS.fullmatch(name):
        findings.add("tensor_bias", tensor=name)
    elif WITHOUT_PREFIX.fullmatch(name):
        findings.add("name_prefix", tensor=name, right=f"base_model.model.{name}")
    elif "modules_to_save" in name or _owner(name) in base.modules:
        findings.add("tensor_full", tensor=name)
    else:
        findings.add("name_unknown", tensor=name)


def _note_module(name: str, module: str, *, base: BaseShape, findings: Findings) -> None:
    layer = LAYER.search(module)
    if layer and in_any_layer(module) in base.names_in_any_layer:
        last = base.last_layer
        findings.add("layer_not_in_base", tensor=name, layer=layer[1], last=last, base=base.name)
    else:
        has = ", ".join(base.kinds)
        findings.add("module_not_in_base", tensor=name, module=module, base=base.name, has=has)


def _owner(name: str) -> str:
    """Return the module that a whole weight or bias of a base belongs to."""
    return name.removeprefix("base_model.model.").rsplit(".", 1)[0].removesuffix(".base_layer")


def _fits(factor: Factor, *, base: BaseShape, settings: Settings, findings: Findings) -> bool:
    """True when a tensor's type and shape are right and the config trains its module."""
    before, tensor = findings.count, factor.tensor
    if tensor.dtype not in DTYPES:
        findings.add("dtype", tensor=tensor.name, dtype=tensor.dtype)
    if excluding := settings.exclusion_of(factor.module):
        findings.add("module_not_targeted", tensor=tensor.name, module=factor.module, field=excluding)
    linear, rank = base.modules[factor.module], settings.rank_of(factor.module)
    width = linear.columns if factor.side == "A" else linear.rows
    if len(tensor.shape) != 2 or _width(factor) != width or 0 in tensor.shape:
        shown = rank or "rank"
        expected = f"[{shown}, {width}]" if factor.side == "A" else f"[{width}, {shown}]"
        actual = list(tensor.shape)
        findings.add("shape", tensor=tensor.name, actual=actual, expected=expected, base=base.name)
    elif rank is not None and _rank(factor) != rank:
        findings.add("rank_mismatch", tensor=tensor.name, actual=_rank(factor), expected=rank)
    return findings.count == before


def _rank(factor: Factor) -> int:
    return factor.tensor.shape[0 if factor.side == "A" else 1]


def _width(factor: Factor) -> int:
    return factor.tensor.shape[1 if factor.side == "A" else 0]
