"""Celery's broker: whether it answers, and how much waits in it."""

from collections.abc import Sequence

import redis
from django.conf import settings

TIMEOUT_S = 2


def read_queue_lengths(queues: Sequence[str]) -> dict[str, int]:
    """Return how many messages wait in each queue. Raises redis.RedisError."""
    with _connect() as broker:
        pipeline = broker.pipeline(transaction=False)
        for queue in queues:
            pipeline.llen(queue)
        return dict(zip(queues, pipeline.execute(), strict=True))


def ping_broker() -> None:
    """Raise redis.RedisError unless the broker answers."""
    with _connect() as broker:
        broker.ping()


def _connect() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL, protocol=2, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )
