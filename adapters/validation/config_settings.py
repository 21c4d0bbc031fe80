"""What a config says of how its tensors are read: ranks, scales, and which modules were trained."""

import math
import re
from dataclasses import dataclass, field

from adapters.validation.shapes import LAYER


@dataclass(frozen=True)
class Settings:
    """The values of a config that decide how its tensors are read. None: unknown, after a finding."""

    rank: int | None = None
    alpha: float | None = None
    is_rank_stabilised: bool = False
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None  # None: an expression, which is not run; the tensors decide
    excluded: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None

    @property
    def highest_rank(self) -> int | None:
        """The highest rank of any module, which is what engines compare with their maximum."""
        return None if self.rank is None else max(self.rank, *self.ranks.values(), 0)

    def rank_of(self, module: str) -> int | None:
        """Return the rank that a module's tensors must have."""
        return _find_by_pattern(self.ranks, module) or self.rank

    def scale_of(self, module: str) -> float | None:
        """Return what B·A is multiplied with: alpha/r, or alpha/√r for rank-stabilised adapters."""
        rank = self.rank_of(module)
        alpha = _find_by_pattern(self.alphas, module) or self.alpha
        if rank is None or alpha is None:
            return None
        return alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)

    def exclusion_of(self, module: str) -> str:
        """Return the field that says a module was not trained, or ""."""
        if self.targets is not None and not _is_named(module, self.targets):
            return "target_modules"
        if _is_named(module, self.excluded):
            return "exclude_modules"
        layer = LAYER.search(module)
        if self.layers is not None and layer and int(layer[1]) not in self.layers:
            return "layers_to_transform"
        return ""


def _find_by_pattern[Number: (int, float)](numbers: dict[str, Number], module: str) -> Number | None:
    """Return the number of the first entry that matches a module.

    Exactly vLLM's rule, in which `.` stands for any character: a stricter one would let an alpha for `q.proj`
    pass by the norm bound.
    """
    for pattern, number in numbers.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return number
    return None


def _is_named(module: str, names: tuple[str, ...]) -> bool:
    """Return whether a list of whole or last names has a module."""
    return module in names or module.endswith(tuple(f".{name}" for name in names))
