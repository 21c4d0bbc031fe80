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
from adapters.validation.sources import Source, exactly
from adapters.validation.tensors import Factor

# Half of the layer itself. Trained styles stay near 0.02; the worst adapter that we could build at this bound
# brought activations to 3e6, which bfloat16 and float32 hold with ease (docs/adapters.md has the figures).
BOUND = 0.5
# Engines fold the scale into B and compute in 16 bits; float16 ends at 65,504, and sums need room.
VALUE_LIMIT = 1000.0

# How much larger than their product two factors may be. Cancelling in 16 bits then leaves noise of 2 % of W.
SLACK = 10

BLOCK = 4 * 1024 * 1024  # bytes a read
CHUNK = 1024 * 1024  # bytes of a tensor at a time
HELD = 16 * 1024 * 1024  # a larger float32 factor is held in 16 bits, which is close enough for its norm
KEPT = 8 * 1024 * 1024  # bytes of products kept for partners that come later; others are read again

Matrix = NDArray[np.float64]
TYPES: dict[str, np.dtype[np.generic]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}  # above zero


@dataclass(frozen=True)
class Strength:
    """How much a style changes one layer: `ratio` of Frobenius norms, 1 being as much as the layer itself."""

    module: str
    ratio: float


class Stream:
    """A source read forward in blocks and hashed on the way."""

    def __init__(self, source: Source, start: int = 0) -> None:
        self._source = source
        self._position = start  # of the next byte to be handed out
        self._read = start
        self._block = memoryview(b"")
        self._digest = hashlib.sha256()

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes. Raises Shortened when the file ends before."""
        parts = []
        while length:
            if not self._block:
                self._fetch()
            part, self._block = self._block[:length], self._block[length:]
            self._position += len(part)
            length -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Pass over everything before `position`, hashing it."""
        while self._position < position:
            self.take(min(position - self._position, BLOCK))

    def sha256(self) -> str:
        """Return the digest of the whole file, from its start, in hex."""
        self.skip_to(self._source.size)
        return self._digest.hexdigest()

    def _fetch(self) -> None:
        data = exactly(self._source, self._read, max(1, min(BLOCK, self._source.size - self._read)))
        self._read += len(data)
        self._digest.update(data)
        self._block = memoryview(data)


def read_weights(
    source: Source, factors: Sequence[Factor], *, base: BaseShape, findings: Findings
) -> tuple[str, Strength | None]:
    """Return the file's SHA-256 in hex and its strongest layer; `factors` in the order of the file."""
    stream, pairs = Stream(source), Pairs(source, base, findings)
    for factor in factors:
        stream.skip_to(factor.tensor.start)
        held = Held(factor, rows(stream, factor.tensor))
        if held.is_sane(SMALLEST.get(base.dtype, SMALLEST["bfloat16"]), findings):
            pairs.add(factor, held.gram())
    return stream.sha256(), pairs.strongest


def rows(stream: Stream, tensor: Tensor) -> Iterator[NDArray[np.generic]]:
    """Yield a matrix in chunks of whole rows, in its own type."""
    height, width = tensor.shape
    row_bytes = tensor.length // height
    step = max(1, CHUNK // row_bytes)
    for first in range(0, height, step):
        count = min(step, height - first)
        data = stream.take(count * row_bytes)
        yield np.frombuffer(data, dtype=TYPES[tensor.dtype]).reshape(count, width)


class Held:
    """One factor in memory, with its largest magnitude."""

    def __init__(self, factor: Factor, chunks: Iterator[NDArray[np.generic]]) -> None:
        self._factor = factor
        tensor = factor.tensor
        is_large = tensor.dtype == "F32" and tensor.length > HELD
        self._values = np.empty(tensor.shape, dtype=TYPES["BF16" if is_large else tensor.dtype])
        self._largest = 0.0
        first = 0
        with np.errstate(all="ignore"):  # NaN and infinity are findings, not warnings
            for chunk in chunks:
                self._values[first : first + len(chunk)] = chunk
                first += len(chunk)
                self._largest = float(np.maximum(self._largest, np.abs(chunk.astype(np.float32)).max()))

    def is_sane(self, smallest: float, findings: Findings) -> bool:
        """True when all values are finite, none is huge and not all vanish; else a finding says which."""
        name = self._factor.tensor.name
        scale = 1.0 if self._factor.scale is None or self._factor.side == "A" else self._factor.scale
        if not math.isfinite(self._largest):
            findings.add("not_finite", tensor=name)
        elif self._largest * max(scale, 1.0) > VALUE_LIMIT:
            findings.add(
                "value_too_large", tensor=name, value=f"{self._largest * scale:.3g}", limit=f"{VALUE_LIMIT:g}"
            )
        elif self._largest * min(scale, 1.0) < smallest:
            findings.add("all_zero", tensor=name)
        else:
            return True
        return False

    def gram(self) -> Matrix:
        """Return AAᵀ or BᵀB in float64, rank by rank, from slices along the long side."""
        along = self._values if self._factor.side == "B" else self._values.T
        rank = along.shape[1]
        total = np.zeros((rank, rank))
        step = max(1, CHUNK // (8 * rank))
        for first in range(0, len(along), step):
            part = along[first : first + step].astype(np.float64)
            total += part.T @ part
        return total


class Pairs:
    """Brings the two factors of each layer together, whatever their order in the file."""

    def __init__(self, source: Source, base: BaseShape, findings: Findings) -> None:
        self._source, self._base, self._findings = source, base, findings
        self._waiting: dict[str, tuple[Factor, Matrix | None]] = {}
        self._kept = 0
        self.strongest: Strength | None = None

    def add(self, factor: Factor, gram: Matrix) -> None:
        """Take a sane factor; with its partner known, judge their layer."""
        if factor.module in self._waiting:
            partner, other = self._waiting.pop(factor.module)
            if other is None:
                again = Stream(self._source, partner.tensor.start)
                other = Held(partner, rows(again, partner.tensor)).gram()
            else:
                self._kept -= other.nbytes
            self._judge(factor if factor.side == "B" else partner, gram, other)
        elif self._kept + gram.nbytes <= KEPT:
            self._kept += gram.nbytes
            self._waiting[factor.module] = factor, gram
        else:
            self._waiting[factor.module] = factor, None

    def _judge(self, b: Factor, gram: Matrix, other: Matrix) -> None:
        """Hold the strength of one layer, which is named by its B, against the bound."""
        if b.scale is None:
            return
        name, norm, rank = b.tensor.name, self._base.modules[b.module].norm, len(gram)
        ratio = _ratio(b.scale * math.sqrt(max(0.0, float((gram * other).sum()))), norm)
        # For factors that do not cancel, ‖A‖·‖B‖ is about √rank times ‖B·A‖.
        excess = _ratio(b.scale * math.sqrt(float(gram.trace() * other.trace()) / rank), norm)
        excess /= BOUND * SLACK
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
