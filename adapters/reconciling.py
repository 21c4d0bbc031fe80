"""Reconciling: make an engine serve what is wanted on it. Engines forget everything when they restart."""

import logging
import re
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from adapters import engine as control
from adapters import identity, placing, routes, serving
from adapters.errors import DiskUnavailable, EngineRefused, EngineUnavailable, NotStored, NotTheCheckedFile
from adapters.files import CONFIG_FILE, WEIGHTS_FILE
from adapters.models import IDENTITY, AdapterVersion, Engine, Placement, Status
from foundation import locks
from foundation.errors import DomainError, Unavailable

logger = logging.getLogger(__name__)

OURS = re.compile(r"v_[0-9a-f]{32}")
WITHOUT_BASE = "The base model can't be served: "


def reconcile(engine: Engine) -> None:
    """Bring an engine from what it lists to what is wanted. Only one at a time; another call returns at once.

    What is not reachable is noted on the engine and on the versions that wait; the next call goes on.
    """
    with locks.only_one(f"engine {engine.pk}") as mine:
        if mine:
            _reconcile(engine)


def _reconcile(engine: Engine) -> None:
    try:
        present = control.loaded(engine)
        placements = _wanted(engine)
        static = _static_modules(engine, present, placements)
        _unload_unwanted(engine, present, placements)
        note = _ensure_identity(engine, present) or _note_of(static)
        _report(engine, is_healthy=True, note=note)
        pending = [placement for placement in placements if not _is_present(placement, present, static)]
        if not engine.is_draining:
            _place_all(engine, pending)
    except EngineUnavailable as error:
        _report(engine, is_healthy=False, note=error.message)
        _hold_up(engine, error.message)


def _wanted(engine: Engine) -> list[Placement]:
    """Return what is wanted on an engine; versions that serve elsewhere are wanted on a new one, too."""
    versions = AdapterVersion.objects.filter(
        style__base_model=engine.base_model_id, status__in=(Status.PUSHING, Status.SERVING)
    )
    if not engine.is_draining:
        new = versions.exclude(placements__engine=engine)
        Placement.objects.bulk_create(
            [Placement(engine=engine, version=version) for version in new], ignore_conflicts=True
        )
    wanted = engine.placements.filter(is_wanted=True, version__in=versions)
    return list(wanted.select_related("engine", "version__style__owner").order_by("version__created_at"))


def _unload_unwanted(engine: Engine, present: dict[str, str], placements: list[Placement]) -> None:
    """Unload our names that are not wanted, or that lead to another folder than ours."""
    versions = [placement.version for placement in placements]
    right = {version.engine_name: str(placing.path_of(version)) for version in versions}
    for name, root in list(present.items()):
        if OURS.fullmatch(name) and right.get(name) != root:
            control.unload(engine, name)
            del present[name]


def _ensure_identity(engine: Engine, present: dict[str, str]) -> str:
    """Load the adapter through which a CPU engine serves the base model; return what is wrong, or ""."""
    if engine.device != Engine.Device.CPU or IDENTITY in present:
        return ""
    try:
        path = identity.write(engine.base_model, Path(settings.ENGINE_ADAPTERS_DIR))
        control.load(engine, IDENTITY, str(path))
    except (EngineRefused, DiskUnavailable) as error:
        logger.error("%s: %s%s", engine, WITHOUT_BASE, error.message)
        return f"{WITHOUT_BASE}{error.message}"
    return ""


def _is_present(placement: Placement, present: dict[str, str], static: dict[str, Placement | None]) -> bool:
    """Return whether the engine has a version, and write down what has changed about that."""
    own = placement.version.engine_name
    name = own if own in present else next((name for name, one in static.items() if one == placement), "")
    if not name and placement.loaded_at:
        serving.lost(placement)
    elif name and (placement.loaded_at is None or placement.loaded_as != name):
        return serving.found(placement, name)
    return bool(name)


def _place_all(engine: Engine, pending: list[Placement]) -> None:
    """Place what is missing, first what needs no download, so that a lost storage holds up only the rest.

    Raises EngineUnavailable.
    """
    for placement in sorted(pending, key=lambda one: not placing.is_laid(one.version)):
        try:
            placing.place(placement)
        except (EngineRefused, NotStored, NotTheCheckedFile) as error:
            logger.warning("%s on %s: %s", placement.version, engine, error.message)
            serving.refused(placement, _reason(error))
        except EngineUnavailable:
            raise
        except Unavailable as error:
            _hold_up(engine, error.message)
            return


def _reason(error: DomainError) -> str:
    return str(error.facts["reason"]) if isinstance(error, EngineRefused) else error.message


def _hold_up(engine: Engine, note: str) -> None:
    """Say on everything that waits for an engine what it waits for."""
    waiting = engine.placements.filter(is_wanted=True, loaded_at=None)
    waiting.exclude(note=note).update(note=note)
    AdapterVersion.objects.filter(placements__in=waiting, status=Status.PUSHING).update(note=note)


def _report(engine: Engine, *, is_healthy: bool, note: str) -> None:
    """Write down how an engine is; when that changes and another one can stand in, routes are made anew."""
    if engine.note != note:
        logger.info("%s: %s", engine, note or "is well")
    facts = {"is_healthy": is_healthy, "note": note[:200], "checked_at": timezone.now()}
    Engine.objects.filter(pk=engine.pk).update(**facts)
    others = Engine.objects.filter(~Q(pk=engine.pk), base_model=engine.base_model_id)
    if engine.is_healthy != is_healthy and others.exists():
        routes.all_changed()
    engine.is_healthy, engine.note = is_healthy, note


def _static_modules(
    engine: Engine, present: dict[str, str], placements: list[Placement]
) -> dict[str, Placement | None]:
    """Return the modules that an engine was started with → the placement whose files they are, if any."""
    # Of several versions with the same files, the oldest is the one the engine was started with.
    known = {(one.version.config_sha256, one.version.sha256): one for one in reversed(placements)}
    strange = [name for name in present if name != IDENTITY and not OURS.fullmatch(name)]
    return {name: known.get(_digests_of(Path(present[name])) or ("", "")) for name in strange}


def _note_of(static: dict[str, Placement | None]) -> str:
    told = [f"{name} ({placement.version if placement else 'unknown'})" for name, placement in static.items()]
    return f"Started with static modules: {', '.join(told)}"[:200] if told else ""


def _digests_of(folder: Path) -> tuple[str, str] | None:
    """Return the SHA-256 of a folder's config and weights; files that did not change are read once."""
    try:
        stamps = [(folder / file).stat() for file in (CONFIG_FILE, WEIGHTS_FILE)]
        return _digests_at(folder, tuple((stamp.st_mtime_ns, stamp.st_size) for stamp in stamps))
    except OSError:
        return None  # on another machine: only a name to us


@lru_cache(maxsize=64)
def _digests_at(folder: Path, _stamps: tuple[tuple[int, int], ...]) -> tuple[str, str] | None:
    return placing.digests(folder)
