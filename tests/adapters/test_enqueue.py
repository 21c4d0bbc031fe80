"""Bells: what beat rings again does not pile up in the queue of a worker that is away."""

from uuid import uuid4

from adapters.enqueue import MANY, RECONCILE, ring
from config.celery import app


def waiting(queue: str) -> int:
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(queue).message_count


def test_bells_of_beat_do_not_pile_up_and_others_are_always_rung():
    queue = f"engine.{uuid4().hex}"
    for _ in range(MANY + 5):
        ring(RECONCILE, "away", queue=queue, expires=2)
    assert waiting(queue) == MANY
    ring(RECONCILE, "away", queue=queue)
    assert waiting(queue) == MANY + 1
