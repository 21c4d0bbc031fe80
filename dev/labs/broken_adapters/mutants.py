"""Mutants: adapters that were right, changed in one to four ways. The same seed gives the same mutant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from adapters.validation import BaseShape
from labs.broken_adapters.mutations import configs, damage, headers, tensors, values
from labs.broken_adapters.parts import Dice, Parts, encode, lay_out, serialize
from labs.broken_adapters.valid import origin

COUNTS = (1, 1, 1, 1, 1, 2, 2, 2, 3, 4)

Mutation = Callable[[Any, Dice], None]
STAGES: list[list[Mutation]] = [
    [*configs.MUTATIONS, *tensors.MUTATIONS, *values.MUTATIONS],
    [*headers.ENTRY_MUTATIONS],
    [*headers.TEXT_MUTATIONS],
    [*damage.MUTATIONS],
]
STAGE_OF: dict[Mutation, int] = {}
for _number, _stage in enumerate(STAGES):
    STAGE_OF |= dict.fromkeys(_stage, _number)
ALL = list(chain.from_iterable(STAGES))


@dataclass(frozen=True)
class Mutant:
    """The two files of a mutated adapter; the weights can be read by range, as `examine` does."""

    mutations: tuple[str, ...]
    config: bytes
    weights: bytes

    @property
    def size(self) -> int:
        """The length of the weights' file in bytes."""
        return len(self.weights)

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of the weights' file."""
        return self.weights[start : start + length]


def mutant(seed: str, base: BaseShape, trained: Sequence[Parts] = ()) -> Mutant:
    """Return the mutant of a seed, made of one of the trained adapters or of a random one for the base."""
    dice = Dice(seed)
    chosen = sorted(dice.choices(ALL, k=dice.choice(COUNTS)), key=STAGE_OF.__getitem__)
    spoilt: Any = origin(trained, base, dice)
    for number, onward in enumerate((lay_out, serialize, encode, None)):
        for mutation in chosen:
            if STAGE_OF[mutation] == number:
                mutation(spoilt, dice)
        if onward:
            spoilt = onward(spoilt)
    names = tuple(mutation.__name__ for mutation in chosen)
    return Mutant(names, bytes(spoilt.config), bytes(spoilt.weights))
