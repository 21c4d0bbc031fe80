"""Enqueue Celery tasks: at the edge only, from views, tasks and the other packages.

Rows are the queue and a message only wakes a worker: beat sends again what was lost. A task is named, not
imported, and Celery is imported by the first call: a web process would otherwise load what only workers need.
"""

import logging
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from adapters.models import Engine
from adapters.placement import planner
from core.queues import queue_of

if TYPE_CHECKING:
    from celery import Celery

MAX_QUEUED = 10  # messages in a queue without a worker; the next one of beat would only make it longer
# Each wakes a worker for the upload that is next, whichever it names: more would only hold up other tasks.
MAX_QUEUED_UPLOADS = 4
logger = logging.getLogger(__name__)

ADVANCE = "adapters.tasks.advance"
PLAN = "adapters.tasks.plan"
RECONCILE = "adapters.tasks.reconcile"
ERASE = "adapters.tasks.erase"
# A person waits for the view that enqueues; kombu would retry for six seconds even with retry=False.
BROKER_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


def enqueue_advance(version_id: UUID) -> None:
    """Enqueue the next steps of one version when the transaction commits."""
    send = partial(enqueue, ADVANCE, str(version_id), max_queued=MAX_QUEUED_UPLOADS)
    transaction.on_commit(send, robust=True)


def enqueue_erasure(erasure_id: int) -> None:
    """Enqueue the next steps of one erasure when the transaction commits."""
    transaction.on_commit(partial(enqueue, ERASE, str(erasure_id)), robust=True)


def enqueue_reconcile(engine: Engine, *, expires_s: float | None = None) -> None:
    """Enqueue a pass beside one engine, on the queue of the worker there."""
    enqueue(RECONCILE, engine.name, queue=engine.queue, expires_s=expires_s)


def request_version(version_id: str) -> None:
    """Have a version loaded soon because a request waits for it. Quick, and safe to repeat."""
    enqueue_loads(planner.request_version(version_id))


def enqueue_loads(engines: list[Engine]) -> None:
    """Enqueue a pass beside each engine that is to load a version; without any, a plan that makes room."""
    for engine in engines:
        enqueue_reconcile(engine)
    if not engines:
        enqueue(PLAN, max_queued=MAX_QUEUED)


def enqueue(
    task: str,
    *args: str,
    queue: str | None = None,
    expires_s: float | None = None,
    max_queued: int | None = None,
) -> None:
    """Send a task by its name, unless its queue holds `max_queued` messages already.

    A broker that does not answer fails no caller: beat sends again. Beat also sends again what expires, so
    that goes into no queue of MAX_QUEUED: only a worker takes out what has expired, and it may be away.
    """
    from kombu.exceptions import OperationalError  # noqa: PLC0415
    from kombu.pools import producers  # noqa: PLC0415

    sender = _sender()
    queue = queue or queue_of(task)
    options: dict[str, Any] = {"queue": queue}
    if expires_s is not None:
        options["expires"] = expires_s
        max_queued = MAX_QUEUED if max_queued is None else max_queued
    connection = sender.connection_for_write()
    connection.transport_options = {**(connection.transport_options or {}), **BROKER_RETRY}
    try:
        with producers[connection].acquire(block=True) as producer:
            if max_queued is not None and _count_queued(queue, producer) >= max_queued:
                return
            message = sender.signature(task, args)
            message.apply_async(producer=producer, retry=False, **options)
    except (OperationalError, OSError) as error:
        logger.warning("The broker isn't responding; beat will enqueue %s again: %s", task, error)


def _sender() -> "Celery":
    """Return the Celery app that sends: a gateway process runs no tasks and makes one of its own."""
    from celery import current_app  # noqa: PLC0415

    return current_app if current_app.conf.task_routes else _make_sender()


@cache
def _make_sender() -> "Celery":
    from celery import Celery  # noqa: PLC0415

    return Celery("sender", set_as_current=False, config_source="django.conf:settings", namespace="CELERY")


def _count_queued(queue: str, producer: Any) -> int:
    """Return how many messages wait in a queue."""
    return int(producer.channel.queue_declare(queue).message_count)
