"""The reconciler: make an engine serve what is wanted on it, as the rows of placements say.

One pass compares what the engine lists with the rows, unloads what is not wanted, writes down what has
changed, and loads what is missing, the most urgent first, until its time is over. Engines forget everything
when they restart: the first push and the recovery after a restart are the same code. Where nothing has
changed, a pass asks the engine for its list and its health, and the database for a few plain facts.

Two loads run at once: a load waits for the engine's next step, and the second one goes on in the same pause,
or fetches and checks its files meanwhile. While a batch is loaded the engine writes no tokens; so batches are
small, and after each one what the engine's list confirms is published at once. What can't be loaded now
though its engine is well is tried again after RETRY_AFTER, and the others go on.

A Ray cluster takes the same path, but nothing is pushed to it: it pulls a folder of sealed files from the
storage when a request names it, on any of its replicas, and keeps copies on its nodes. A restart makes it
forget nothing. What is new is probed, which also makes one of the replicas pull it.
"""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.engines import client as engine_client
from adapters.errors import EnginePoisoned, EngineRefused, EngineUnavailable, NotStored, NotTheCheckedFile
from adapters.models import AdapterVersion, Engine, LoadNote, Placement, Status
from adapters.placement import local_cache, transitions
from adapters.placement.planner import REQUESTED_FOR
from adapters.quality import effect_probe
from adapters.routing import publisher
from core import locks
from core.errors import DomainError, Unavailable
from core.messages import Message
from metering.demand import Demand, recent_requests

logger = logging.getLogger(__name__)

# A request may wait a minute in the fair queue, with the route that it was admitted with.
DRAIN_GRACE = timedelta(seconds=90)
OUR_NAME = re.compile(r"v_[0-9a-f]{32}")  # of what we load; others are the engine's own (`--lora-modules`)
# So that a long recovery never keeps one worker from what else waits in its queue (decision 15).
PASS_S = 15.0  # then the pass and its task end, and a new task goes on
BATCH_SIZE = 20  # loaded before any of them serves; about a second's work
URGENT_BATCH_SIZE = 2
CONCURRENT_LOADS = 2
# A pass starts every few seconds: without this, what can't be loaded would be tried in each.
RETRY_AFTER = timedelta(seconds=15)

type Present = dict[str, str]  # name in the engine → path; "" on a cluster
type DemandByVersion = Mapping[tuple[UUID, int], Demand]


class DesiredPlacement(NamedTuple):
    """What is read of each placement that is wanted."""

    pk: int
    version_id: UUID
    loaded_as: str


class MissingPlacement(NamedTuple):
    """What is read of each placement that is wanted and not there."""

    pk: int
    requested_at: datetime | None
    version_id: UUID
    version__status: str
    version__number: int
    version__created_at: datetime
    version__style: UUID
    version__style__live_version: UUID | None
    version__style__canary_version: UUID | None

    def is_urgent(self) -> bool:
        """Return whether somebody waits for it now: who uploaded it, or a request."""
        if self.version__status == Status.PUSHING:
            return True
        return self.requested_at is not None and self.requested_at > timezone.now() - REQUESTED_FOR

    def priority(self, demand: DemandByVersion) -> tuple[bool, bool, datetime]:
        """Return what is loaded first, the higher the sooner: urgent, live or canary, used last."""
        aliases = (self.version__style__live_version, self.version__style__canary_version)
        recent = demand.get((self.version__style, self.version__number))
        used_at = recent.last_at if recent else self.version__created_at
        if self.requested_at:
            used_at = max(used_at, self.requested_at)
        return self.is_urgent(), self.version_id in aliases, used_at


def reconcile(engine: Engine) -> bool:
    """Bring an engine from what it lists to what is wanted; return True if its time was over before its end.

    Only one at a time; another call returns at once. What is not reachable is noted on the engine and on the
    versions that wait; the next call goes on.
    """
    with locks.only_one(f"engine {engine.pk}") as mine:
        if not mine:
            return False
        try:
            return _reconcile(engine)
        except EngineUnavailable as error:
            note = Message.of(error)
            _record_health(engine, is_healthy=False, note=note)
            _record_unavailable(engine, note)
            return False


