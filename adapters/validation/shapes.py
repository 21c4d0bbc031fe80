"""A base model as far as adapters are concerned: its linear layers, their widths and norms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from adapters.validation.quantisation import state_of_config

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
