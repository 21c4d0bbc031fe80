"""The reconciler: make an engine serve what is wanted on it. Engines forget everything when they restart.

One pass compares the engine's list with the rows, unloads what is not wanted, writes down what has changed,
and has `loader` load what is missing: the first push and the recovery after a restart are the same code.
Where nothing has changed, a pass asks the engine for its list and its health, and the database for a few
plain facts of each placement.
"""

import logging
import re
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.engines import client as engine_client
from adapters.errors import EngineUnavailable
from adapters.models import Engine, Placement, Status, engine_name_of
from adapters.placement import loader, local_cache, ray, transitions
from adapters.routing import publisher
from core import locks
from core.messages import Message

logger = logging.getLogger(__name__)

# A request may wait a minute in the fair queue, with the route that it was admitted with.
DRAIN_GRACE = timedelta(seconds=90)
# Of 0.x releases: CPU engines served the base model through it. It takes one of the engine's slots.
OLD_IDENTITY = re.compile(r".*/identity-[0-9a-f]{12}")
OUR_NAME = re.compile(r"v_[0-9a-f]{32}")  # of what we load; others are the engine's own (`--lora-modules`)

type Present = dict[str, str]  # name in the engine → path


class DesiredPlacement(NamedTuple):
    """What is read of each placement that is wanted."""

    pk: int
    version_id: UUID
    loaded_as: str

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
        if not mine:
            return False
        try:
            if engine.kind == Engine.Kind.RAY:
                return _reconcile_cluster(engine)
            return _reconcile_engine(engine)
        except EngineUnavailable as error:
            note = Message.of(error)
            _record_health(engine, is_healthy=False, note=note)
            loader.record_unavailable(engine, note)
            return False


def _reconcile_cluster(engine: Engine) -> bool:
    engine_client.check_health(engine)
    _record_health(engine, is_healthy=True, note=Message())
    return ray.load_missing_on_cluster(engine)


def _reconcile_engine(engine: Engine) -> bool:
    present = engine_client.list_adapters(engine)
    desired = _read_desired(engine)
    # Before anything is judged by its rows: a new process has forgotten what they say.
    _record_start(engine)
    _unload_undesired(engine, present, desired)
    # First the health: the routes of what is found loaded are then published with it.
    _record_health(engine, is_healthy=True, note=_describe_others(present))
    _record_changes(engine, present, desired)
    # A draining engine gets nothing new; what it has serves on until another one has it.
    if engine.is_draining:
        return False
    return loader.load_missing(engine)


def _read_desired(engine: Engine) -> list[DesiredPlacement]:
    """Return what is wanted on an engine, the oldest versions first."""
    rows = engine.placements.filter(is_desired=True, version__status__in=(Status.PUSHING, Status.SERVING))
    facts = rows.order_by("version__created_at").values_list(*DesiredPlacement._fields)
    return list(map(DesiredPlacement._make, facts))


def _record_start(engine: Engine) -> None:
    """Write down when the engine's process began: what it knew before is out of its memory.

    What the process before could not load, or refused, is tried again; a version that has failed stays so.
    """
    began = engine_client.started_at(engine)
    if began and not engine.is_process_of(began):
        engine.started_at = began
        engine.save(update_fields=["started_at"])
        engine.placements.exclude(retry_at=None).update(retry_at=None)
        engine.placements.filter(is_desired=False, version__status=Status.SERVING).update(note="")


def _unload_undesired(engine: Engine, present: Present, desired: list[DesiredPlacement]) -> None:
    """Unload our names that point to a different folder, and those that are no longer desired."""
    folders = {one.engine_name: local_cache.folder_of(one.version_id) for one in desired}
    if OLD_IDENTITY.fullmatch(present.get("identity", "")):
        engine_client.unload_adapter(engine, "identity")
        del present["identity"]
    to_unload = set()
    for name, folder in present.items():
        if OUR_NAME.fullmatch(name) and folders.get(name) != folder:
            to_unload.add(name)
    if not to_unload:
        return
    undesired = {UUID(name.removeprefix("v_")) for name in to_unload - folders.keys()}
    # Routes no longer lead to these, but requests that were admitted before do.
    for version_id in _start_drain_grace(engine, undesired):
        to_unload.remove(engine_name_of(version_id))
    for name in to_unload:
        engine_client.unload_adapter(engine, name)
        del present[name]


def _start_drain_grace(engine: Engine, undesired: set[UUID]) -> set[UUID]:
    """Return the versions that stay loaded a while though they are not wanted: for requests on their way."""
    now = timezone.now()
    rows = engine.placements.filter(version__in=undesired, is_desired=False)
    rows.filter(undesired_since=None).update(undesired_since=now)
    recent = rows.filter(undesired_since__gt=now - DRAIN_GRACE)
    in_grace = set(recent.values_list("version", flat=True))
    rows.exclude(version__in=in_grace).update(loaded_at=None, loaded_as="")
    return in_grace


def _describe_others(present: Present) -> Message:
    """Return a note for operators about adapters that the engine was started with: they take its slots."""
    others = [name for name in present if not OUR_NAME.fullmatch(name)]
    return Message.of(f"Started with static modules: {', '.join(others)}"[:200] if others else "")


def _record_health(engine: Engine, *, is_healthy: bool, note: Message) -> None:
    """Write down how an engine is; when that changes, tell the gateways."""
    if engine.note != note:
        logger.info("%s: %s", engine, note.in_english() or "is well")
    facts = {"is_healthy": is_healthy, "note": note, "checked_at": timezone.now()}
    # Asked of the row itself: the planner may have marked the engine as down meanwhile.
    is_as_before = Engine.objects.filter(pk=engine.pk, is_healthy=is_healthy).update(**facts)
    if not is_as_before:
        with transaction.atomic():
            Engine.objects.filter(pk=engine.pk).update(**facts)
            publisher.mark_engines_changed([engine.pk])
    engine.is_healthy = is_healthy
    engine.note = note


def _record_changes(engine: Engine, present: Present, desired: list[DesiredPlacement]) -> None:
    """Write down what the engine has lost, and what it has that the rows do not say."""
    changed: dict[int, str] = {}  # placement → its name in the engine now
    for one in desired:
        name = one.engine_name if one.engine_name in present else ""
        if name != one.loaded_as:
            changed[one.pk] = name
    if not changed:
        return
    unloaded = []
    loaded = {}
    for placement in Placement.objects.filter(pk__in=changed).select_related("version__style"):
        if name := changed[placement.pk]:
            loaded[placement] = name
        else:
            unloaded.append(placement)
    transitions.mark_unloaded(*unloaded)
    loader.confirm_loaded(engine, loaded)
