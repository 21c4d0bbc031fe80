"""Loading: what an engine lacks of what is wanted on it, the most urgent first, as long as a pass may take.

Two loads run at once: a load waits for the engine's next step, and the second goes on in the same pause, or
fetches and checks its files meanwhile. As long as a portion is loaded nobody's tokens come; so portions are
small, and after each one what the engine's list confirms is published at once.

What can't be loaded now though its engine is well is put off for PUT_OFF, and the others go on without it.
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

from adapters.engines import client as control
from adapters.errors import EnginePoisoned, EngineRefused, EngineUnavailable, NotStored, NotTheCheckedFile
from adapters.models import AdapterVersion, Engine, Placement, Status
from adapters.placement import local_cache, transitions
from adapters.placement.planner import ASKED_FOR
from adapters.quality import effect_probe
from foundation.errors import DomainError, Unavailable
from tenants.public import Demand, recent_requests

logger = logging.getLogger(__name__)

PASS_S = 15.0  # then the pass ends, so that its task does, and is rung for again
PORTION, URGENT_PORTION = 20, 2  # loaded before any of them serves; about a second's work
AT_ONCE = 2
PUT_OFF = timedelta(seconds=15)
UNCONFIRMED = "The engine took the adapter but does not list it; it is loaded again."

type Used = Mapping[tuple[UUID, int], Demand]


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
        is_asked = self.requested_at is not None and self.requested_at > timezone.now() - ASKED_FOR
        return is_asked or self.version__status == Status.PUSHING

    def order(self, used: Used) -> tuple[bool, bool, datetime]:
        """Return its rank, the higher the sooner: urgent, answers for its style, used last."""
        answers = self.version_id in (self.version__style__live_version, self.version__style__canary_version)
        demand = used.get((self.version__style, self.version__number))
        last = demand.last_at if demand else self.version__created_at
        return self.is_urgent(), answers, max(last, self.requested_at or last)


def load_missing(engine: Engine) -> bool:
    """Load what is wanted and missing; return True if the time is over. Raises EngineUnavailable."""
    until = time.monotonic() + PASS_S
    waiting: set[int] = set()  # for the storage or the disk: only what lies here already goes on
    used: Used | None = None
    while queue := _queue(engine, waiting):
        if used is None:
            used = recent_requests({one.version__style for one in queue})
        waiting |= _load(engine, _next_batch(queue, used))
        Engine.objects.filter(pk=engine.pk).update(checked_at=timezone.now())
        if time.monotonic() > until:
            return True
    return False


def confirm_loaded(engine: Engine, names: Mapping[Placement, str], *, loads: int = 0) -> None:
    """Let versions serve that an engine lists under these names; new ones are probed first.

    Raises EngineUnavailable.
    """
    if known := {one: name for one, name in names.items() if _serves(one)}:
        transitions.mark_all_loaded(known, loads=loads)
    for placement, name in names.items():
        if not _serves(placement):
            _probe(engine, placement, name, loads)


def record_unavailable(engine: Engine, note: str) -> None:
    """Say on everything that waits for an engine what it waits for."""
    waiting = engine.placements.filter(is_desired=True, loaded_at=None)
    waiting.exclude(note=note).update(note=note)
    AdapterVersion.objects.filter(placements__in=waiting, status=Status.PUSHING).update(note=note)


def _serves(placement: Placement) -> bool:
    return placement.version.status == Status.SERVING


def _queue(engine: Engine, waiting: set[int]) -> list[MissingPlacement]:
    """Return what is missing as it is now: more may have become urgent since the last portion."""
    missing = engine.placements.missing().filter(version__status__in=(Status.PUSHING, Status.SERVING))
    rows = missing.exclude(pk__in=waiting)
    queue = [MissingPlacement(*row) for row in rows.values_list(*MissingPlacement._fields)]
    return [one for one in queue if not waiting or os.path.isdir(local_cache.folder_of(one.version_id))]


def _next_batch(queue: list[MissingPlacement], used: Used) -> Sequence[Placement]:
    """Return the next few placements in their order; urgent ones do not wait for others to be loaded."""
    queue.sort(key=lambda one: one.order(used), reverse=True)
    urgent = [one.pk for one in queue[:URGENT_PORTION] if one.is_urgent()]
    chosen = urgent or [one.pk for one in queue[:PORTION]]
    found = Placement.objects.select_related("engine__base_model", "version__style").in_bulk(chosen)
    return [found[pk] for pk in chosen if pk in found]


def _load(engine: Engine, portion: Sequence[Placement]) -> set[int]:
    """Load some versions; return the placements whose files could not be laid now.

    Raises EngineUnavailable.
    """
    taken, waiting = [], set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        actions = [
            (placement, pool.submit(_cache_and_load, engine, placement.version)) for placement in portion
        ]
        for placement, action in actions:
            try:
                action.result()
                taken.append(placement)
            except (EngineRefused, NotStored, NotTheCheckedFile) as error:
                _reject(placement, error)
            except EngineUnavailable as error:
                if not control.is_healthy(engine):
                    pool.shutdown(cancel_futures=True)
                    raise
                _postpone(placement, error.message)
            except Unavailable as error:
                record_unavailable(engine, error.message)
                waiting.add(placement.pk)
    _confirm(engine, taken)
    return waiting


def _cache_and_load(engine: Engine, version: AdapterVersion) -> None:
    control.load_adapter(engine, version.engine_name, str(local_cache.ensure_local(version)))


def _confirm(engine: Engine, taken: Sequence[Placement]) -> None:
    """Admit what the engine's own list confirms; put off the rest. Raises EngineUnavailable."""
    listed = control.list_adapters(engine)
    names = {placement: placement.version.engine_name for placement in taken}
    confirmed = {
        one: name for one, name in names.items() if listed.get(name) == local_cache.folder_of(one.version_id)
    }
    confirm_loaded(engine, confirmed, loads=1)
    for placement in names.keys() - confirmed.keys():
        _postpone(placement, UNCONFIRMED)


def _probe(engine: Engine, placement: Placement, name: str, loads: int) -> None:
    """Let a new version serve if its probe shows that it does something sane. Raises EngineUnavailable."""
    serves = False
    try:
        effect_probe.measure_effect(placement.version, engine, name)
    except EngineRefused as error:
        _reject(placement, error)
    except EngineUnavailable as error:
        if isinstance(error, EnginePoisoned) or not control.is_healthy(engine):
            raise
        _postpone(placement, error.message)
    else:
        serves = transitions.mark_loaded(placement, name, loads=loads)  # False: it was retired meanwhile
    if not serves and name == placement.version.engine_name:  # else it is a module of the engine's own
        control.unload_adapter(engine, name)


def _postpone(placement: Placement, note: str) -> None:
    logger.warning("%s on %s is put off: %s", placement.version, placement.engine, note)
    changes = {"retry_at": timezone.now() + PUT_OFF, "note": note[:300]}
    Placement.objects.filter(pk=placement.pk).update(**changes)
    if placement.version.status == Status.PUSHING:
        placement.version.wait(note)


def _reject(placement: Placement, error: DomainError) -> None:
    logger.warning("%s on %s: %s", placement.version, placement.engine, error.message)
    reason = str(error.facts["reason"]) if isinstance(error, EngineRefused) else error.message
    transitions.mark_rejected(placement, reason, by_engine=isinstance(error, EngineRefused))
