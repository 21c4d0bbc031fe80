"""The steps of a version from uploaded to pushed. Each is safe to repeat, and from two workers at once."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Min, QuerySet
from django.utils import timezone

from adapters import object_store
from adapters.errors import NothingToConvert, NotStored, NotUploaded, StorageUnavailable
from adapters.models import AdapterVersion, Engine, Placement, Status
from adapters.placement import planner
from adapters.routing import publisher
from adapters.uploads import conversions, sessions, storage_quota
from adapters.validation import BaseShape, Finding, Report, archive_reader, autofix, validate_adapter
from adapters.validation.limits import CONFIG_FILE, CONFIG_LIMIT, LIMITS_BYTES, WEIGHTS_FILE
from foundation import locks
from foundation.errors import Unavailable

logger = logging.getLogger(__name__)

MOST_EXAMINATIONS = 3
NEVER = datetime.min.replace(tzinfo=UTC)
CHECK_FAILED = Finding(
    "check_failed",
    "The check of this upload broke off three times. That is our fault, not that of your files.",
    "Support has the files and looks into it; what served before still serves.",
)
NOT_YET = "Another upload of this workspace is being checked; this one follows."
OUR_FAULT = "Something broke on our side. The operators see it, and it is tried again by itself."


def advance_version(version: AdapterVersion) -> list[Engine]:
    """Take every step that can be taken now; return the engines that have something to load.

    What is not reachable is noted on the version, and the step is taken when it is back.
    """
    with locks.only_one(f"version {version.pk}") as mine:
        if not mine:
            return []
        version.refresh_from_db()
        try:
            while _step(version):
                pass
        except Unavailable as error:
            version.wait(error.message)
        except Exception:
            version.wait(OUR_FAULT)
            raise
    waiting = Placement.objects.filter(version=version, is_desired=True, loaded_at=None)
    return list(Engine.objects.filter(placements__in=waiting))


def next_to_validate() -> AdapterVersion | None:
    """Return the upload to be checked next: of the workspace that had its last turn longest ago."""
    waiting = AdapterVersion.objects.filter(status=Status.UPLOADED).order_by("created_at")
    oldest: dict[UUID, UUID] = {}
    for owner_id, version_id in waiting.values_list("style__owner", "pk"):
        oldest.setdefault(owner_id, version_id)
    if not oldest:
        return None
    turns = AdapterVersion.objects.filter(style__owner__in=oldest, examined_at__isnull=False)
    last_turn = dict(turns.values_list("style__owner").annotate(last=Max("examined_at")).order_by())
    owner_id = min(oldest, key=lambda owner: last_turn.get(owner, NEVER))
    return AdapterVersion.objects.filter(pk=oldest[owner_id]).first()


def _step(version: AdapterVersion) -> bool:
    """Take one step; return whether the version moved."""
    match version.status:
        case Status.UPLOADING:
            return _finish(version)
        case Status.UPLOADED:
            return _examine(version)
        case Status.VALID:
            return _push(version)
        case Status.PUSHING:
            _watch(version)
    return False


def _finish(version: AdapterVersion) -> bool:
    if version.handed_in_at is None:
        return False
    try:
        sessions.finish_upload(version)
    except NotUploaded as error:
        logger.info("%s: %s", version, error.message)  # finish has noted it for its uploader
    return version.status != Status.UPLOADING


def _examine(version: AdapterVersion) -> bool:
    """Check a version and move it on; one at a time of a workspace."""
    with locks.only_one(f"examination {version.style.owner_id}") as mine:
        if mine:
            return _examine_alone(version)
    version.wait(NOT_YET)
    return False


def _examine_alone(version: AdapterVersion) -> bool:
    """Check a version and move it on. Where something can't be reached just now, that is no examination."""
    if not _count(version):
        return _give_up(version)
    try:
        faults = _seal(version) or _measure(version)
        moved = _reject(version, faults) if faults else _judge(version)
    except (NotStored, NothingToConvert) as error:
        moved = _reject(version, [Finding(error.code, error.message, "Upload the adapter again.")])
    except Unavailable:
        _uploaded(version).update(examinations=F("examinations") - 1)
        raise
    if moved:
        _tidy(version)
    return moved


def _uploaded(version: AdapterVersion) -> QuerySet[AdapterVersion]:
    return AdapterVersion.objects.filter(pk=version.pk, status=Status.UPLOADED)


def _count(version: AdapterVersion) -> bool:
    """Count an examination before it begins; False if as many as there may be never came to an end."""
    left = _uploaded(version).filter(examinations__lt=MOST_EXAMINATIONS)
    return bool(left.update(examinations=F("examinations") + 1, examined_at=timezone.now()))


def _give_up(version: AdapterVersion) -> bool:
    """Reject files that kill the worker, or that we fail at; they stay in the storage to be looked at."""
    moved = _reject(version, [CHECK_FAILED], stored_bytes=version.stored_bytes)
    if moved:
        logger.error("%s: its check never ended; its files stay under %s", version, version.pk)
    return moved


