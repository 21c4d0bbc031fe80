"""The steps of a version from uploaded to pushed. Each is safe to repeat, and from two workers at once."""

import logging
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from adapters.errors import NotUploaded, UploadEnded
from adapters.models import AdapterVersion, Engine, Placement, Status, UploadNote
from adapters.placement import planner
from adapters.routing import publisher
from adapters.uploads import examination, sessions
from core import locks
from core.errors import Unavailable
from core.messages import Message

logger = logging.getLogger(__name__)

NEVER = datetime.min.replace(tzinfo=UTC)


def advance_version(version: AdapterVersion) -> list[Engine]:
    """Take every step that can be taken now; return the engines that have something to load.

    When a service does not answer, the version's note says so, and a later call takes the step.
    """
    with locks.only_one(f"version {version.pk}") as mine:
        if not mine:
            return []
        version.refresh_from_db()
        try:
            while _take_step(version):
                pass
        except Unavailable as error:
            version.wait(Message.of(error))
        except Exception:
            version.wait(UploadNote.OUR_FAULT())
            raise
    missing = Placement.objects.filter(version=version, is_desired=True, loaded_at=None)
    return list(Engine.objects.filter(placements__in=missing))


def next_to_examine() -> AdapterVersion | None:
    """Return the upload to examine next: of the workspace whose last examination is longest ago.

    So a workspace with many uploads waits behind one with a single upload.
    """
    oldest_upload: dict[UUID, UUID] = {}
    uploaded = AdapterVersion.objects.filter(status=Status.UPLOADED).order_by("created_at")
    for owner_id, version_id in uploaded.values_list("style__owner", "pk"):
        oldest_upload.setdefault(owner_id, version_id)
    if not oldest_upload:
        return None
    examined = AdapterVersion.objects.filter(style__owner__in=oldest_upload, examined_at__isnull=False)
    by_owner = examined.order_by().values_list("style__owner")
    last_examined = dict(by_owner.annotate(last=Max("examined_at")))
    next_owner = min(oldest_upload, key=lambda owner_id: last_examined.get(owner_id, NEVER))
    return AdapterVersion.objects.filter(pk=oldest_upload[next_owner]).first()


def _take_step(version: AdapterVersion) -> bool:
    """Take one step; return whether the version moved."""
    match version.status:
        case Status.UPLOADING:
            return _finish_upload(version)
        case Status.UPLOADED:
            return examination.examine_version(version)
        case Status.VALID:
            return _push_version(version)
        case Status.PUSHING:
            _record_silent_engines(version)
    return False


def _finish_upload(version: AdapterVersion) -> bool:
    """Finish an upload whose uploader did so while the storage was away."""
    if version.handed_in_at is None:
        return False
    try:
        sessions.finish_upload(version)
    except (NotUploaded, UploadEnded) as error:
        logger.info("%s: %s", version, str(error))  # the version's note or findings tell its uploader
    return version.status != Status.UPLOADING


def _push_version(version: AdapterVersion) -> bool:
    """Request a placement of a version on an engine of its base model."""
    if not Engine.objects.of(version.style.base_model).exists():
        version.wait(UploadNote.NO_ENGINE())
        return False
    with transaction.atomic():
        if not version.move(before=Status.VALID, after=Status.PUSHING):
            return False
        # An engine that refused it is tried again.
        version.placements.filter(is_desired=False).update(note=Message())
        planner.request_placement(version)
        publisher.mark_changed(version.style)
    return True


def _record_silent_engines(version: AdapterVersion) -> None:
    """Say so when no worker does the pushing: it is done beside each engine."""
    engines = Engine.objects.filter(placements__version=version)
    if not engines.exclude(pk__in=Engine.objects.silent()).exists():
        version.wait(planner.EngineNote.SILENT())
