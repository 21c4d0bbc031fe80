"""Identify tensors by name and shape: which factor (A or B) of which of the base's layers each one is."""

import re
from collections import defaultdict
from dataclasses import dataclass

from adapters.validation.config import Settings
from adapters.validation.findings import Findings
from adapters.validation.header import Header, Tensor
from adapters.validation.shapes import LAYER, BaseShape, in_any_layer, last_name

LORA = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
WITHOUT_PREFIX = re.compile(r"(?P<module>.+)\.lora_[AB]\.weight")
WITH_INFIX = re.compile(r"(?P<head>.+\.lora_[AB])\.[^.]+\.weight")
BIAS = re.compile(r".+\.lora_[AB](\.[^.]+)?\.bias")
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "wpe", "word_embeddings", "embed_in", "embed_out")
DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Factor:
    """One tensor of which is known what it is: A is (rank, input width), B is (output width, rank)."""

    tensor: Tensor
    module: str
    side: str  # "A" or "B"
    scale: float | None = None  # what B·A is multiplied with; None when the config does not say

    @property
    def rank(self) -> int:
        """The width that both factors share."""
        return self.tensor.shape[0 if self.side == "A" else 1]

    @property
    def width(self) -> int:
        """The base's own width: a layer's input for A, its output for B."""
        return self.tensor.shape[1 if self.side == "A" else 0]


def identify_factors(
    content: Header, *, base: BaseShape, settings: Settings, max_rank: int, findings: Findings
) -> list[Factor]:
    """Return the tensors that fit the base and the config, in their order; the rest goes to `findings`."""
    factors: list[Factor] = []
    sides_by_module: defaultdict[str, dict[str, str]] = defaultdict(dict)
    ranks: set[int] = set()
    for tensor in content.tensors:
        match = LORA.fullmatch(tensor.name)
        if match is None:
            _report_other_name(tensor.name, base, findings)
            continue
        module = match["module"]
        if module not in base.modules:
            _report_unknown_module(tensor.name, module, base=base, findings=findings)
            continue
        sides_by_module[module][match["side"]] = tensor.name
        factor = Factor(tensor, module, match["side"], settings.scale_of(module))
        if len(tensor.shape) == 2:
            ranks.add(factor.rank)
        fits = _check_factor(factor, base=base, settings=settings, findings=findings)
        if fits and factor.rank <= max_rank:
            factors.append(factor)
    # The weights' rank is fine and the config lies about it: another training would mend nothing.
    if findings.has("rank_mismatch") and max(ranks) <= max_rank:
        findings.drop("rank_too_high")
    if content.is_sound:  # else a missing partner may be among the malformed
        for sides in sides_by_module.values():
            _check_pair(sides, findings)
    return factors


def _check_pair(sides: dict[str, str], findings: Findings) -> None:
    """Report a factor whose partner is missing; `sides` is A or B → its tensor's name."""
    if "B" not in sides:
        findings.add("pair_incomplete", tensor=sides["A"], side="B")
    elif "A" not in sides:
        findings.add("pair_incomplete", tensor=sides["B"], side="A")


def _report_other_name(name: str, base: BaseShape, findings: Findings) -> None:
    """Report why a tensor's name means nothing to engines, as precisely as the name shows it."""
    infix = WITH_INFIX.fullmatch(name)
    if "lora_embedding_" in name:
        findings.add("tensor_embedding", tensor=name)
    elif "lora_magnitude_vector" in name:
        findings.add("tensor_dora", tensor=name)
    elif infix:
        findings.add("name_infix", tensor=name, right=f"{infix['head']}.weight")
    elif BIAS.fullmatch(name):
        findings.add("tensor_bias", tensor=name)
    elif WITHOUT_PREFIX.fullmatch(name):
        findings.add("name_prefix", tensor=name, right=f"base_model.model.{name}")
    elif "modules_to_save" in name or _owner_of(name) in base.modules:
        findings.add("tensor_full", tensor=name)
    else:
        findings.add("name_unknown", tensor=name)


def _report_unknown_module(name: str, module: str, *, base: BaseShape, findings: Findings) -> None:
    """Report a LoRA weight of a layer that the base does not have."""
    layer = LAYER.search(module)
    if "lora_embedding_" in name or last_name(module) in EMBEDDINGS:
        findings.add("tensor_embedding", tensor=name)
    elif layer and in_any_layer(module) in base.names_in_any_layer:
        last = base.last_layer
        findings.add("layer_not_in_base", tensor=name, layer=layer[1], last=last, base=base.name)
    else:
        has = ", ".join(base.kinds)
        findings.add("module_not_in_base", tensor=name, module=module, base=base.name, has=has)


def _owner_of(name: str) -> str:
    """Return the module that a whole weight or bias of a base belongs to."""
    return name.removeprefix("base_model.model.").rsplit(".", 1)[0].removesuffix(".base_layer")


def _check_factor(factor: Factor, *, base: BaseShape, settings: Settings, findings: Findings) -> bool:
    """Return whether a tensor's type and shape are right and the config trains its module."""
    before = findings.count
    tensor = factor.tensor
    if tensor.dtype not in DTYPES:
        findings.add("dtype", tensor=tensor.name, dtype=tensor.dtype)
    excluding_field = settings.exclusion_of(factor.module)
    if excluding_field:
        findings.add("module_not_targeted", tensor=tensor.name, module=factor.module, field=excluding_field)
    _check_shape(factor, base=base, rank=settings.rank_of(factor.module), findings=findings)
    return findings.count == before


def _check_shape(factor: Factor, *, base: BaseShape, rank: int | None, findings: Findings) -> None:
    """Report a tensor that does not fit its layer or the config's rank."""
    tensor = factor.tensor
    linear = base.modules[factor.module]
    width = linear.columns if factor.side == "A" else linear.rows
    if len(tensor.shape) != 2 or factor.width != width or 0 in tensor.shape:
        shown = rank or "rank"
        expected = f"[{shown}, {width}]" if factor.side == "A" else f"[{width}, {shown}]"
        actual = list(tensor.shape)
        findings.add("shape", tensor=tensor.name, actual=actual, expected=expected, base=base.name)
    elif rank is not None and factor.rank != rank:
        findings.add("rank_mismatch", tensor=tensor.name, actual=factor.rank, expected=rank)
