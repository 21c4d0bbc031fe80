"""A short vector of what an adapter does, by which copies are found: equal weights have equal ones.

Each layer's change scale·B·A is seen from 16 fixed pairs of sign vectors, as uᵀ(B·A)v; a layer's name decides
which, and which of the 256 places its values are added to. The dot product of two such vectors estimates the
Frobenius inner product of the changes (Johnson and Lindenstrauss; sketches as in Charikar's CountSketch). So
the cosine is near 1 for a copy, also one that was scaled, factored anew, stored in another type or blurred
with a little noise, and near 0 for adapters that were trained apart.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from adapters.validation.tensors import Factor

PLACES = 256
VIEWS = 16  # pairs of vectors a layer

Vector = NDArray[np.float32]


class Fingerprint:
    """Adds up what the layers of one adapter do, whatever the order of their factors."""

    def __init__(self) -> None:
        self._total = np.zeros(PLACES)
        self._waiting: dict[str, Vector] = {}  # module → its first factor, seen: rank by VIEWS

    def add(self, factor: Factor, values: NDArray[np.generic]) -> None:
        """Take a factor with sane values."""
        along = values.T if factor.side == "B" else values
        seen = along.astype(np.float32) @ _sign_vectors(f"{factor.module} {factor.side}", factor.width)
        if factor.side == "B":
            seen *= factor.scale or 1.0
        if factor.module not in self._waiting:
            self._waiting[factor.module] = seen
            return
        partner = self._waiting.pop(factor.module)
        if partner.shape != seen.shape:  # of other ranks: the adapter is refused
            return
        views = (partner.astype(np.float64) * seen).sum(axis=0)
        np.add.at(self._total, _places_of(factor.module), views)

    def to_bytes(self) -> bytes:
        """Return the vector at length 1 as float32, little-endian; empty for an adapter without effect."""
        length = float(np.linalg.norm(self._total))
        if not np.isfinite(length) or length == 0:
            return b""
        return (self._total / length).astype("<f4").tobytes()


def read_vector(stored: bytes | memoryview) -> Vector:
    """Return a stored vector."""
    return np.frombuffer(stored, dtype="<f4")


def _sign_vectors(name: str, width: int) -> Vector:
    """Return width by VIEWS signs. By a hash, because NumPy's generators may change with its version."""
    size = width * VIEWS
    bits = np.frombuffer(hashlib.shake_128(name.encode()).digest((size + 7) // 8), dtype=np.uint8)
    return (np.unpackbits(bits)[:size].reshape(width, VIEWS) * 2.0 - 1.0).astype(np.float32)


def _places_of(module: str) -> NDArray[np.intp]:
    digest = hashlib.shake_128(f"{module} places".encode()).digest(VIEWS)
    return np.frombuffer(digest, dtype=np.uint8).astype(np.intp)
