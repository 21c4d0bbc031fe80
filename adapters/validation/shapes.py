"""What a base model is, as far as adapters are concerned: its linear layers, their widths and norms."""

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


@dataclass(frozen=True)
class Linear:
    """One linear layer: its weight is `rows` (output width) by `columns` (input width)."""

    rows: int
    columns: int
    norm: float  # Frobenius norm of the weight


@dataclass(frozen=True)
class BaseShape:
    """A base model's name, its config.json and its linear layers by name. `basemodels.describe` makes it."""

    name: str
    config: Mapping[str, Any]
    modules: Mapping[str, Linear]

    @classmethod
    def of(
        cls, name: str, config: Mapping[str, Any], modules: Mapping[str, Mapping[str, Any]]
    ) -> "BaseShape":
        """Return the shape kept in a row of `adapters.BaseModel` (its `name`, `config` and `modules`)."""
        return cls(
            name,
            config,
            {key: Linear(rows=at["out"], columns=at["in"], norm=at["norm"]) for key, at in modules.items()},
        )

    def modules_json(self) -> dict[str, dict[str, float]]:
        """Return what goes into `BaseModel.modules`: name → {"out", "in", "norm"}."""
        return {
            name: {"out": at.rows, "in": at.columns, "norm": at.norm} for name, at in self.modules.items()
        }

    @cached_property
    def dtype(self) -> str:
        """The name of the type that engines compute in: `bfloat16`, `float16` or `float32`."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype") or "bfloat16")

    @cached_property
    def quantisation(self) -> str:
        """The state its weights are served in, such as `bitsandbytes 4-bit`; empty when not quantised."""
        return state_of_config(self.config.get("quantization_config"))

    # Asked for each tensor of a hostile header, so made once.

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The last names of its modules, such as `q_proj`, in order."""
        return tuple(sorted({module.rsplit(".", 1)[-1] for module in self.modules}))

    @cached_property
    def names_in_any_layer(self) -> frozenset[str]:
        """Its modules' names without the numbers of their layers."""
        return frozenset(map(in_any_layer, self.modules))

    @cached_property
    def last_layer(self) -> int:
        """The highest number of a layer."""
        return max(int(found[1]) for module in self.modules if (found := LAYER.search(module)))
