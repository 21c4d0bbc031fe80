"""Bells: each takes an id, fetches, and does one deed. Beat rings what got lost; all are safe to repeat."""

from celery import shared_task

from adapters.catalog import sharing
from adapters.enqueue import ADVANCE, ERASE, MAX_QUEUED_UPLOADS, RECONCILE, enqueue
from adapters.erasure import engine_purge, workflow
from adapters.models import AdapterVersion, Engine, Erasure, Status
from adapters.placement import planner, reconciler
from adapters.quality import samples
from adapters.releases import aliases
from adapters.routing import publisher
from adapters.uploads import conversions, pipeline, pruner, sessions
from foundation import locks

# A bell that beat rings again is worthless after that.
SWEPT_EVERY_S = 5
WAITS_FOR_UPLOADS_S = 60  # behind checks of uploads, which take longer than beat's next bell
RECONCILED_EVERY_S = 2


@shared_task
def advance(version_id: str) -> None:
    """Take the next steps of one version; where it is to be checked, of the one whose turn that is."""
    version = AdapterVersion.objects.get(pk=version_id)
    is_check = version.status == Status.UPLOADED
    if is_check:
        version = pipeline.next_to_validate() or version
    for engine in pipeline.advance_version(version):
        enqueue(RECONCILE, engine.name, queue=engine.queue)
    if is_check and version.status != Status.UPLOADED and (following := pipeline.next_to_validate()):
        enqueue(ADVANCE, str(following.pk), most=MAX_QUEUED_UPLOADS)


@shared_task
def advance_all() -> None:
    """Ring for every version whose bell may have been lost."""
    sessions.abandon_old_uploads()
    for version_id, status in AdapterVersion.objects.in_work().values_list("pk", "status"):
        most = MAX_QUEUED_UPLOADS if status == Status.UPLOADED else None
        enqueue(ADVANCE, str(version_id), most=most, expires=SWEPT_EVERY_S)


@shared_task
def plan() -> None:
    """Decide anew what is wanted where."""
    for engine in planner.plan_all():
        enqueue(RECONCILE, engine.name, queue=engine.queue)


@shared_task
def reconcile(engine_name: str) -> None:
    """Bring one engine to what is wanted. Runs beside it."""
    engine = Engine.objects.select_related("base_model").get(name=engine_name)
    if engine.is_gone:
        return
    is_behind = reconciler.reconcile(engine)
    for erasure_id in engine_purge.purge_engine(engine):
        enqueue(ERASE, str(erasure_id))
    if is_behind:
        return enqueue(RECONCILE, engine.name, queue=engine.queue)
    samples.take_missing_samples(engine)


@shared_task
def reconcile_all() -> None:
    """Ring beside every engine."""
    for engine in Engine.objects.filter(is_gone=False):
        enqueue(RECONCILE, engine.name, queue=engine.queue, expires=RECONCILED_EVERY_S)


@shared_task
def republish_stale() -> None:
    """Publish to the gate what was not published when it changed; one pass at a time."""
    with locks.only_one("republish") as mine:
        if mine:
            publisher.republish_stale()


@shared_task
def erase(erasure_id: str) -> None:
    """Take the next steps of one erasure."""
    erasures = Erasure.objects.select_related("version__style__owner")
    for engine in workflow.advance_erasure(erasures.get(pk=erasure_id)):
        enqueue(RECONCILE, engine.name, queue=engine.queue, expires=SWEPT_EVERY_S)


@shared_task
def erase_all() -> None:
    """Ring for every erasure that has something left to do."""
    for erasure_id in workflow.unfinished_erasures().values_list("pk", flat=True):
        enqueue(ERASE, str(erasure_id), expires=WAITS_FOR_UPLOADS_S)


@shared_task
def end_sharing() -> None:
    """End shares and take out public styles whose notice is over."""
    sharing.end_due_shares()


@shared_task
def watch_canaries() -> None:
    """End canaries that do clearly worse than what is live."""
    aliases.end_failing_canaries()


@shared_task
def withdraw_conversions() -> None:
    """Delete what was kept for conversions that nobody asked for."""
    conversions.withdraw_old_conversions()


@shared_task
def prune_storage() -> None:
    """Delete what lies in the storage without need."""
    pruner.prune_storage()
