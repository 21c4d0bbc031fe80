"""Ringing for work: a task is named, not imported, so that web processes don't load what workers need.

Celery itself is imported by who rings: a gateway does for the first style that it finds cold.
"""

import logging
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

MAX_QUEUED = 10  # bells in a queue that nobody answers: beat's next one would only make it longer
# Each wakes a worker for the upload whose turn it is, whichever one it names: more only hold up others.
MAX_QUEUED_UPLOADS = 4
logger = logging.getLogger(__name__)

ADVANCE = "adapters.tasks.advance"
PLAN = "adapters.tasks.plan"
RECONCILE = "adapters.tasks.reconcile"
ERASE = "adapters.tasks.erase"
# Somebody waits while a view rings; kombu's own patience is six seconds even with retry=False.
BROKER_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


def enqueue_advance(version_id: UUID) -> None:
    """Ring for one version when the transaction commits."""
    transaction.on_commit(partial(enqueue, ADVANCE, str(version_id), most=MAX_QUEUED_UPLOADS), robust=True)


def enqueue(task: str, *args: str, most: int | None = None, **options: Any) -> None:
    """Send a task by its name, with Celery's `queue` and `expires` (seconds) if given.

    A broker that does not answer fails nobody: beat rings again. What expires is rung again by beat as well,
    so it is not added to a queue of `most` (else MANY): only a worker takes out what has expired, and one may
    be away.
    """
    from celery import current_app  # noqa: PLC0415
    from kombu.exceptions import OperationalError  # noqa: PLC0415
    from kombu.pools import producers  # noqa: PLC0415

    connection = current_app.connection_for_write()
    connection.transport_options = {**(connection.transport_options or {}), **BROKER_RETRY}
    try:
        with producers[connection].acquire(block=True) as producer:
            if most is None and "expires" in options:
                most = MAX_QUEUED
            queue = options.get("queue") or current_app.conf.task_routes[task]["queue"]
            if most is not None and _waiting_in(queue, producer) >= most:
                return
            current_app.signature(task, args).apply_async(producer=producer, retry=False, **options)
    except (OperationalError, OSError) as error:
        logger.warning("The broker does not answer; beat rings again for %s: %s", task, error)


def _waiting_in(queue: str, producer: Any) -> int:
    """Return how many messages wait in a queue."""
    return int(producer.channel.queue_declare(queue).message_count)