def _reconcile(engine: Engine) -> bool:
    present = engine_client.list_adapters(engine)
    desired = _read_desired(engine)
    # Before anything is judged by its rows: a new process has forgotten what they say.
    _record_start(engine)
    _unload_undesired(engine, present, desired)
    # First the health: the routes of what is found loaded are then published with it.
    _record_health(engine, is_healthy=True, note=_describe_others(present))
    _record_changes(engine, present, desired)
    # A draining engine gets nothing new; what it has serves on until another one has it.
    return not engine.is_draining and _load_missing(engine)


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
    if engine.kind == Engine.Kind.RAY:  # it drops by itself what no request names
        undesired_rows = engine.placements.filter(is_desired=False)
        undesired_rows.exclude(loaded_at=None).update(loaded_at=None, loaded_as="")
        return
    folders = {engine.adapter_name(one.version_id): local_cache.folder_of(one.version_id) for one in desired}
    to_unload = set()
    for name, folder in present.items():
        if OUR_NAME.fullmatch(name) and folders.get(name) != folder:
            to_unload.add(name)
    if not to_unload:
        return
    undesired = {UUID(name.removeprefix("v_")) for name in to_unload - folders.keys()}
    # Routes no longer lead to these, but requests that were admitted before do.
    for version_id in _start_drain_grace(engine, undesired):
        to_unload.remove(engine.adapter_name(version_id))
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
    others = [name for name, folder in present.items() if folder and not OUR_NAME.fullmatch(name)]
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


def _record_unavailable(engine: Engine, note: Message) -> None:
    """Say on everything that waits for an engine what it waits for."""
    waiting = engine.placements.filter(is_desired=True, loaded_at=None)
    waiting.exclude(note=note).update(note=note)
    AdapterVersion.objects.filter(placements__in=waiting, status=Status.PUSHING).update(note=note)


def _record_changes(engine: Engine, present: Present, desired: list[DesiredPlacement]) -> None:
    """Write down what the engine has lost, and what it has that the rows do not say."""
    changed: dict[int, str] = {}  # placement → its name in the engine now
    for one in desired:
        name = engine.adapter_name(one.version_id)
        listed_as = name if name in present else ""
        if listed_as != one.loaded_as:
            changed[one.pk] = listed_as
    if not changed:
        return
    placements = Placement.objects.filter(pk__in=changed).select_related("version__style")
    transitions.mark_unloaded(*[placement for placement in placements if not changed[placement.pk]])
    _confirm_loaded(engine, [placement for placement in placements if changed[placement.pk]])


def _load_missing(engine: Engine) -> bool:
    """Load what is wanted and missing; return True if the time is over. Raises EngineUnavailable."""
    deadline = time.monotonic() + PASS_S
    without_files: set[int] = set()  # the storage or the disk is away
    queue = _read_queue(engine, without_files)
    # Read once a pass: it is dear, and what a request waits for shows in `requested_at`.
    demand = recent_requests({missing.version__style for missing in queue}) if queue else {}
    while queue:
        without_files |= _load_batch(engine, _next_batch(engine, queue, demand))
        # A batch may take long: without this the planner would mark the engine as silent.
        Engine.objects.filter(pk=engine.pk).update(checked_at=timezone.now())
        if time.monotonic() > deadline:
            return True
        queue = _read_queue(engine, without_files)
    return False


def _read_queue(engine: Engine, without_files: set[int]) -> list[MissingPlacement]:
    """Return what is missing as it is now: more may have become urgent since the last batch.

    Once some files could not be had, only what is in the local cache goes on.
    """
    missing = engine.placements.missing().filter(version__status__in=(Status.PUSHING, Status.SERVING))
    rows = missing.exclude(pk__in=without_files).values_list(*MissingPlacement._fields)
    queue = []
    for one in map(MissingPlacement._make, rows):
        if not without_files or os.path.isdir(local_cache.folder_of(one.version_id)):
            queue.append(one)
    return queue


