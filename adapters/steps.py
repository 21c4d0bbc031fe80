"""The steps of a version from uploaded to pushed. Each is safe to repeat, and from two workers at once."""

import logging
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from adapters import routes, storage, uploads
from adapters.errors import NotStored, NotUploaded, StorageUnavailable
from adapters.files import CONFIG_FILE, WEIGHTS_FILE
from adapters.models import AdapterVersion, Engine, Placement, Status
from adapters.validation import (
    BaseShape,
    Finding,
    LocalFile,
    Report,
    examine,
)
from foundation import locks
from foundation.errors import Unavailable

logger = logging.getLogger(__name__)

SILENT_AFTER = timedelta(seconds=60)
OUR_FAULT = "Something broke on our side. The operators see it, and it is tried again by itself."


def advance(version: AdapterVersion) -> list[Engine]:
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
    waiting = Placement.objects.filter(version=version, is_wanted=True, loaded_at=None)
    return list(Engine.objects.filter(placements__in=waiting))


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
        uploads.finish(version)
    except NotUploaded as error:
        logger.info("%s: %s", version, error.message)  # finish has noted it for its uploader
    return version.status != Status.UPLOADING


def _examine(version: AdapterVersion) -> bool:
    try:
        storage.seal(version.pk, version.files)
        moved = _judge(version)
    except NotStored as error:
        finding = Finding("not_stored", error.message, "Upload the adapter again.")
        moved = version.move(before=Status.UPLOADED, after=Status.REJECTED, findings=[asdict(finding)])
    if moved:
        _tidy(version)
    return moved


def _judge(version: AdapterVersion) -> bool:
    with TemporaryDirectory(prefix="adapter-") as folder:
        config, weights = Path(folder, CONFIG_FILE), Path(folder, WEIGHTS_FILE)
        config_sha256 = storage.download(version.pk, CONFIG_FILE, config)
        sha256 = storage.download(version.pk, WEIGHTS_FILE, weights)
        base = version.style.base_model
        report = examine(
            config.read_bytes(),
            LocalFile(weights),
            BaseShape.of(base.name, base.config, base.modules),
            _max_rank(version),
        )
    if report.findings:
        return version.move(
            before=Status.UPLOADED,
            after=Status.REJECTED,
            findings=[asdict(finding) for finding in report.findings],
        )
    return version.move(
        before=Status.UPLOADED,
        after=Status.VALID,
        sha256=sha256,
        config_sha256=config_sha256,
        **_facts(report),
    )


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
        storage.discard_uploads(version.pk, version.files)
        if version.status == Status.REJECTED:
            storage.discard_sealed(version.pk, version.files)
    except StorageUnavailable as error:
        logger.warning("%s: files that are not needed any more stay: %s", version, error.message)


def _push(version: AdapterVersion) -> bool:
    """Want a version on every engine of its base model."""
    engines = list(Engine.objects.of(version.style.base_model))
    if not engines:
        version.wait("No engine serves this base model yet; this goes on by itself when one is added.")
        return False
    with transaction.atomic():
        if not version.move(before=Status.VALID, after=Status.PUSHING):
            return False
        Placement.objects.bulk_create(
            [Placement(engine=engine, version=version) for engine in engines], ignore_conflicts=True
        )
        version.placements.filter(engine__in=engines).update(is_wanted=True, note="")
        routes.changed(version.style)
    return True


def _watch(version: AdapterVersion) -> None:
    """Say so when nobody does the pushing; the work itself is done beside each engine."""
    alive = timezone.now() - SILENT_AFTER
    if not Engine.objects.filter(placements__version=version, checked_at__gt=alive).exists():
        version.wait("The worker beside the engine does not report; this goes on by itself when it is back.")
