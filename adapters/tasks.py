"""Bells: each takes an id, fetches, and does one deed. Beat rings what got lost; all are safe to repeat."""

from celery import shared_task

from adapters import reconciling, routes, sampling, steps, uploads
from adapters.bells import ADVANCE, RECONCILE, ring
from adapters.models import AdapterVersion, Engine

SWEPT_EVERY_S = 5  # a bell that beat rings again is worthless after that


@shared_task
def advance(version_id: str) -> None:
    """Take the next steps of one version."""
    for engine in steps.advance(AdapterVersion.objects.get(pk=version_id)):
        ring(RECONCILE, engine.pk, queue=engine.queue)


@shared_task
def advance_all() -> None:
    """Ring for every version whose bell may have been lost."""
    uploads.abandon_old()
    for version_id in AdapterVersion.objects.in_work().values_list("pk", flat=True):
        ring(ADVANCE, str(version_id), expires=SWEPT_EVERY_S)


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
        ring(RECONCILE, engine.pk, queue=engine.queue, expires=SWEPT_EVERY_S)


@shared_task
def republish_stale() -> None:
    """Publish to the gate what was not published when it changed."""
    routes.republish_stale()