def _next_batch(
    engine: Engine, queue: list[MissingPlacement], demand: DemandByVersion
) -> Sequence[Placement]:
    """Return the next few placements in their order; urgent ones do not wait for others to be loaded."""
    queue.sort(key=lambda missing: missing.priority(demand), reverse=True)
    batch: list[int] = []
    if engine.kind == Engine.Kind.RAY:  # what serves elsewhere costs it nothing until a request names it
        batch = [missing.pk for missing in queue if missing.version__status == Status.SERVING]
    # While a large batch is loaded, what somebody waits for would wait as well.
    if not batch:
        batch = [missing.pk for missing in queue[:URGENT_BATCH_SIZE] if missing.is_urgent()]
    if not batch:
        batch = [missing.pk for missing in queue[:BATCH_SIZE]]
    placements = Placement.objects.select_related("engine__base_model", "version__style").in_bulk(batch)
    return [placements[pk] for pk in batch if pk in placements]


def _load_batch(engine: Engine, batch: Sequence[Placement]) -> set[int]:
    """Load some versions; return the placements whose files can't be had now. Raises EngineUnavailable."""
    if engine.kind == Engine.Kind.RAY:  # it pulls them by itself
        _confirm_loaded(engine, batch, loads=1)
        return set()
    loaded = []
    without_files = set()
    with ThreadPoolExecutor(CONCURRENT_LOADS) as pool:
        loads = {placement: pool.submit(_cache_and_load, engine, placement.version) for placement in batch}
        for placement, load in loads.items():
            try:
                load.result()
            except (EngineRefused, NotStored, NotTheCheckedFile) as error:
                _reject(placement, error)
            except EngineUnavailable as error:
                # Either the engine is down, or only this adapter could not be loaded.
                if not engine_client.is_healthy(engine):
                    pool.shutdown(cancel_futures=True)
                    raise
                _postpone(placement, Message.of(error))
            except Unavailable as error:
                _record_unavailable(engine, Message.of(error))
                without_files.add(placement.pk)
            else:
                loaded.append(placement)
    # An engine that restarted during the batch has forgotten what it took.
    listed = engine_client.list_adapters(engine)
    confirmed = []
    for placement in loaded:
        if listed.get(placement.version.engine_name) == local_cache.folder_of(placement.version_id):
            confirmed.append(placement)
    # After each batch, so that what is loaded serves while the next one is loaded.
    _confirm_loaded(engine, confirmed, loads=1)
    for placement in loaded:
        if placement not in confirmed:
            _postpone(placement, LoadNote.UNCONFIRMED())
    return without_files


def _cache_and_load(engine: Engine, version: AdapterVersion) -> None:
    folder = local_cache.ensure_local(version)
    engine_client.load_adapter(engine, version.engine_name, str(folder))


def _confirm_loaded(engine: Engine, placements: Sequence[Placement], *, loads: int = 0) -> None:
    """Let versions serve that an engine lists; new ones are probed first. Raises EngineUnavailable."""
    serving = [placement for placement in placements if placement.version.status == Status.SERVING]
    new = [placement for placement in placements if placement.version.status != Status.SERVING]
    if serving:
        transitions.mark_all_loaded(engine, serving, loads=loads)
    for placement in new:
        _probe(engine, placement, loads)


def _probe(engine: Engine, placement: Placement, loads: int) -> None:
    """Let a new version serve if its probe shows that it does something sane. Raises EngineUnavailable."""
    name = engine.adapter_name(placement.version_id)
    serves = False
    try:
        effect_probe.measure_effect(placement.version, engine, name)
    except EngineRefused as error:
        _reject(placement, error)
    except EngineUnavailable as error:
        if isinstance(error, EnginePoisoned) or not engine_client.is_healthy(engine):
            raise
        _postpone(placement, Message.of(error))
    else:
        serves = transitions.mark_loaded(placement, name, loads=loads)  # False: it was retired meanwhile
    if not serves:
        engine_client.unload_adapter(engine, name)


def _postpone(placement: Placement, note: Message) -> None:
    logger.warning("%s on %s is postponed: %s", placement.version, placement.engine, note.in_english())
    changes = {"retry_at": timezone.now() + RETRY_AFTER, "note": note}
    Placement.objects.filter(pk=placement.pk).update(**changes)
    if placement.version.status == Status.PUSHING:
        placement.version.wait(note)


def _reject(placement: Placement, error: DomainError) -> None:
    logger.warning("%s on %s: %s", placement.version, placement.engine, str(error))
    by_engine = isinstance(error, EngineRefused)
    reason = error.reason if isinstance(error, EngineRefused) else Message.of(error)
    transitions.mark_rejected(placement, reason, by_engine=by_engine)
