"""The registry of adapters that are broken in one known way each, with the finding that each must lead to."""

from collections.abc import Callable
from pathlib import Path

from adapters.validation import BaseShape
from labs.broken_adapters.parts import CONFIG, WEIGHTS, Adapter, Array
from labs.broken_adapters.valid import valid_adapter

# Each kind changes a valid adapter in place, or returns the bytes of a weights file that is none.
Breaker = Callable[[Adapter, BaseShape], bytes | None]
KINDS: dict[str, Breaker] = {}
CODES: dict[str, str] = {}


def kind(code: str, *, name: str = "") -> Callable[[Breaker], Breaker]:
    """Register a way to break an adapter, under its function's name or another, and what it must lead to."""

    def register(breaker: Breaker) -> Breaker:
        KINDS[name or breaker.__name__] = breaker
        CODES[name or breaker.__name__] = code
        return breaker

    return register


def make(name: str, folder: Path, base: BaseShape) -> None:
    """Write a broken adapter into a folder."""
    adapter = valid_adapter(base)
    weights = KINDS[name](adapter, base)
    adapter.write(folder)
    if weights is not None:
        (folder / WEIGHTS).write_bytes(weights)
    if name == "config_absent":
        (folder / CONFIG).unlink()
    if name == "config_broken":
        (folder / CONFIG).write_bytes(adapter.config_bytes[:-20])


def first(adapter: Adapter, side: str = "B") -> str:
    """Return the name of an adapter's first factor of a side."""
    return next(name for name in adapter.tensors if name.endswith(f".lora_{side}.weight"))


def change(adapter: Adapter, side: str, values: Callable[[Array], Array]) -> None:
    """Change all factors of one side, each in its own type."""
    for name, tensor in adapter.tensors.items():
        if f".lora_{side}." in name:
            adapter.tensors[name] = values(tensor.astype("f8")).astype(tensor.dtype)


def rename_tensors(adapter: Adapter, before: str, after: str) -> None:
    """Replace a part of every tensor's name."""
    adapter.tensors = {name.replace(before, after): tensor for name, tensor in adapter.tensors.items()}
