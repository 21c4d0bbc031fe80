"""What beat enqueues again does not pile up in the queue of a worker that is away."""

from uuid import uuid4

from adapters.enqueue import MAX_QUEUED, RECONCILE, enqueue
from config.celery import app


def waiting(queue: str) -> int:
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(queue).message_count


def test_messages_of_beat_do_not_pile_up_and_others_are_always_sent():
    queue = f"engine.{uuid4().hex}"
    for _ in range(MAX_QUEUED + 5):
        enqueue(RECONCILE, "away", queue=queue, expires_s=2)
    assert waiting(queue) == MAX_QUEUED
    enqueue(RECONCILE, "away", queue=queue)
    assert waiting(queue) == MAX_QUEUED + 1
