"""The weights themselves, in one pass over the file: its SHA-256, insane values, each layer's strength.

A style's strength in a layer is ‖scale·B·A‖ / ‖W‖ in Frobenius norms, W being the base's weight. The product
B·A is as large as W, so it is never formed: ‖B·A‖² = tr((BᵀB)(AAᵀ)), and both of these are only rank by rank.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from adapters.validation.findings import Findings
from adapters.validation.header import Tensor
from adapters.validation.shapes import BaseShape
from adapters.validation.sources import Source, read_exactly
from adapters.validation.tensors import Factor

# A short vector of what an adapter does, by which copies are found: equal weights have equal ones.
#
# Each layer's change scale·B·A is seen from 16 fixed pairs of sign vectors, as uᵀ(B·A)v; a layer's name
# decides which, and which of the 256 places its values are added to. The dot product of two such vectors
# estimates the Frobenius inner product of the changes (Johnson and Lindenstrauss; sketches as in Charikar's
# CountSketch). So the cosine is near 1 for a copy, also one that was scaled, factored anew, stored in
# another type or blurred with a little noise, and near 0 for adapters that were trained apart.

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


# Half of the layer itself. Trained styles stay near 0.02; the worst adapter that we could build at this bound
# brought activations to 3e6, which bfloat16 and float32 hold with ease (docs/adapters.md has the figures).
BOUND = 0.5
# Engines fold the scale into B and compute in 16 bits; float16 ends at 65,504, and sums need room.
VALUE_LIMIT = 1000.0
# How much larger than their product two factors may be. Cancelling in 16 bits then leaves noise of 2 % of W.
MAX_CANCELLATION = 10

BLOCK_BYTES = 4 * 1024 * 1024  # a read of the source
CHUNK_BYTES = 1024 * 1024  # of a tensor, worked on at a time
# A larger float32 factor is held in 16 bits, which is close enough for its norm.
FLOAT32_FACTOR_BYTES = 16 * 1024 * 1024
# Products kept for partners that come later in the file. A factor beyond that is read again.
KEPT_PRODUCT_BYTES = 8 * 1024 * 1024

Matrix = NDArray[np.float64]
TYPES: dict[str, np.dtype[np.generic]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
SMALLEST_VALUES = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}  # above zero


@dataclass(frozen=True)
class Weights:
    """What one pass over the file found: its SHA-256 in hex, its strongest layer, and its fingerprint."""

    sha256: str = ""  # empty when it was not read
    strongest: "Strength | None" = None
    fingerprint: bytes = b""


@dataclass(frozen=True)
class Strength:
    """How much a style changes one layer: `ratio` of Frobenius norms, 1 being as much as the layer itself."""

    module: str
    ratio: float


class HashingReader:
    """Reads a source forward in blocks, and hashes it on the way."""

    def __init__(self, source: Source, start: int = 0) -> None:
        self._source = source
        self._position = start  # of the next byte that `read` returns
        self._fetched_until = start
        self._block = memoryview(b"")
        self._digest = hashlib.sha256()

    def read(self, length: int) -> bytes:
        """Return the next `length` bytes. Raises Shortened when the file ends before."""
        parts = []
        while length:
            if not self._block:
                self._fetch_block()
            part = self._block[:length]
            self._block = self._block[length:]
            self._position += len(part)
            length -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Pass over everything before `position`, hashing it."""
        while self._position < position:
            self.read(min(position - self._position, BLOCK_BYTES))

    def sha256(self) -> str:
        """Return the digest of the whole file, from its start, in hex."""
        self.skip_to(self._source.size)
        return self._digest.hexdigest()

    def _fetch_block(self) -> None:
        left = self._source.size - self._fetched_until
        # At least one byte is read, so that a file that ends too early raises Shortened.
        data = read_exactly(self._source, self._fetched_until, max(1, min(BLOCK_BYTES, left)))
        self._fetched_until += len(data)
        self._digest.update(data)
        self._block = memoryview(data)


def read_weights(
    source: Source, factors: Sequence[Factor], *, base: BaseShape, findings: Findings
) -> Weights:
    """Return what a file's weights are like; `factors` in the order of the file."""
    reader = HashingReader(source)
    layers = LayerCheck(source, base, findings)
    fingerprint = Fingerprint()
    smallest = SMALLEST_VALUES.get(base.dtype, SMALLEST_VALUES["bfloat16"])
    for factor in factors:
        reader.skip_to(factor.tensor.start)
        values = FactorValues(factor, read_rows(reader, factor.tensor))
        if values.are_sane(smallest, findings):
            layers.add(factor, values.gram())
            fingerprint.add(factor, values.matrix)
    return Weights(reader.sha256(), layers.strongest, fingerprint.to_bytes())


