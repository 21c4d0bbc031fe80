"""The steps of a version from uploaded to pushed. Each is safe to repeat, and from two workers at once."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Min, QuerySet
from django.utils import timezone

from adapters import object_store
from adapters.errors import NothingToConvert, NotStored, NotUploaded, StorageUnavailable, UploadEnded
from adapters.models import AdapterVersion, Engine, Placement, Status, UploadNote
from adapters.placement import planner
from adapters.routing import publisher
from adapters.uploads import pruner, sessions, storage_quota
from adapters.validation import BaseShape, Finding, Report, archive_reader, autofix, validate_adapter
from adapters.validation.limits import CONFIG_FILE, CONFIG_LIMIT, LIMITS_BYTES, WEIGHTS_FILE
from core import locks
from core.errors import Unavailable
from core.messages import Message
from core.sizes import format_bytes
from events.models import EventType
from events.outbox import record_event

logger = logging.getLogger(__name__)

MAX_EXAMINATIONS = 3


def examine_version(version: AdapterVersion) -> bool:
    """Examine an uploaded version; return whether it moved. One version of a workspace at a time."""
    with locks.only_one(f"examination {version.style.owner_id}") as mine:
        if mine:
            return _examine_alone(version)
    version.wait(UploadNote.ANOTHER_FIRST())
    return False


def _examine_alone(version: AdapterVersion) -> bool:
    if not _count_examination(version):
        return _give_up(version)
    try:
        faults = _seal_files(version) or _count_stored_bytes(version)
        is_moved = _reject(version, faults) if faults else _validate_files(version)
    except (NotStored, NothingToConvert) as error:
        is_moved = _reject(version, [Finding(error.code, {"file": str(error.facts.get("file", ""))})])
    except Unavailable:
        # No examination took place: the files are not to blame for a service that does not answer.
        _uploaded_row(version).update(examinations=F("examinations") - 1)
        raise
    if is_moved:
        _clean_up(version)
    return is_moved


def _uploaded_row(version: AdapterVersion) -> QuerySet[AdapterVersion]:
    return AdapterVersion.objects.filter(pk=version.pk, status=Status.UPLOADED)


def _count_examination(version: AdapterVersion) -> bool:
    """Count an examination before it begins; return False if MAX_EXAMINATIONS were never finished.

    Counted before, since files that kill the worker would otherwise be tried for ever.
    """
    row = _uploaded_row(version).filter(examinations__lt=MAX_EXAMINATIONS)
    return bool(row.update(examinations=F("examinations") + 1, examined_at=timezone.now()))


def _give_up(version: AdapterVersion) -> bool:
    """Reject files whose examination never ends. They stay in the storage, so that support can look."""
    is_moved = _reject(version, [Finding("check_failed")], stored_bytes=version.stored_bytes)
    if is_moved:
        logger.error("%s: the check never finished; the files stay under %s", version, version.pk)
    return is_moved


def _seal_files(version: AdapterVersion) -> Sequence[Finding]:
    """Copy the two files to where no presigned POST can write; return what is wrong with their archive."""
    if version.converted_from:
        _write_converted_files(version.converted_from, version)
    object_store.seal(version.pk, version.files)
    archives = _archives(version)
    if not archives:
        return ()
    [name] = archives
    with object_store.reading(version.pk, name) as archive:
        return archive_reader.unpack(archive, name, partial(object_store.write, version.pk))


def _archives(version: AdapterVersion) -> list[str]:
    """Return the name of the archive that a version was uploaded as, or nothing for two single files."""
    return [file for file in version.files if file not in LIMITS_BYTES]


def _write_converted_files(original: AdapterVersion, version: AdapterVersion) -> None:
    """Write the corrected files of a rejected version as those of a new one. Raises NothingToConvert."""
    with object_store.reading(original.pk, WEIGHTS_FILE) as weights:
        plan = autofix.plan_autofix(_read_config(original), weights, *_validation_context(version))
        if plan is None:
            raise NothingToConvert
        object_store.write(version.pk, CONFIG_FILE, [plan.config_bytes])
        object_store.write(version.pk, WEIGHTS_FILE, plan.weights(weights))


def _count_stored_bytes(version: AdapterVersion) -> Sequence[Finding]:
    """Note what the storage keeps of a version; return why that is too much for the plan, if it is.

    The announced bytes had room when the upload began. What an archive held or a conversion made may be more.
    """
    sizes = object_store.sealed_sizes(version.pk, LIMITS_BYTES)
    stored_bytes = sum(sizes.values())
    announced_bytes = sum(version.files.values())
    owner = version.style.owner
    with transaction.atomic():
        sessions.lock_uploads(owner.pk)
        _uploaded_row(version).update(stored_bytes=stored_bytes)
        if owner.is_first_party or stored_bytes <= announced_bytes:
            return ()
        # The original of a conversion is deleted afterwards.
        original_bytes = version.converted_from.stored_bytes if version.converted_from else 0
        if not storage_quota.storage_of(owner).is_over(without_bytes=original_bytes):
            return ()
    return [Finding("plan_full", {"size": format_bytes(stored_bytes)})]


def _validate_files(version: AdapterVersion) -> bool:
    config = _read_config(version)
    with object_store.reading(version.pk, WEIGHTS_FILE) as weights:
        report = validate_adapter(config, weights, *_validation_context(version))
    return _apply_report(version, report, config)


def _apply_report(version: AdapterVersion, report: Report, config: bytes) -> bool:
    if not report.is_valid:
        return _reject(version, report.findings, conversions=list(report.conversions))
    return version.move(
        before=Status.UPLOADED,
        after=Status.VALID,
        sha256=report.sha256,
        fingerprint=report.fingerprint,
        config_sha256=hashlib.sha256(config).hexdigest(),
        rank=report.rank,
        alpha=report.alpha,
        target_modules=list(report.target_modules),
        size_bytes=report.size_bytes,
    )


def _read_config(version: AdapterVersion) -> bytes:
    with object_store.reading(version.pk, CONFIG_FILE) as source:
        return source.read(0, CONFIG_LIMIT + 1)  # one more, so that validation sees what is too large


def _validation_context(version: AdapterVersion) -> tuple[BaseShape, int, str]:
    """Return what a version is validated against: base, highest rank, and the stated quantisation."""
    base = version.style.base_model
    shape = BaseShape.of(base.name, base.config, base.modules)
    limits = Engine.objects.of(base).aggregate(lowest=Min("max_lora_rank"))
    max_rank = limits["lowest"] or settings.ENGINE_MAX_LORA_RANK
    return shape, max_rank, version.stated_quantisation


def _reject(version: AdapterVersion, findings: Sequence[Finding], **changes: object) -> bool:
    """Reject a version. Its files are kept, and count, only where a conversion of it is offered."""
    if not changes.get("conversions"):
        changes = {"stored_bytes": 0, **changes}
    rejected = {"findings": list(findings), **changes}
    with transaction.atomic():
        is_moved = version.move(before=Status.UPLOADED, after=Status.REJECTED, **rejected)
        if is_moved:
            record_event(version.style.owner_id, EventType.VERSION_REJECTED, version)
    return is_moved


def _clean_up(version: AdapterVersion) -> None:
    """Delete the files that are no longer needed. If the storage is down, `pruner` does it later."""
    try:
        if version.status == Status.REJECTED and not version.conversions:
            object_store.erase(version.pk)
        else:
            object_store.discard_uploads(version.pk, version.files)
            object_store.discard_sealed(version.pk, _archives(version))
        if version.converted_from:
            pruner.withdraw_conversions(version.converted_from)
    except StorageUnavailable as error:
        logger.warning("%s: files that are no longer needed could not be deleted: %s", version, str(error))


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
            return examine_version(version)
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
