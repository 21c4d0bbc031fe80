"""Whose sequence runs next inside vLLM: the rules of polyscribe_scheduler.py, without vLLM.

Each sequence belongs to a pool, which shares the engine with the others. The engine runs so many sequences at
a time, its seats, with adapters in so many slots. A pool's first sequence goes before the second of another
one (for its weight). So a sequence that waits takes the seat of a pool that has more of them than it would
have. Among equals a sequence gives its seat up after a turn: to one that has written nothing yet at once, to
one that was interrupted after a pause.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# A newcomer waits for the end of one turn at most, and reads its own prompt then.
TURN_S = 2.0
# Who was interrupted comes back at the cost of an equal only after that: reading its text again costs steps.
PAUSE_S = 4.0
# A turn is not over before something came of it: as many tokens, or twice the time where a prompt is read.
TURN_TOKENS = 4


@dataclass(eq=False, slots=True)
class Sequence:
    """One sequence, and what decides about its seat.

    `adapter` is 0 for the base model. `since_s` is when its seat or its wait began. `written` are the tokens
    that it wrote in its seat so far; `is_new` says that it never had one.
    """

    id: str
    pool: str
    since_s: float
    weight: float = 1.0
    adapter: int = 0
    written: int = 0
    is_new: bool = True

    def has_had_its_turn(self, now_s: float) -> bool:
        """Return whether it may be interrupted for an equal."""
        seated_s = now_s - self.since_s
        return seated_s >= TURN_S and (self.written >= TURN_TOKENS or seated_s >= 2 * TURN_S)

    def may_interrupt_equals(self, now_s: float) -> bool:
        """Return whether it may take an equal's seat."""
        return self.is_new or now_s - self.since_s >= PAUSE_S


class Seats:
    """The seats and adapter slots of one engine, and who has them."""

    def __init__(self, running: Iterable[Sequence], *, seats: int, slots: int) -> None:
        self.running = list(running)
        self._seats = seats
        self._slots = slots
        self._by_pool = Counter(sequence.pool for sequence in self.running)
        self._just_seated: set[Sequence] = set()

    def order(self, waiting: Iterable[Sequence]) -> list[Sequence]:
        """Return those that wait in the order in which they get seats."""
        ahead = Counter(self._by_pool)
        ranked = []
        # An interrupted one waits behind the newcomers of a pause.
        for sequence in sorted(waiting, key=lambda one: one.since_s + (0 if one.is_new else PAUSE_S)):
            ranked.append((ahead[sequence.pool] / sequence.weight, len(ranked), sequence))
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
        return [max(candidates, key=lambda one: (self._level(one), -one.since_s))]

    def _all_of_one_adapter(
        self, sequence: Sequence, adapters: set[int], now_s: float
    ) -> list[Sequence] | None:
        """Return all sequences of the adapter whose slot is taken away: the one that had its slot longest."""
        freed = []
        for adapter in adapters:
            users = [one for one in self.running if one.adapter == adapter]
            if all(self._may_interrupt(sequence, one, now_s) for one in users):
                freed.append(users)
        return min(freed, key=lambda users: max(one.since_s for one in users), default=None)

    def _may_interrupt(self, sequence: Sequence, other: Sequence, now_s: float) -> bool:
        if other.pool == sequence.pool or other in self._just_seated:
            return False
        own_level = self._by_pool[sequence.pool] / sequence.weight
        level = self._level(other)
        if level > own_level:
            return True
        is_equal = level == own_level
        return is_equal and sequence.may_interrupt_equals(now_s) and other.has_had_its_turn(now_s)

    def _level(self, sequence: Sequence) -> float:
        """Return what a pool would still have without one of its sequences, for its weight."""
        return (self._by_pool[sequence.pool] - 1) / sequence.weight