def _seal(version: AdapterVersion) -> Sequence[Finding]:
    """Lay an adapter's two files where nobody outside can write; return what is wrong with their archive."""
    if version.converted_from:
        _convert(version.converted_from, version)
    object_store.seal(version.pk, version.files)
    packed = _packed(version)
    if not packed:
        return ()
    with object_store.reading(version.pk, packed[0]) as archive:
        return archive_reader.unpack(archive, packed[0], partial(object_store.write, version.pk))


def _measure(version: AdapterVersion) -> Sequence[Finding]:
    """Write down what the storage keeps of a version; return why that is too much for its plan.

    What was announced is known to have room. What an archive held or a conversion made may be larger.
    """
    sizes = object_store.sealed_sizes(version.pk, LIMITS_BYTES)
    owner, stored = version.style.owner, sum(sizes.values())
    with transaction.atomic():
        locks.one_at_a_time(sessions.lock_of(owner.pk))
        _uploaded(version).update(stored_bytes=stored)
        if owner.is_first_party or stored <= sum(version.files.values()):
            return ()
        original = version.converted_from.stored_bytes if version.converted_from else 0  # it goes afterwards
        if not storage_quota.storage_of(owner).is_over(without_bytes=original):
            return ()
    sentence = (
        f"Unpacked or converted it has {storage_quota.in_gb(stored)}, for which your plan has no room left."
    )
    return [Finding("plan_full", sentence, storage_quota.REMEDY)]


def _packed(version: AdapterVersion) -> list[str]:
    """Return the archive that a version was uploaded as, if it was."""
    return [file for file in version.files if file not in LIMITS_BYTES]


def _convert(original: AdapterVersion, version: AdapterVersion) -> None:
    """Write the mended files of a rejected version as those of a new one. Raises NothingToConvert."""
    with object_store.reading(original.pk, WEIGHTS_FILE) as weights:
        plan = autofix.plan_autofix(_config(original), weights, *_yardstick(version))
        if plan is None:
            raise NothingToConvert
        object_store.write(version.pk, CONFIG_FILE, [plan.config_bytes])
        object_store.write(version.pk, WEIGHTS_FILE, plan.weights(weights))


def _judge(version: AdapterVersion) -> bool:
    config = _config(version)
    with object_store.reading(version.pk, WEIGHTS_FILE) as weights:
        report = validate_adapter(config, weights, *_yardstick(version))
    if not report.is_valid:
        return _reject(version, report.findings, conversions=list(report.conversions))
    return version.move(
        before=Status.UPLOADED,
        after=Status.VALID,
        sha256=report.sha256,
        config_sha256=hashlib.sha256(config).hexdigest(),
        **_facts(report),
    )


def _config(version: AdapterVersion) -> bytes:
    with object_store.reading(version.pk, CONFIG_FILE) as source:
        return source.read(0, CONFIG_LIMIT + 1)


def _yardstick(version: AdapterVersion) -> tuple[BaseShape, int, str]:
    """Return what a version is held against: base, highest rank, and how its uploader says it was trained."""
    base = version.style.base_model
    shape = BaseShape.of(base.name, base.config, base.modules)
    return shape, _max_rank(version), version.stated_quantisation


def _reject(version: AdapterVersion, findings: Iterable[Finding], **changes: object) -> bool:
    """Reject a version. Its files are kept only where a conversion of it is offered."""
    told = [asdict(finding) for finding in findings]
    changes = {"stored_bytes": 0, **changes} if not changes.get("conversions") else changes
    return version.move(before=Status.UPLOADED, after=Status.REJECTED, findings=told, **changes)


def _facts(report: Report) -> dict[str, object]:
    return {
        "rank": report.rank,
        "alpha": report.alpha,
        "target_modules": list(report.target_modules),
        "size_bytes": report.size_bytes,
    }


def _max_rank(version: AdapterVersion) -> int:
    engines = Engine.objects.of(version.style.base_model)
    return engines.aggregate(least=Min("max_lora_rank"))["least"] or settings.ENGINE_MAX_LORA_RANK


def _tidy(version: AdapterVersion) -> None:
    """Delete what is not needed any more. What stays when the storage is down costs room, nothing else."""
    try:
        if version.status == Status.REJECTED and not version.conversions:
            object_store.erase(version.pk)
        else:
            object_store.discard_uploads(version.pk, version.files)
            object_store.discard_sealed(version.pk, _packed(version))
        if version.converted_from:
            conversions.withdraw_conversions(version.converted_from)
    except StorageUnavailable as error:
        logger.warning("%s: files that are not needed any more stay: %s", version, error.message)


def _push(version: AdapterVersion) -> bool:
    """Want a version on an engine of its base model."""
    if not Engine.objects.of(version.style.base_model).exists():
        version.wait("No engine serves this base model yet; this goes on by itself when one is added.")
        return False
    with transaction.atomic():
        if not version.move(before=Status.VALID, after=Status.PUSHING):
            return False
        version.placements.filter(is_desired=False).update(note="")  # refused before: now tried again
        planner.request_placement(version)
        publisher.mark_changed(version.style)
    return True


def _watch(version: AdapterVersion) -> None:
    """Say so when nobody does the pushing; the work itself is done beside each engine."""
    engines = Engine.objects.filter(placements__version=version)
    if not engines.exclude(pk__in=Engine.objects.silent()).exists():
        version.wait(planner.SILENT)
