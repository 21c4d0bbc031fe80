"""The loader: load what is wanted on an engine and missing, the most urgent first, until the pass is over.

Two loads run at once: a load waits for the engine's next step, and the second one goes on in the same pause,
or fetches and checks its files meanwhile. While a batch is loaded the engine writes no tokens; so batches are
small, and after each one what the engine's list confirms is published at once.

What can't be loaded now though its engine is well is tried again after RETRY_AFTER, and the others go on.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from adapters.engines import client as engine_client
from adapters.errors import EnginePoisoned, EngineRefused, EngineUnavailable, NotStored, NotTheCheckedFile
from adapters.models import AdapterVersion, Engine, LoadNote, Placement, Status
from adapters.placement import local_cache, transitions
from adapters.placement.planner import REQUESTED_FOR
from adapters.quality import effect_probe
from core.errors import DomainError, Unavailable
from core.messages import Message
from metering.demand import Demand, recent_requests

logger = logging.getLogger(__name__)

# So that a long recovery never keeps one worker from what else waits in its queue (decision 15).
PASS_S = 15.0  # then the pass and its task end, and a new task goes on
BATCH_SIZE = 20  # loaded before any of them serves; about a second's work
URGENT_BATCH_SIZE = 2
CONCURRENT_LOADS = 2
# A pass starts every few seconds: without this, what can't be loaded would be tried in each.
RETRY_AFTER = timedelta(seconds=15)

type DemandByVersion = Mapping[tuple[UUID, int], Demand]


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


def load_missing(engine: Engine) -> bool:
    """Load what is wanted and missing; return True if the time is over. Raises EngineUnavailable."""
    deadline = time.monotonic() + PASS_S
    without_files: set[int] = set()  # the storage or the disk is away
    queue = _read_queue(engine, without_files)
    # Read once a pass: it is dear, and what a request waits for shows in `requested_at`.
    demand = recent_requests({missing.version__style for missing in queue}) if queue else {}
    while queue:
        without_files |= _load_batch(engine, _next_batch(queue, demand))
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


def _next_batch(queue: list[MissingPlacement], demand: DemandByVersion) -> Sequence[Placement]:
    """Return the next few placements in their order; urgent ones do not wait for others to be loaded."""
    queue.sort(key=lambda missing: missing.priority(demand), reverse=True)
    # While a large batch is loaded, what somebody waits for would wait as well.
    batch = [missing.pk for missing in queue[:URGENT_BATCH_SIZE] if missing.is_urgent()]
    if not batch:
        batch = [missing.pk for missing in queue[:BATCH_SIZE]]
    placements = Placement.objects.select_related("engine__base_model", "version__style").in_bulk(batch)
    return [placements[pk] for pk in batch if pk in placements]


def _load_batch(engine: Engine, batch: Sequence[Placement]) -> set[int]:
    """Load some versions; return the placements whose files can't be had now. Raises EngineUnavailable."""
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
                record_unavailable(engine, Message.of(error))
                without_files.add(placement.pk)
            else:
                loaded.append(placement)
    _confirm(engine, loaded)
    return without_files


def _cache_and_load(engine: Engine, version: AdapterVersion) -> None:
    folder = local_cache.ensure_local(version)
    engine_client.load_adapter(engine, version.engine_name, str(folder))


def _confirm(engine: Engine, loaded: Sequence[Placement]) -> None:
    """Let serve what the engine's own list confirms; postpone the rest. Raises EngineUnavailable."""
    # An engine that restarted during the batch has forgotten what it took.
    listed = engine_client.list_adapters(engine)
    confirmed = {}
    for placement in loaded:
        name = placement.version.engine_name
        if listed.get(name) == local_cache.folder_of(placement.version_id):
            confirmed[placement] = name
    # After each batch, so that what is loaded serves while the next one is loaded.
    confirm_loaded(engine, confirmed, loads=1)
    for placement in loaded:
        if placement not in confirmed:
            _postpone(placement, LoadNote.UNCONFIRMED())


def confirm_loaded(engine: Engine, names: Mapping[Placement, str], *, loads: int = 0) -> None:
    """Let versions serve that an engine lists under these names; new ones are probed first.

    Raises EngineUnavailable.
    """
    serving = {}
    for placement, name in names.items():
        if placement.version.status == Status.SERVING:
            serving[placement] = name
    if serving:
        transitions.mark_all_loaded(serving, loads=loads)
    for placement, name in names.items():
        if placement not in serving:
            _probe(engine, placement, name, loads)


def _probe(engine: Engine, placement: Placement, name: str, loads: int) -> None:
    """Let a new version serve if its probe shows that it does something sane. Raises EngineUnavailable."""
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


def record_unavailable(engine: Engine, note: Message) -> None:
    """Say on everything that waits for an engine what it waits for."""
    waiting = engine.placements.filter(is_desired=True, loaded_at=None)
    waiting.exclude(note=note).update(note=note)
    AdapterVersion.objects.filter(placements__in=waiting, status=Status.PUSHING).update(note=note)
