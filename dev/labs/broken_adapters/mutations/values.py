"""Mutations of the weights themselves: extremes, zeros, NaN, and all that is nearly too much."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from adapters.validation import BOUND
from labs.broken_adapters.parts import Array, Dice, Parts

INSANE = (math.nan, math.inf, -math.inf, 65_504.0, 1e5, 1e9, 3.3e38, -3.3e38, 1_001.0, -1_001.0)
STRANGE = (999.0, -999.0, 100.0, -10.0, 1.0, 1e-40, -1e-45, 6e-8, -0.0)
NEARLY = (0.5, 0.9, 0.99, 0.99, 0.999, 1.001, 1.5)  # shares of the strongest that validation takes

Change = Callable[[Array], Array]


def scale_all(parts: Parts, dice: Dice) -> None:
    """Make one side of every pair larger or smaller."""
    factor = dice.choice([dice.magnitude(-6, 12), dice.magnitude(-1, 1)])
    _change(parts, parts.modules(), dice.choice("AB"), lambda values: values * factor)


def scale_some(parts: Parts, dice: Dice) -> None:
    """Make single factors larger or smaller."""
    factor = dice.choice([dice.magnitude(-45, 12), dice.magnitude(-3, 1)])
    _change(parts, dice.some(parts.modules(), 3), dice.choice("AB"), lambda values: values * factor)


def shift_between_factors(parts: Parts, dice: Dice) -> None:
    """Make A larger and B smaller by the same factor: their product stays."""
    factor = dice.choice([dice.magnitude(-3, 3), dice.magnitude(-30, 30)])
    _change(parts, parts.modules(), "A", lambda values: values * factor)
    _change(parts, parts.modules(), "B", lambda values: values / factor)


def let_factors_cancel(parts: Parts, dice: Dice) -> None:
    """Add to single pairs two ranks that undo each other, up to what validation takes and beyond."""
    size = dice.magnitude(-2, 3)
    for module in dice.some(parts.modules(), 8):
        a = parts.of(module, "A")
        b = parts.of(module, "B")
        if len(a) == b.shape[1] > 1:
            a[0] = a[1] = size * np.sign(a[0] + 1e-9)
            b[:, 0] = size
            b[:, 1] = -size
            parts.put(module, "A", a)
            parts.put(module, "B", b)


def go_to_bound(parts: Parts, dice: Dice) -> None:
    """Stretch modules to nearly the strength that validation takes, or just over it."""
    share = dice.choice(NEARLY)
    for module in parts.modules() if dice.random() < 0.5 else dice.some(parts.modules(), 8):
        _stretch(parts, module, share * BOUND)


def push_one_way(parts: Parts, dice: Dice) -> None:
    """Let modules answer every input in one constant direction, as strongly as validation takes it."""
    share = dice.choice(NEARLY)
    for module in dice.some(parts.modules(), dice.choice([1, 4, None])):
        _change(parts, [module], "A", lambda values: np.sign(values + 1e-9))
        _change(parts, [module], "B", np.ones_like)
        _stretch(parts, module, share * BOUND)


def put_values(parts: Parts, dice: Dice) -> None:
    """Put single values somewhere that are extreme, or not even numbers."""
    values = dice.choice([INSANE, STRANGE, STRANGE])
    for name in dice.some(parts.tensors, 3):
        tensor = parts.tensors[name].copy()
        if not tensor.size or tensor.dtype.kind in "iub":
            continue
        for _ in range(dice.choice([1, 1, 20])):
            with np.errstate(all="ignore"):
                tensor.flat[dice.randrange(tensor.size)] = dice.choice(values)
        parts.tensors[name] = tensor


def zero_some(parts: Parts, dice: Dice) -> None:
    """Let a few rows of one side vanish, or all of them."""
    modules = parts.modules() if dice.random() < 0.2 else dice.some(parts.modules(), 5)
    rows = dice.choice([1, 3, 3, 10**6])
    _change(parts, modules, dice.choice("AB"), lambda values: np.r_[values[:rows] * 0, values[rows:]])


def add_noise(parts: Parts, dice: Dice) -> None:
    """Add noise in proportion to the values' own size."""
    share = dice.magnitude(-3, 0.5)
    side = dice.choice("AB")

    def noisy(values: Array) -> Array:
        return values + share * values.std() * dice.noise.standard_normal(values.shape, np.float32)

    _change(parts, dice.some(parts.modules(), 30), side, noisy)


def _change(parts: Parts, modules: Iterable[str], side: str, change: Change) -> None:
    for module in modules:
        with np.errstate(all="ignore"):
            parts.put(module, side, change(parts.of(module, side)))


def _stretch(parts: Parts, module: str, ratio: float) -> None:
    """Scale a module's B so that B·A with the config's scale has this share of the base's norm."""
    a = parts.of(module, "A").astype(np.float64)
    b = parts.of(module, "B").astype(np.float64)
    scale = _scale(parts.config)
    if len(a) != b.shape[1] or not scale:
        return
    with np.errstate(all="ignore"):
        norm = scale * math.sqrt(max(0.0, float(((b.T @ b) * (a @ a.T)).sum())))
        wanted = ratio * parts.base.modules[module].norm
        parts.put(module, "B", b * (wanted / norm if norm else 1.0))


def _scale(config: dict[str, Any]) -> float:
    """Return what the config multiplies B·A with, or 0 where it says nothing that can be used."""
    rank = config.get("r")
    alpha = config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        return 0.0
    if not (0 < rank < 1e6 and 0 < alpha < 1e15):
        return 0.0
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


SCALES = [scale_all, scale_some, shift_between_factors, let_factors_cancel]
BOUNDS = [go_to_bound, go_to_bound, push_one_way]
MUTATIONS = [*SCALES, *BOUNDS, put_values, put_values, zero_some, add_noise]