def read_rows(reader: HashingReader, tensor: Tensor) -> Iterator[NDArray[np.generic]]:
    """Yield a matrix in chunks of whole rows, in its own type."""
    height, width = tensor.shape
    row_bytes = tensor.length // height
    rows_a_chunk = max(1, CHUNK_BYTES // row_bytes)
    for first in range(0, height, rows_a_chunk):
        count = min(rows_a_chunk, height - first)
        data = reader.read(count * row_bytes)
        yield np.frombuffer(data, dtype=TYPES[tensor.dtype]).reshape(count, width)


class FactorValues:
    """One factor in memory, with its largest magnitude."""

    def __init__(self, factor: Factor, chunks: Iterator[NDArray[np.generic]]) -> None:
        self._factor = factor
        tensor = factor.tensor
        is_large = tensor.dtype == "F32" and tensor.length > FLOAT32_FACTOR_BYTES
        self.matrix = np.empty(tensor.shape, dtype=TYPES["BF16" if is_large else tensor.dtype])
        self._largest = 0.0
        first = 0
        with np.errstate(all="ignore"):  # NaN and infinity are findings, not warnings
            for chunk in chunks:
                self.matrix[first : first + len(chunk)] = chunk
                first += len(chunk)
                # NumPy's maximum keeps a NaN; Python's own would lose it.
                self._largest = float(np.maximum(self._largest, np.abs(chunk.astype(np.float32)).max()))

    def are_sane(self, smallest: float, findings: Findings) -> bool:
        """Return whether all values are finite, none is huge and not all vanish; else add a finding."""
        name = self._factor.tensor.name
        scale = 1.0
        if self._factor.side == "B" and self._factor.scale is not None:
            scale = self._factor.scale
        if not math.isfinite(self._largest):
            findings.add("not_finite", tensor=name)
        elif self._largest * max(scale, 1.0) > VALUE_LIMIT:
            value = f"{self._largest * scale:.3g}"
            findings.add("value_too_large", tensor=name, value=value, limit=f"{VALUE_LIMIT:g}")
        elif self._largest * min(scale, 1.0) < smallest:
            findings.add("all_zero", tensor=name)
        else:
            return True
        return False

    def gram(self) -> Matrix:
        """Return AAᵀ or BᵀB in float64, rank by rank, from slices along the long side."""
        along = self.matrix if self._factor.side == "B" else self.matrix.T
        rank = along.shape[1]
        total = np.zeros((rank, rank))
        step = max(1, CHUNK_BYTES // (8 * rank))
        for first in range(0, len(along), step):
            part = along[first : first + step].astype(np.float64)
            total += part.T @ part
        return total


class LayerCheck:
    """Brings the two factors of each layer together, whatever their order in the file."""

    def __init__(self, source: Source, base: BaseShape, findings: Findings) -> None:
        self._source = source
        self._base = base
        self._findings = findings
        self._waiting: dict[str, tuple[Factor, Matrix | None]] = {}  # module → its first factor
        self._kept_bytes = 0
        self.strongest: Strength | None = None

    def add(self, factor: Factor, gram: Matrix) -> None:
        """Take a sane factor; once its partner is known, check their layer."""
        if factor.module in self._waiting:
            partner, partner_gram = self._waiting.pop(factor.module)
            if partner_gram is None:
                partner_gram = self._read_again(partner)
            else:
                self._kept_bytes -= partner_gram.nbytes
            b = factor if factor.side == "B" else partner
            self._check_strength(b, gram, partner_gram)
        elif self._kept_bytes + gram.nbytes <= KEPT_PRODUCT_BYTES:
            self._kept_bytes += gram.nbytes
            self._waiting[factor.module] = (factor, gram)
        else:
            self._waiting[factor.module] = (factor, None)

    def _read_again(self, factor: Factor) -> Matrix:
        reader = HashingReader(self._source, factor.tensor.start)
        return FactorValues(factor, read_rows(reader, factor.tensor)).gram()

    def _check_strength(self, b: Factor, gram: Matrix, other_gram: Matrix) -> None:
        """Hold the strength of one layer, which is named by its B, against the bound."""
        if b.scale is None:
            return
        name = b.tensor.name
        norm = self._base.modules[b.module].norm
        rank = len(gram)
        product_norm = b.scale * math.sqrt(max(0.0, float((gram * other_gram).sum())))
        # For factors that do not cancel, ‖A‖·‖B‖ is about √rank times ‖B·A‖.
        uncancelled_norm = b.scale * math.sqrt(float(gram.trace() * other_gram.trace()) / rank)
        ratio = _ratio(product_norm, norm)
        excess = _ratio(uncancelled_norm, norm) / (BOUND * MAX_CANCELLATION)
        if ratio > BOUND:
            self._findings.add("too_strong", tensor=name, percent=_percent(ratio), limit=_percent(BOUND))
        elif excess > 1:
            self._findings.add("factors_cancel", tensor=name, times=f"{excess:.3g}")
        if self.strongest is None or ratio > self.strongest.ratio:
            self.strongest = Strength(b.module, ratio)


def _ratio(change: float, norm: float) -> float:
    return change / norm if norm else math.inf


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.4g}"
