"""Celery's broker: whether it answers, and how much waits in it."""

import json
from collections.abc import Sequence

import redis
from django.conf import settings

TIMEOUT_S = 2
SENT_AT = "sent_at"  # a header of our tasks' messages: seconds since the epoch


def read_queue_lengths(queues: Sequence[str]) -> dict[str, int]:
    """Return how many messages wait in each queue. Raises redis.RedisError."""
    with _connect() as broker:
        pipeline = broker.pipeline(transaction=False)
        for queue in queues:
            pipeline.llen(queue)
        return dict(zip(queues, pipeline.execute(), strict=True))


def read_oldest(queues: Sequence[str]) -> dict[str, float | None]:
    """Return when the oldest message of each queue was sent, in Unix seconds; None where nothing says so.

    Raises redis.RedisError.
    """
    with _connect() as broker:
        pipeline = broker.pipeline(transaction=False)
        for queue in queues:
            pipeline.lindex(queue, -1)  # kombu pushes on the left and pops on the right
        return dict(zip(queues, map(_sent_at, pipeline.execute()), strict=True))


def _sent_at(message: bytes | None) -> float | None:
    if message is None:
        return None
    try:
        return float(json.loads(message)["headers"][SENT_AT])
    except (ValueError, KeyError, TypeError):
        return None


def ping_broker() -> None:
    """Raise redis.RedisError unless the broker answers."""
    with _connect() as broker:
        broker.ping()


def _connect() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL, protocol=2, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )
