"""The planner: writes which versions are wanted on which engine, as rows. `policy` decides it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, When
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from adapters.models import AdapterVersion, Engine, Placement, Status, Style
from adapters.placement import policy
from adapters.routing import publisher
from core import locks
from core.messages import Message, MessageCode
from metering.demand import Demand, recent_requests

# A version that a request waits for has priority so long. The gateway repeats the request for it every 5 s;
# and since this is much less than a request waits, requests for other versions get their turn in time.
REQUESTED_FOR = timedelta(seconds=20)


class EngineNote(MessageCode):
    """Why nothing happens on an engine."""

    SILENT = _("The engine's worker isn't responding. We'll retry automatically.")


class Version(NamedTuple):
    """What is read of each version that serves or is being pushed."""

    pk: UUID
    style_id: UUID
    number: int
    status: str
    rank: int | None
    created_at: datetime
    style__live_version: UUID | None
    style__canary_version: UUID | None
    style__suspended_at: datetime | None


class PlacementRow(NamedTuple):
    """What is read of each placement of these versions."""

    pk: int
    version_id: UUID
    engine_id: int
    is_desired: bool
    loaded_at: datetime | None
    requested_at: datetime | None
    note: Message


def plan_all() -> list[Engine]:
    """Plan every base model anew; return the engines that have something to load. Safe to repeat."""
    mark_silent_engines()
    changed: set[int] = set()
    for base_model_id in Engine.objects.order_by().values_list("base_model", flat=True).distinct():
        # Two plans at once would each move versions that the other one counts on.
        with locks.only_one(f"plan {base_model_id}") as mine:
            if mine:
                changed |= _plan_base_model(base_model_id)
    return list(Engine.objects.filter(pk__in=changed))


def mark_silent_engines() -> None:
    """Mark engines as down whose workers do not report: a machine that is gone takes its worker along."""
    silent = Engine.objects.silent().filter(is_healthy=True)
    if not silent.exists():
        return
    with transaction.atomic():
        # In one order: two that mark engines never wait crosswise.
        ids = list(silent.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        Engine.objects.filter(pk__in=ids).update(is_healthy=False, note=EngineNote.SILENT())
        publisher.mark_engines_changed(ids)


def eligible_engines(version: AdapterVersion) -> QuerySet[Engine]:
    """Return the engines on which a version is not wanted yet, and that did not refuse it."""
    # A note on a row that is not wanted is the reason of a refusal.
    taken = version.placements.filter(Q(is_desired=True) | ~Q(note=""))
    engines = Engine.objects.of(version.style.base_model_id).filter(max_lora_rank__gte=version.rank or 0)
    return engines.exclude(placements__in=taken)


def request_version(version_id: str) -> list[Engine]:
    """Want a version because a request waits for it; return what `request_placement` does."""
    known = AdapterVersion.objects.filter(
        pk=version_id, status__in=(Status.PUSHING, Status.SERVING), style__suspended_at=None
    )
    version = known.select_related("style").first()
    if version is None:
        return []
    return request_placement(version, requested_at=timezone.now())


def request_placement(version: AdapterVersion, *, requested_at: datetime | None = None) -> list[Engine]:
    """Want a version at once on the emptiest engine, unless it is wanted on one that answers.

    Returns the engines that are to load it, or have it; where none has room, the next plan makes some.
    """
    desired = version.placements.filter(is_desired=True, engine__is_draining=False)
    if requested_at:
        desired.update(requested_at=requested_at)
    engines = list(Engine.objects.filter(placements__in=desired))
    if any(engine.is_healthy for engine in engines):
        return engines
    others = eligible_engines(version)
    if engines:  # they are all away, and another one that is away would be no better
        others = others.filter(is_healthy=True)
    emptiest = _emptiest_of(others)
    if emptiest is None:
        return engines
    # Without room the row is not wanted yet, and its `requested_at` gives it priority in the next plan.
    has_room = emptiest.placements.filter(is_desired=True).count() < emptiest.max_adapters
    changes = {
        "is_desired": has_room,
        "requested_at": requested_at,
        "undesired_since": None,
        "note": Message(),
    }
    with transaction.atomic():
        placement, _ = Placement.objects.update_or_create(engine=emptiest, version=version, defaults=changes)
        if has_room and placement.loaded_at:
            # It was let go and is still there, in its grace: nothing else would tell.
            publisher.mark_changed(version.style)
    return [emptiest] if has_room else []


def _emptiest_of(engines: QuerySet[Engine]) -> Engine | None:
    """Return the engine with the fewest adapters; a full one, or one that is down, only if all are."""
    adapters = Count("placements", filter=Q(placements__is_desired=True))
    is_full = Case(When(adapters__gte=F("max_adapters"), then=True), default=False)
    return engines.annotate(adapters=adapters).order_by(is_full, "-is_healthy", "adapters", "name").first()


def _plan_base_model(base_model_id: int) -> set[int]:
    """Plan the engines of one base model; return those on which more is wanted than before."""
    # From before anything is read: what is requested later is newer than the plan.
    as_of = timezone.now()
    engines = list(Engine.objects.filter(base_model=base_model_id))
    served = AdapterVersion.objects.filter(
        style__base_model=base_model_id, status__in=(Status.PUSHING, Status.SERVING)
    )
    versions = list(map(Version._make, served.values_list(*Version._fields)))
    placements = Placement.objects.filter(version__in=served).values_list(*PlacementRow._fields)
    by_version: dict[UUID, list[PlacementRow]] = defaultdict(list)
    for row in map(PlacementRow._make, placements):
        by_version[row.version_id].append(row)

    demand: dict[tuple[UUID, int], Demand] = {}
    # One engine that holds all of them needs no choice, and reading the demand is not cheap.
    if len(engines) > 1 or any(len(versions) > engine.max_adapters for engine in engines):
        demand = recent_requests({version.style_id for version in versions})
    candidates = []
    for version in versions:
        if version.style__suspended_at:
            continue  # it is wanted nowhere: what is placed of it goes
        recent = demand.get((version.style_id, version.number))
        candidates.append(_candidate(version, by_version[version.pk], engines, recent, as_of))
    plan = policy.plan_placements(candidates, [_capacity(engine) for engine in engines])
    return _write_plan(plan, by_version, as_of)


def _capacity(engine: Engine) -> policy.EngineCapacity:
    return policy.EngineCapacity(
        engine=engine.pk,
        size=engine.max_adapters,
        is_open=not engine.is_draining,
        is_healthy=engine.is_healthy,
    )


def _candidate(
    version: Version,
    placements: Sequence[PlacementRow],
    engines: Sequence[Engine],
    demand: Demand | None,
    as_of: datetime,
) -> policy.Candidate:
    """Return what the policy needs to know of a version."""
    healthy = {engine.pk for engine in engines if engine.is_healthy}
    places = {}
    for row in placements:
        if row.is_desired:
            places[row.engine_id] = row.loaded_at is not None and row.engine_id in healthy
    requests = [row.requested_at for row in placements if row.requested_at]
    is_awaited = any(requested_at > as_of - REQUESTED_FOR for requested_at in requests)
    uses = [version.created_at, *requests]
    per_minute = 0.0
    if demand:
        uses.append(demand.last_at)
        per_minute = demand.per_minute
    return policy.Candidate(
        version=version.pk,
        is_requested=is_awaited or version.status == Status.PUSHING,
        has_alias=version.pk in (version.style__live_version, version.style__canary_version),
        used_at=max(uses),
        per_minute=per_minute,
        fits_on=_fitting_engines(version, placements, engines),
        places=places,
    )


def _fitting_engines(
    version: Version, placements: Sequence[PlacementRow], engines: Sequence[Engine]
) -> frozenset[int]:
    """Return the engines that a version fits on, without those that refused it."""
    # vLLM refuses a rank above its --max-lora-rank, and its memory for it is reserved at the start.
    large_enough = {engine.pk for engine in engines if engine.max_lora_rank >= (version.rank or 0)}
    # A note on a row that is not wanted is the reason of a refusal.
    refusing = {row.engine_id for row in placements if row.note and not row.is_desired}
    return frozenset(large_enough - refusing)


def _write_plan(plan: policy.Plan, by_version: dict[UUID, list[PlacementRow]], as_of: datetime) -> set[int]:
    """Bring the rows to a plan; return the engines on which more is wanted than before."""
    rows = list(chain.from_iterable(by_version.values()))
    known = {(row.engine_id, row.version_id): row.pk for row in rows}
    desired = {(row.engine_id, row.version_id) for row in rows if row.is_desired}
    planned: set[tuple[int, UUID]] = set()
    for engine_id, version_ids in plan.items():
        planned.update(zip(repeat(engine_id), version_ids))
    added = planned - desired
    removed = desired - planned
    # A plan is made every few seconds, and most change nothing: no write, no publication.
    if added or removed:
        new = [Placement(engine_id=engine_id, version_id=pk) for engine_id, pk in added - known.keys()]
        again = [known[place] for place in added & known.keys()]
        _change_placements(new, again, [known[place] for place in removed], as_of)
    return {engine_id for engine_id, _ in added}


def _change_placements(new: list[Placement], again: list[int], removed: list[int], as_of: datetime) -> None:
    with transaction.atomic():
        # A request may have added the same row since the plan was begun.
        Placement.objects.bulk_create(new, ignore_conflicts=True)
        changed = Placement.objects.lock([*again, *removed])
        changed.filter(pk__in=again).update(is_desired=True, undesired_since=None, note="")
        # What was requested while the plan was made stays until the next one.
        unrequested = changed.filter(pk__in=removed).exclude(requested_at__gt=as_of)
        unrequested.update(is_desired=False, note="")
        publisher.mark_changed(*Style.objects.filter(versions__placements__in=changed).distinct())
