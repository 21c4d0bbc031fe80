"""Whose sequence runs next inside vLLM: the rules of polyscribe_scheduler.py, without vLLM.

Each sequence belongs to a pool, which shares the engine with the others. The engine runs so many sequences at
a time, its seats, with adapters in so many slots. A pool's first sequence goes before the second of another
one (for its weight). So a sequence that waits takes the seat of a pool that has more of them than it would
have. Among equals a sequence gives its seat up after a turn: to a newcomer after a short one, to a pool that
was interrupted after a long one, and only when that pool has paused. It goes on later where it was, but reads
again what the prefix cache did not keep. So the turns are not shorter, and who loses least is interrupted.

A weight below 1 is for work that nobody waits for: it takes seats that are free, and gives them up to anyone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# A newcomer waits for the end of one turn at most, and reads its own prompt then.
TURN_S = 2.0
# On a slow engine: a turn in which less is written than is read again afterwards leads nowhere.
TURN_STEPS = 6
# So many turns are the long turn, and the pause. With 16 pools of long answers a CPU engine then writes two
# thirds of what it writes without turns (`tests/journeys/try_turns.py`).
PAUSE_TURNS = 4
# A turn is not over before something came of it: as many tokens, or twice the time where a prompt is read.
TURN_TOKENS = 4


def turn_s(step_s: float) -> float:
    """Return how long a turn is where a step takes so long."""
    return max(TURN_S, TURN_STEPS * step_s)


@dataclass(eq=False, slots=True)
class Sequence:
    """One sequence, and what decides about its seat.

    `adapter` is 0 for the base model. `since_s` is when its seat began; of one that waits, since when it may
    take an equal's seat. `written` are the tokens that it wrote in its seat so far, `loss` those that it
    would read again. `is_returning` says that its pool was interrupted lately.
    """

    id: str
    pool: str
    since_s: float
    weight: float = 1.0
    adapter: int = 0
    written: int = 0
    loss: int = 0
    is_returning: bool = False

    def level(self, seats: int) -> float:
        """Return what its pool has with so many seats, for its weight.

        One of a weight below 1 always has more than any other: a seat more, for a fraction of the weight.
        """
        return (seats + (self.weight < 1)) / self.weight

    def has_had(self, turns: int, turn: float, now_s: float) -> bool:
        """Return whether it had so many turns, of `turn` seconds, and may be interrupted for an equal."""
        seated_s = now_s - self.since_s
        return seated_s >= turns * turn and (self.written >= TURN_TOKENS or seated_s >= 2 * turn)


class Seats:
    """The seats and adapter slots of one engine, and who has them; `turn` is in seconds."""

    def __init__(self, running: Iterable[Sequence], *, seats: int, slots: int, turn: float = TURN_S) -> None:
        self.running = list(running)
        self._seats = seats
        self._slots = slots
        self._turn = turn
        self._by_pool = Counter(sequence.pool for sequence in self.running)
        self._just_seated: set[Sequence] = set()

    def order(self, waiting: Iterable[Sequence]) -> list[Sequence]:
        """Return those that wait in the order in which they get seats."""
        ahead = Counter(self._by_pool)
        ranked = []
        for sequence in sorted(waiting, key=lambda one: one.since_s):
            ranked.append((sequence.level(ahead[sequence.pool]), len(ranked), sequence))
            ahead[sequence.pool] += 1
        return [sequence for _, _, sequence in sorted(ranked, key=lambda one: one[:2])]

    def give(self, waiting: Iterable[Sequence], now_s: float) -> tuple[list[Sequence], list[Sequence]]:
        """Return who gets a seat now, of those that wait in order, and whose seats they take."""
        seated: list[Sequence] = []
        interrupted: list[Sequence] = []
        for sequence in waiting:
            victims = self._victims(sequence, now_s)
            if victims is None:
                continue
            for victim in victims:
                self.running.remove(victim)
                self._by_pool[victim.pool] -= 1
            interrupted += victims
            self.running.append(sequence)
            self._by_pool[sequence.pool] += 1
            self._just_seated.add(sequence)
            seated.append(sequence)
        return seated, interrupted

    def _victims(self, sequence: Sequence, now_s: float) -> list[Sequence] | None:
        """Return who must leave so that a sequence can run: nobody, some, or None where it has to wait."""
        adapters = {one.adapter for one in self.running if one.adapter}
        lacks_slot = bool(sequence.adapter) and sequence.adapter not in adapters
        if lacks_slot and len(adapters) >= self._slots:
            return self._all_of_one_adapter(sequence, adapters, now_s)
        if len(self.running) < self._seats:
            return []
        candidates = [one for one in self.running if self._may_interrupt(sequence, one, now_s)]
        if not candidates:
            return None
        return [max(candidates, key=lambda one: (self._level(one), -one.loss, -one.since_s))]

    def _all_of_one_adapter(
        self, sequence: Sequence, adapters: set[int], now_s: float
    ) -> list[Sequence] | None:
        """Return all sequences of the adapter whose slot is taken away: what loses least, then the oldest."""
        freed = []
        for adapter in adapters:
            users = [one for one in self.running if one.adapter == adapter]
            if all(self._may_interrupt(sequence, one, now_s) for one in users):
                freed.append(users)
        return min(freed, key=_loss_and_begin, default=None)

    def _may_interrupt(self, sequence: Sequence, other: Sequence, now_s: float) -> bool:
        if other.pool == sequence.pool or other in self._just_seated:
            return False
        own_level = sequence.level(self._by_pool[sequence.pool])
        level = self._level(other)
        if level > own_level:
            return True
        if level < own_level or now_s < sequence.since_s:
            return False
        return other.has_had(PAUSE_TURNS if sequence.is_returning else 1, self._turn, now_s)

    def _level(self, sequence: Sequence) -> float:
        """Return what a pool would still have without one of its sequences, for its weight."""
        return sequence.level(self._by_pool[sequence.pool] - 1)


def _loss_and_begin(users: list[Sequence]) -> tuple[int, float]:
    return sum(one.loss for one in users), max(one.since_s for one in users)
