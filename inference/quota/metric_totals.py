"""Forgets the totals of engines that are gone, so that they do not grow with every engine that ever was."""

from core import valkey
from inference import metrics
from inference.facts import Store

# One command is one step of Valkey's single thread: requests wait while it runs.
BATCH_SIZE = 500


def prune_totals(store: Store) -> int:
    """Remove the totals of engines that no gateway knows; return how many. Raises redis.RedisError."""
    engines = set(store.hkeys(valkey.route_engines_key()))
    if not engines:
        return 0  # Valkey was emptied, and the routes are not written anew yet
    positions = {
        metric.name: metric.labels.index("engine") for metric in metrics.ALL if "engine" in metric.labels
    }
    stale = []
    for written in store.hkeys(valkey.metrics_key()):
        name, labels = metrics.read_total(written)
        position = positions.get(name)
        if position is not None and labels[position] not in engines:
            stale.append(written)
    for start in range(0, len(stale), BATCH_SIZE):
        store.hdel(valkey.metrics_key(), *stale[start : start + BATCH_SIZE])
    return len(stale)
