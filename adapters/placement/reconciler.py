"""Reconciling: make an engine serve what is wanted on it. Engines forget everything when they restart.

One pass compares the engine's list with the rows, writes down what has changed, and loads what is missing:
the first push and the recovery after a restart are the same code. Where nothing has changed it asks the
engine for its list and its health, and the database for one row of plain facts a placement.
"""

import logging
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from adapters.engines import client as control
from adapters.engines import identity
from adapters.errors import DiskUnavailable, EngineRefused, EngineUnavailable
from adapters.models import IDENTITY, AdapterVersion, Engine, Placement, Status, engine_name_of
from adapters.placement import loader, local_cache, ray, transitions
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE
from foundation import locks
from tenants.public import bump_all_generations

logger = logging.getLogger(__name__)

OURS = re.compile(r"v_[0-9a-f]{32}")
WITHOUT_BASE = "The base model can't be served: "
# A request may wait a minute for its turn, with the route that it was admitted with.
LEAVES_AFTER = timedelta(seconds=90)

type Present = dict[str, str]  # name in the engine → path
type Modules = dict[str, UUID | None]  # name of a static module → the version whose files it has


class Wanted(NamedTuple):
    """What is read of each placement that is wanted."""

    pk: int
    version_id: UUID
    loaded_as: str
    version__config_sha256: str
    version__sha256: str

    @property
    def engine_name(self) -> str:
        """The version's own name in engines."""
        return engine_name_of(self.version_id)


def reconcile(engine: Engine) -> bool:
    """Bring an engine from what it lists to what is wanted; return True if its time was over before its end.

    Only one at a time; another call returns at once. What is not reachable is noted on the engine and on the
    versions that wait; the next call goes on.
    """
    with locks.only_one(f"engine {engine.pk}") as mine:
        return mine and _reconcile(engine)


def _reconcile(engine: Engine) -> bool:
    try:
        if engine.kind == Engine.Kind.RAY:
            control.check_base_model(engine)
            _report(engine, is_healthy=True, note="")
            return ray.load_missing_on_cluster(engine)
        present = control.list_adapters(engine)
        wanted = _wanted(engine)
        _note_start(engine)
        _unload_strangers(engine, present, wanted)
        modules = _static_modules(present, wanted)
        note = _ensure_identity(engine, present) or _note_of(modules)
        _report(engine, is_healthy=True, note=note)
        _note_changes(engine, present, wanted, modules)
        return not engine.is_draining and loader.load_missing(engine)
    except EngineUnavailable as error:
        _report(engine, is_healthy=False, note=error.message)
        loader.record_unavailable(engine, error.message)
        return False


def _wanted(engine: Engine) -> list[Wanted]:
    rows = engine.placements.filter(is_desired=True, version__status__in=(Status.PUSHING, Status.SERVING))
    return [Wanted(*row) for row in rows.order_by("version__created_at").values_list(*Wanted._fields)]


def _note_start(engine: Engine) -> None:
    """Write down when the engine's process began: what it knew before is out of its memory.

    What the one before could not load, or would not, is tried anew; a version that has failed stays so.
    """
    began = control.started_at(engine)
    if began and not engine.is_process_of(began):
        engine.started_at = began
        engine.save(update_fields=["started_at"])
        engine.placements.exclude(retry_at=None).update(retry_at=None)
        engine.placements.filter(is_desired=False, version__status=Status.SERVING).update(note="")


def _unload_strangers(engine: Engine, present: Present, wanted: list[Wanted]) -> None:
    """Unload our names that lead to another folder than ours, and those that nobody wants any more."""
    right = {one.engine_name: local_cache.folder_of(one.version_id) for one in wanted}
    wrong = {name for name, root in present.items() if OURS.fullmatch(name) and right.get(name) != root}
    if wrong:
        unwanted = {UUID(name.removeprefix("v_")) for name in wrong - right.keys()}
        for name in wrong - {engine_name_of(version_id) for version_id in _leaving(engine, unwanted)}:
            control.unload_adapter(engine, name)
            del present[name]


def _leaving(engine: Engine, unwanted: set[UUID]) -> set[UUID]:
    """Return what was seen unwanted too short a time ago: requests on their way may still need it."""
    now, rows = timezone.now(), engine.placements.filter(version__in=unwanted, is_desired=False)
    rows.filter(undesired_since=None).update(undesired_since=now)
    leaving = set(rows.filter(undesired_since__gt=now - LEAVES_AFTER).values_list("version", flat=True))
    rows.exclude(version__in=leaving).update(loaded_at=None, loaded_as="")
    return leaving


def _ensure_identity(engine: Engine, present: Present) -> str:
    """Load the adapter through which a CPU engine serves the base model; return what is wrong, or ""."""
    if engine.device != Engine.Device.CPU or IDENTITY in present:
        return ""
    try:
        path = identity.write_identity(engine.base_model, Path(settings.ENGINE_ADAPTERS_DIR))
        control.load_adapter(engine, IDENTITY, str(path))
    except (EngineRefused, DiskUnavailable) as error:
        logger.error("%s: %s%s", engine, WITHOUT_BASE, error.message)
        return f"{WITHOUT_BASE}{error.message}"
    return ""


def _note_changes(engine: Engine, present: Present, wanted: list[Wanted], modules: Modules) -> None:
    """Write down what the engine has lost, and what it has that we did not know of."""
    by_module = {version: name for name, version in modules.items()}
    names = {
        one.pk: own if (own := one.engine_name) in present else by_module.get(one.version_id, "")
        for one in wanted
    }
    changed = [one.pk for one in wanted if names[one.pk] != one.loaded_as]
    if not changed:
        return
    placements = list(Placement.objects.filter(pk__in=changed).select_related("version__style"))
    transitions.mark_unloaded(*(one for one in placements if not names[one.pk]))
    loader.confirm_loaded(engine, {one: names[one.pk] for one in placements if names[one.pk]})


def _report(engine: Engine, *, is_healthy: bool, note: str) -> None:
    """Write down how an engine is; when that changes and another one can stand in, routes are made anew."""
    if engine.note != note:
        logger.info("%s: %s", engine, note or "is well")
    facts = {"is_healthy": is_healthy, "note": note[:200], "checked_at": timezone.now()}
    Engine.objects.filter(pk=engine.pk).update(**facts)
    others = Engine.objects.filter(~Q(pk=engine.pk), base_model=engine.base_model_id)
    # A plan may just be counting a silent one as down.
    if (engine.is_healthy != is_healthy or engine.is_silent) and others.exists():
        bump_all_generations()
    engine.is_healthy, engine.note = is_healthy, note


def _static_modules(present: Present, wanted: list[Wanted]) -> Modules:
    """Return the modules that an engine was started with → the version whose files they are, if any."""
    strange = [name for name in present if name != IDENTITY and not OURS.fullmatch(name)]
    # Of several versions with the same files, the oldest is the one the engine was started with.
    files = {(one.version__config_sha256, one.version__sha256): one.version_id for one in reversed(wanted)}
    return {name: files.get(_digests_of(Path(present[name])) or ("", "")) for name in strange}


def _note_of(modules: Modules) -> str:
    versions = AdapterVersion.objects.select_related("style__owner").in_bulk(
        list(filter(None, modules.values()))
    )
    told = [f"{name} ({versions[pk] if pk else 'unknown'})" for name, pk in modules.items()]
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
    return local_cache.read_digests(folder)
