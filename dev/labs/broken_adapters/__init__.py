"""Broken adapters for tests and trials: known kinds, and random mutants.

`make(kind, folder, base)` writes one of KINDS, which must lead to the finding `CODES[kind]`;
`mutants` has strategies for Hypothesis, of adapters with random faults.
"""

from labs.broken_adapters.known import CODES, KINDS, first, make, rename_tensors
from labs.broken_adapters.parts import (
    CONFIG,
    PREFIX,
    WEIGHTS,
    Adapter,
    entries,
    packed,
    safetensors,
)
from labs.broken_adapters.valid import tiny_base, valid_adapter

__all__ = [
    "CODES",
    "CONFIG",
    "KINDS",
    "PREFIX",
    "WEIGHTS",
    "Adapter",
    "entries",
    "first",
    "make",
    "packed",
    "rename_tensors",
    "safetensors",
    "tiny_base",
    "valid_adapter",
]
