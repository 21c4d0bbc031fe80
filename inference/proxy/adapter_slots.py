"""The adapter slots of one engine: which styles have one, since when, and which must leave theirs."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

# A change of adapters stops the engine for up to 50 ms: at most a twentieth of a quantum.
QUANTUM_S = 1.0


@dataclass(eq=False, slots=True)
class SlotTime:
    """How long one tenant had slots, in seconds over its weight."""

    slots_s: float = 0.0


@dataclass(eq=False, slots=True)
class _Slot:
    """A style that runs: since when, with how many requests, and whose time it is."""

    time: SlotTime
    weight: int
    since_s: float
    running: int = 0


@dataclass(eq=False, slots=True)
class AdapterSlots:
    """The slots that a fair queue gives to styles. The base model ("") needs none."""

    count: int
    clock: Callable[[], float] = time.monotonic
    taken: dict[str, _Slot] = field(default_factory=dict)  # the longest taken first

    @property
    def free(self) -> int:
        """How many slots nobody has; below 0 where slots became fewer."""
        return self.count - len(self.taken)

    def fits(self, style: str, leaving: Collection[str] = ()) -> bool:
        """Return whether a style may run: it needs no slot, keeps its own, or one is free."""
        if not style:
            return True
        if style in self.taken:
            return style not in leaving
        return len(self.taken) < self.count

    def must_leave(self, wanted: int) -> list[str]:
        """Return the styles that begin nothing more: as many as are wanted, of those that had a quantum."""
        had_quantum_s = self.clock() - QUANTUM_S
        # `taken` is in the order in which slots were taken, so who had one for longest leaves first.
        leaving = [style for style, slot in self.taken.items() if slot.since_s <= had_quantum_s]
        return leaving[:wanted]

    def take(self, style: str, tenant: SlotTime, weight: int) -> bool:
        """Count one request of a style that runs; return whether its slot is a new one."""
        slot = self.taken.get(style)
        if slot:
            # Workspaces may share a style. Its slot counts to the one that took it.
            slot.running += 1
            return False
        tenant.slots_s += QUANTUM_S / weight  # an estimate, put right when the style leaves
        self.taken[style] = _Slot(tenant, weight, self.clock(), running=1)
        return True

    def leave(self, style: str) -> None:
        """Count one request of a style no more; its slot is free after the last one."""
        slot = self.taken[style]
        slot.running -= 1
        if slot.running == 0:
            del self.taken[style]
            slot.time.slots_s += (self.clock() - slot.since_s - QUANTUM_S) / slot.weight
