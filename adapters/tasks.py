"""Bells: each takes an id, fetches, and does one deed. Beat rings what got lost; all are safe to repeat."""

import logging
from functools import partial
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError
from kombu.pools import producers

from adapters import reconciling, routes, sampling, steps, uploads
from adapters.models import AdapterVersion, Engine

logger = logging.getLogger(__name__)

SWEPT_EVERY_S = 5  # a bell that beat rings again is worthless after that
# Somebody waits while a view rings; kombu's own patience is six seconds even with retry=False.
PATIENCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


@shared_task
def advance(version_id: str) -> None:
    """Take the next steps of one version."""
    for engine in steps.advance(AdapterVersion.objects.get(pk=version_id)):
        ring(reconcile, engine.pk, queue=engine.queue)


@shared_task
def advance_all() -> None:
    """Ring for every version whose bell may have been lost."""
    uploads.abandon_old()
    for version_id in AdapterVersion.objects.in_work().values_list("pk", flat=True):
        ring(advance, str(version_id), expires=SWEPT_EVERY_S)


@shared_task
def reconcile(engine_name: str) -> None:
    """Bring one engine to what is wanted. Runs beside it."""
    engine = Engine.objects.select_related("base_model").get(pk=engine_name)
    reconciling.reconcile(engine)
    sampling.take_missing(engine)


@shared_task
def reconcile_all() -> None:
    """Ring beside every engine."""
    for engine in Engine.objects.all():
        ring(reconcile, engine.pk, queue=engine.queue, expires=SWEPT_EVERY_S)


@shared_task
def republish_stale() -> None:
    """Publish to the gate what was not published when it changed."""
    routes.republish_stale()


def ring_advance(version_id: UUID) -> None:
    """Ring for one version when the transaction commits."""
    transaction.on_commit(partial(ring, advance, str(version_id)), robust=True)


def ring(task: "Task[..., Any]", *args: str, **options: Any) -> None:
    """Send a task, with Celery's `queue` and `expires` (seconds) if given.

    A broker that does not answer fails nobody: beat rings again.
    """
    connection = task.app.connection_for_write()
    connection.transport_options = {**(connection.transport_options or {}), **PATIENCE}
    try:
        with producers[connection].acquire(block=True) as producer:
            task.apply_async(args, producer=producer, retry=False, **options)
    except (OperationalError, OSError) as error:
        logger.warning("The broker does not answer; beat rings again for %s: %s", task.name, error)
