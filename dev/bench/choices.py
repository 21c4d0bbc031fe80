"""How much a run measures: the BENCH_… variables of the environment."""

import os
from dataclasses import dataclass

from stack.errors import StackError

ROUND = ("rps", "latency", "streams", "burst", "ttfc")
PARTS = (*ROUND, "workers", "memory")
TARGETS = ("direct", "nginx", "litellm", "portkey", "tensorzero", "polyscribe")


@dataclass(frozen=True)
class Choices:
    """How much is measured; the environment decides."""

    seconds: float
    rounds: int
    requests: int
    held: int
    targets: tuple[str, ...]
    parts: tuple[str, ...]

    @classmethod
    def read(cls) -> "Choices":
        """Return what the BENCH_… variables say. Raises StackError for a word that is none of ours."""
        return cls(
            seconds=float(os.environ.get("BENCH_SECONDS") or 5),
            rounds=int(os.environ.get("BENCH_ROUNDS") or 3),
            requests=int(os.environ.get("BENCH_REQUESTS") or 100_000),
            held=int(os.environ.get("BENCH_HELD") or 1_000),
            targets=_words("BENCH_TARGETS", TARGETS),
            parts=_words("BENCH_PARTS", PARTS),
        )

    @property
    def is_whole(self) -> bool:
        return (
            set(self.parts) == set(PARTS) and self.rounds >= 3 and {"direct", "polyscribe"} <= {*self.targets}
        )


def _words(variable: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(os.environ.get(variable, "").replace(",", " ").split()) or known
    if unknown := set(words) - set(known):
        raise StackError(
            f"{variable}: there is no {', '.join(sorted(unknown))}; choose of {', '.join(known)}."
        )
    return words
