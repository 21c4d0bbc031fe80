"""What waits and runs at one engine: tickets of requests, in queues of styles, in shares of tenants."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from inference.proxy.adapter_slots import SlotTime


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's places at an engine, or its wait for them.

    `cost` is in tokens that it may need. `style` is the engine's name of the adapter, "" for the base model,
    which needs no slot. `places` are those that it has while it runs. `overtook` is the number of the hold
    during which it began, 0 outside of one. `is_entrant` says that it began beyond the places.

    `rank` is how many sequences its tenant ran when it began. The engine reads prompts in that order, so that
    nobody's first words wait for all that one tenant sent at once.
    """

    tenant: str
    style: str
    weight: int
    cost: int
    sequences: int = 1
    places: int = 0
    overtook: int = 0
    rank: int = 0
    is_running: bool = False
    is_entrant: bool = False
    queued_s: float = 0.0
    turn: asyncio.Future[None] | None = None


@dataclass(eq=False, slots=True)
class StyleQueue:
    """One style of one tenant: its waiting requests, and the tokens that it has been served."""

    style: str
    served: float = 0.0
    waiting: deque[Ticket] = field(default_factory=deque)


@dataclass(eq=False, slots=True)
class TenantShare(SlotTime):
    """One tenant: its styles' queues, its running sequences, and the tokens `served` over its weight."""

    served: float = 0.0
    running: int = 0
    entrants: int = 0  # requests that run beyond the places
    waiting: int = 0
    queues: dict[str, StyleQueue] = field(default_factory=dict)

    def waiting_queues(self) -> list[StyleQueue]:
        """Return the queues in which somebody waits."""
        return [queue for queue in self.queues.values() if queue.waiting]


class Candidate(NamedTuple):
    """The first request of one style of one tenant."""

    share: TenantShare
    queue: StyleQueue
    ticket: Ticket
