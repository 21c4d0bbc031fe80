"""How much waits to be settled or recorded: what tells whether the drain and the sweeper keep up."""

from dataclasses import dataclass

from core import valkey
from inference.facts import Store


@dataclass(frozen=True)
class Backlog:
    """Open requests, and usage events on their way to the ledger. Ages are by Valkey's own clock."""

    open_holds: int
    overdue_holds: int
    pending_events: int
    oldest_event_s: float
    refused_events: int


def read_backlog(store: Store) -> Backlog:
    """Return what waits just now. Raises redis.RedisError."""
    seconds, microseconds = store.time()
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    oldest = store.xrange(valkey.usage_key(), count=1)
    oldest_ms = int(oldest[0][0].split("-")[0]) if oldest else now_ms
    return Backlog(
        open_holds=store.zcard(valkey.leases_key()),
        overdue_holds=store.zcount(valkey.leases_key(), 0, now_ms),
        pending_events=store.xlen(valkey.usage_key()),
        oldest_event_s=max(0, now_ms - oldest_ms) / 1000,
        refused_events=store.xlen(valkey.refused_usage_key()),
    )
