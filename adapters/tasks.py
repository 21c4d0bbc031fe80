"""Celery tasks: each takes an id, fetches the row, and calls one action. All are safe to repeat.

Beat sends again what a broker may have lost. A message expires when beat sends the next one.
"""

from celery import shared_task
from django.utils import timezone

from adapters.catalog import price_changes, sharing
from adapters.enqueue import (
    ADVANCE,
    ERASE,
    MAX_QUEUED_UPLOADS,
    enqueue,
    enqueue_loads,
    enqueue_reconcile,
)
from adapters.erasure import engine_purge, workflow
from adapters.models import AdapterVersion, Engine, Erasure, Status
from adapters.placement import planner, reconciler, transitions
from adapters.quality import samples
from adapters.releases import aliases
from adapters.routing import publisher
from adapters.uploads import pipeline, sessions
from core import locks
from core.queues import interval_s

# Longer than beat's interval: its queue also has examinations of uploads, which take long.
ERASE_EXPIRES_S = 60


@shared_task
def advance(version_id: str) -> None:
    """Take the next steps of one version. Of uploads to examine, the one is taken whose turn it is."""
    version = AdapterVersion.objects.get(pk=version_id)
    is_examination = version.status == Status.UPLOADED
    if is_examination:
        version = pipeline.next_to_examine() or version
    engines = pipeline.advance_version(version)
    # A version that is to be pushed and has no engine needs a plan that makes room.
    if engines or version.status == Status.PUSHING:
        enqueue_loads(engines)
    if is_examination and version.status != Status.UPLOADED:
        next_version = pipeline.next_to_examine()
        if next_version:
            enqueue(ADVANCE, str(next_version.pk), max_queued=MAX_QUEUED_UPLOADS)


@shared_task
def advance_all() -> None:
    """Enqueue every version that has a step to take."""
    sessions.abandon_old_uploads()
    for version_id, status in AdapterVersion.objects.in_work().values_list("pk", "status"):
        max_queued = MAX_QUEUED_UPLOADS if status == Status.UPLOADED else None
        enqueue(ADVANCE, str(version_id), max_queued=max_queued, expires_s=interval_s(advance_all.name))


@shared_task
def plan() -> None:
    """Plan anew which version is placed on which engine."""
    for engine in planner.plan_all():
        enqueue_reconcile(engine)


@shared_task
def reconcile(engine_name: str) -> None:
    """Bring one engine to its desired placements. Runs in the worker beside it."""
    engine = Engine.objects.select_related("base_model").get(name=engine_name)
    if engine.is_gone:
        return
    is_behind = reconciler.reconcile(engine)
    for erasure_id in engine_purge.purge_engine(engine):
        enqueue(ERASE, str(erasure_id))
    if is_behind:
        enqueue_reconcile(engine)
    else:
        samples.take_missing_samples(engine)


@shared_task
def reconcile_all() -> None:
    """Enqueue every engine."""
    for engine in Engine.objects.filter(is_gone=False):
        enqueue_reconcile(engine, expires_s=interval_s(reconcile_all.name))


@shared_task
def republish_stale() -> None:
    """Publish the routes that were not published when they changed; one pass at a time."""
    with locks.only_one("republish") as mine:
        if mine:
            publisher.republish_stale()


@shared_task
def compare_routes() -> None:
    """Write the rows of routes that Valkey lost without being emptied; one pass at a time."""
    with locks.only_one("republish") as mine:
        if mine:
            publisher.compare_tables()


@shared_task
def erase(erasure_id: str) -> None:
    """Take the next steps of one erasure."""
    erasure = Erasure.objects.select_related("version__style__owner").get(pk=erasure_id)
    for engine in workflow.advance_erasure(erasure):
        enqueue_reconcile(engine, expires_s=interval_s(erase_all.name))


@shared_task
def erase_all() -> None:
    """Enqueue every erasure that has a step to take."""
    for erasure_id in workflow.unfinished_erasures().values_list("pk", flat=True):
        enqueue(ERASE, str(erasure_id), expires_s=ERASE_EXPIRES_S)


@shared_task
def end_sharing() -> None:
    """End shares and public offers whose notice is over."""
    sharing.end_due_shares()


@shared_task
def watch_canaries() -> None:
    """End canaries that do clearly worse than the live version."""
    aliases.end_failing_canaries()


@shared_task
def record_hosted() -> None:
    """Note which private styles engines have in this month, for its invoices."""
    transitions.record_all_hosted()


@shared_task
def change_prices() -> None:
    """Announce agreed prices of styles, and add them for their day. Safe to repeat."""
    price_changes.announce_agreed(timezone.now())
