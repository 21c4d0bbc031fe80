"""A base model as far as adapters are concerned: its linear layers, their widths and norms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.translation import gettext_noop as _

from adapters.validation.problems import Reason
from core.messages import Message, MessageCode


class QuantisationState(MessageCode):
    """States that are words; the others are names."""

    INTEGERS_4 = _("4-bit integers")
    INTEGERS_8 = _("8-bit integers")
    UNNAMED = _("another quantised format")
    UNNAMED_METHOD = _("an unnamed method")


STATES = {  # as names of models spell it → as we say it
    "bnb": "bitsandbytes 4-bit",
    "nf4": "bitsandbytes 4-bit",
    "4bit": "bitsandbytes 4-bit",
    "8bit": "bitsandbytes 8-bit",
    "int4": QuantisationState.INTEGERS_4.value,
    "w4a16": QuantisationState.INTEGERS_4.value,
    "int8": QuantisationState.INTEGERS_8.value,
    "w8a8": QuantisationState.INTEGERS_8.value,
    "w8a16": QuantisationState.INTEGERS_8.value,
    "fp8": "FP8",
    "fp4": "FP4",
    "nvfp4": "FP4",
    "mxfp4": "FP4",
    "awq": "AWQ",
    "gptq": "GPTQ",
    "hqq": "HQQ",
    "exl2": "EXL2",
    "gguf": "GGUF",
}
UNNAMED: str = QuantisationState.UNNAMED.value
FULL_PRECISION = {"", "none", "no", "full", "bf16", "bfloat16", "fp16", "float16", "fp32", "float32"}
COMPANIONS = {"unsloth", "mlx", "dynamic", "quantized"}  # words that stand beside such a suffix
SUFFIX_WORDS = STATES.keys() | COMPANIONS


def split(name: str) -> tuple[str, str]:
    """Return a model's name without its quantisation suffix, and the state that the suffix means (or "").

    `Llama-3.1-8B-bnb-4bit` → (`Llama-3.1-8B`, `bitsandbytes 4-bit`).
    """
    one_word_bits = re.sub(r"(?i)\b([48])-bit\b", r"\1bit", name)
    words = re.split(r"([-_.])", one_word_bits)  # with the separators between them
    suffix = set()
    while len(words) > 2 and words[-1].lower() in SUFFIX_WORDS:
        suffix.add(words.pop().lower())
        words.pop()
    states = [state for word, state in STATES.items() if word in suffix]
    if not states:
        return name, ""
    # `AWQ-INT4`: the method decides, not the width. `bnb-8bit`: the width decides, for bnb alone means 4-bit.
    for word in ("awq", "gptq", "8bit"):
        if word in suffix:
            return "".join(words), STATES[word]
    return "".join(words), states[0]


def state_of_config(config: object) -> str:
    """Return the state that a `quantization_config` describes, or "" for none."""
    if not isinstance(config, Mapping) or not config:
        return ""
    method = str(config.get("quant_method") or "")
    if config.get("load_in_8bit"):
        return STATES["8bit"]
    if config.get("load_in_4bit") or method == "bitsandbytes":
        return STATES["4bit"]
    return STATES.get(method.lower(), method or QuantisationState.UNNAMED_METHOD.value)


def state_message(state: str) -> Message:
    """Return a state as a finding says it."""
    return QuantisationState.named(state) if state else Reason.FULL_PRECISION()


def state_of_words(words: str) -> str:
    """Return the state that a person's words mean (`4-bit`, `QLoRA`, `none`); unknown words stay."""
    plain = words.strip().lower()
    if plain in FULL_PRECISION:
        return ""
    if plain == "qlora":
        return STATES["4bit"]
    if plain == "other":
        return UNNAMED
    return split(f"base-{plain}")[1] or words.strip()


LAYER = re.compile(r"\.(\d+)\.")


def in_any_layer(module: str) -> str:
    """Return a module's name without the number of its layer."""
    return LAYER.sub(".N.", module, count=1)


def last_name(module: str) -> str:
    """Return the last part of a module's name, such as `q_proj`."""
    return module.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class Linear:
    """One linear layer: its weight is `rows` (output width) by `columns` (input width)."""

    rows: int
    columns: int
    norm: float  # Frobenius norm of the weight


@dataclass(frozen=True)
class BaseShape:
    """A base model's name, its config.json and its linear layers by name; see base_model_reader."""

    name: str
    config: Mapping[str, Any]
    modules: Mapping[str, Linear]

    @classmethod
    def of(
        cls, name: str, config: Mapping[str, Any], modules: Mapping[str, Mapping[str, Any]]
    ) -> "BaseShape":
        """Return the shape kept in a row of `adapters.BaseModel` (its `name`, `config` and `modules`)."""
        linears = {}
        for module, facts in modules.items():
            linears[module] = Linear(rows=facts["out"], columns=facts["in"], norm=facts["norm"])
        return cls(name, config, linears)

    def modules_json(self) -> dict[str, dict[str, float]]:
        """Return what goes into `BaseModel.modules`: name → {"out", "in", "norm"}."""
        modules = {}
        for name, linear in self.modules.items():
            modules[name] = {"out": linear.rows, "in": linear.columns, "norm": linear.norm}
        return modules

    @cached_property
    def dtype(self) -> str:
        """The name of the type that engines compute in: `bfloat16`, `float16` or `float32`."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype") or "bfloat16")

    @cached_property
    def quantisation(self) -> str:
        """The state its weights are served in, such as `bitsandbytes 4-bit`; empty when not quantised."""
        return state_of_config(self.config.get("quantization_config"))

    # The next three are needed for each tensor of a hostile header, so they are computed once.

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The last names of its modules, such as `q_proj`, in order."""
        return tuple(sorted({last_name(module) for module in self.modules}))

    @cached_property
    def names_in_any_layer(self) -> frozenset[str]:
        """Its modules' names without the numbers of their layers."""
        return frozenset(in_any_layer(module) for module in self.modules)

    @cached_property
    def last_layer(self) -> int:
        """The highest number of a layer."""
        numbers = []
        for module in self.modules:
            layer = LAYER.search(module)
            if layer:
                numbers.append(int(layer[1]))
        return max(numbers)
