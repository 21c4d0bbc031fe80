"""Celery's broker: whether it answers, and how much waits in it."""

import json
from collections.abc import Sequence

import redis
from django.conf import settings

TIMEOUT_S = 2
SENT_AT = "sent_at"  # a header of our tasks' messages: seconds since the epoch


def read_queues(names: Sequence[str]) -> dict[str, tuple[int, float | None]]:
    """Return queue → how many messages wait, and when the oldest was sent.

    That is in Unix seconds, and None where nothing says so. Raises redis.RedisError.
    """
    with _connect() as broker:
        pipeline = broker.pipeline(transaction=False)
        for name in names:
            pipeline.llen(name)
            pipeline.lindex(name, -1)  # kombu pushes on the left and pops on the right
        answers = pipeline.execute()
    return {
        name: (waiting, _sent_at(oldest))
        for name, waiting, oldest in zip(names, answers[::2], answers[1::2], strict=True)
    }


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
