"""Sources that behave: bytes in memory, and files that are never there as a whole."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from adapters.validation import BaseShape, Linear
from labs.broken_adapters.parts import PREFIX, entries, packed


@dataclass
class Bytes:
    """A source in memory that counts what is read."""

    data: bytes
    bytes_read: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, length: int) -> bytes:
        self.bytes_read += length
        return self.data[start : start + length]


@dataclass(frozen=True)
class Endless:
    """A large file that is never there as a whole: a header, then one piece again and again."""

    header: bytes
    piece: bytes
    size: int

    def read(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size)
        head = self.header[start:end]
        first = max(0, start - len(self.header))
        wanted = end - start - len(head)
        skip = first % len(self.piece)
        times = (skip + wanted) // len(self.piece) + 1
        return head + (self.piece * times)[skip : skip + wanted]


def config_of(base: BaseShape, rank: int = 16) -> bytes:
    """Return the config of an adapter on the modules `up_proj` of a base."""
    facts = {"peft_type": "LORA", "base_model_name_or_path": base.name, "r": rank, "lora_alpha": rank}
    return json.dumps(facts | {"target_modules": ["up_proj"]}).encode()


def wide_base(layers: int, width: int = 4096) -> BaseShape:
    modules = {f"model.layers.{n}.mlp.up_proj": Linear(width, width, norm=1e6) for n in range(layers)}
    return BaseShape("Wide", {"dtype": "bfloat16"}, modules)


def wide_weights(base: BaseShape, rank: int = 16) -> Endless:
    """Return sane float32 weights for all modules of a base, which are never there as a whole."""
    tensors = {}
    for module, linear in base.modules.items():
        for side, shape in (("A", (rank, linear.columns)), ("B", (linear.rows, rank))):
            tensors[f"{PREFIX}{module}.lora_{side}.weight"] = np.broadcast_to(np.float32(0), shape)
    text = packed(json.dumps(entries(tensors)), b"")
    piece = np.linspace(-0.1, 0.1, 65_536, dtype="f4").tobytes()
    return Endless(text, piece, len(text) + sum(tensor.nbytes for tensor in tensors.values()))


@contextmanager
def memory_below(limit_bytes: float) -> Iterator[None]:
    """Fail if Python holds more at any moment."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit_bytes
