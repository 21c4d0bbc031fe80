"""Planning: which versions are wanted on which engine, as rows. What decides it stands in policy.py."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, When
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Placement, Status, Style
from adapters.placement import policy
from adapters.routing import publisher
from foundation import locks
from tenants.public import Demand, bump_all_generations, recent_requests

# So long a version that a request waited for is let in before others. Who still waits asks again
# every 5 s; it is much less than a wait lasts, so that who waits for another version gets a turn.
ASKED_FOR = timedelta(seconds=20)
SILENT = "The worker beside the engine does not report; this goes on by itself when it is back."

type Plan = dict[int, set[UUID]]


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


class Placed(NamedTuple):
    """What is read of each placement of these."""

    pk: int
    version_id: UUID
    engine_id: int
    is_desired: bool
    loaded_at: datetime | None
    requested_at: datetime | None
    note: str

    @property
    def is_refused(self) -> bool:
        """True when the engine would not take it: it is not wanted there until somebody pushes it again."""
        return not self.is_desired and bool(self.note)


def plan_all() -> list[Engine]:
    """Plan every base model anew; return the engines that have something to load. Safe to repeat."""
    mark_silent_engines()
    changed: set[int] = set()
    for base_model_id in Engine.objects.order_by().values_list("base_model", flat=True).distinct():
        with locks.only_one(f"plan {base_model_id}") as mine:
            if mine:
                changed |= _plan(base_model_id)
    return list(Engine.objects.filter(pk__in=changed))


def mark_silent_engines() -> None:
    """Count engines as down whose workers do not report: a machine that is gone takes its worker along."""
    silent = Engine.objects.silent().filter(is_healthy=True)
    if silent.update(is_healthy=False, note=SILENT):
        bump_all_generations()


def eligible_engines(version: AdapterVersion) -> QuerySet[Engine]:
    """Return the engines on which a version is not wanted yet, and that did not refuse it."""
    taken = version.placements.filter(Q(is_desired=True) | ~Q(note=""))
    engines = Engine.objects.of(version.style.base_model_id).filter(max_lora_rank__gte=version.rank or 0)
    return engines.exclude(placements__in=taken)


def request_version(version_id: str) -> list[Engine]:
    """Want a version because a request waits for it; return the engines that are to load it, or have it."""
    known = AdapterVersion.objects.filter(pk=version_id, status__in=(Status.PUSHING, Status.SERVING))
    version = known.select_related("style").first()
    if version is None:
        return []
    return request_placement(version, requested_at=timezone.now())


def request_placement(version: AdapterVersion, *, requested_at: datetime | None = None) -> list[Engine]:
    """Want a version at once on the emptiest engine, unless it is wanted on one that answers.

    Returns where it is to be loaded; where no engine has room, the next plan makes some.
    """
    held = version.placements.filter(is_desired=True, engine__is_draining=False)
    if requested_at:
        held.update(requested_at=requested_at)
    engines = list(Engine.objects.filter(placements__in=held))
    if any(engine.is_healthy for engine in engines):
        return engines
    emptiest = _emptiest(version, among_healthy=bool(engines))
    if emptiest is None:
        return engines
    has_room = emptiest.placements.filter(is_desired=True).count() < emptiest.max_adapters
    changes = {"is_desired": has_room, "requested_at": requested_at, "undesired_since": None, "note": ""}
    Placement.objects.update_or_create(engine=emptiest, version=version, defaults=changes)
    return [emptiest] if has_room else []


def _emptiest(version: AdapterVersion, *, among_healthy: bool) -> Engine | None:
    """Return the engine with the most room that takes a version and doesn't hold it yet."""
    engines = (
        eligible_engines(version).filter(is_healthy=True) if among_healthy else eligible_engines(version)
    )
    adapters = Count("placements", filter=Q(placements__is_desired=True))
    is_full = Case(When(adapters__gte=F("max_adapters"), then=True), default=False)
    return engines.annotate(adapters=adapters).order_by(is_full, "-is_healthy", "adapters", "name").first()


def _plan(base_model_id: int) -> set[int]:
    as_of = timezone.now()
    engines = list(Engine.objects.filter(base_model=base_model_id))
    wanted = AdapterVersion.objects.filter(
        style__base_model=base_model_id, status__in=(Status.PUSHING, Status.SERVING)
    )
    versions = [Version(*row) for row in wanted.values_list(*Version._fields)]
    rows = Placement.objects.filter(version__in=wanted).values_list(*Placed._fields)
    placed: dict[UUID, list[Placed]] = defaultdict(list)
    for row in rows:
        placed[row[1]].append(Placed(*row))
    is_tight = len(engines) > 1 or any(len(versions) > engine.max_adapters for engine in engines)
    used = recent_requests({version.style_id for version in versions}) if is_tight else {}
    candidates = [_claim(version, placed[version.pk], engines, used, as_of) for version in versions]
    return _write(policy.plan_placements(candidates, [_room(engine) for engine in engines]), placed, as_of)


def _room(engine: Engine) -> policy.EngineCapacity:
    return policy.EngineCapacity(engine.pk, engine.max_adapters, not engine.is_draining, engine.is_healthy)


def _claim(
    version: Version,
    placed: list[Placed],
    engines: list[Engine],
    used: dict[tuple[UUID, int], Demand],
    as_of: datetime,
) -> policy.Candidate:
    demand = used.get((version.style_id, version.number))
    asked = [place.requested_at for place in placed if place.requested_at]
    refused = {place.engine_id for place in placed if place.is_refused}
    healthy = {engine.pk for engine in engines if engine.is_healthy}
    return policy.Candidate(
        version=version.pk,
        is_asked=version.status == Status.PUSHING or any(at > as_of - ASKED_FOR for at in asked),
        answers=version.pk in (version.style__live_version, version.style__canary_version),
        used_at=max([version.created_at, *asked, *([demand.last_at] if demand else [])]),
        a_minute=demand.per_minute if demand else 0.0,
        fits=frozenset(e.pk for e in engines if (version.rank or 0) <= e.max_lora_rank) - refused,
        places={
            place.engine_id: place.loaded_at is not None and place.engine_id in healthy
            for place in placed
            if place.is_desired
        },
    )


def _write(plan: Plan, placed: dict[UUID, list[Placed]], as_of: datetime) -> set[int]:
    """Bring the rows to a plan; return the engines on which more is wanted than before."""
    rows = {(one.engine_id, one.version_id): one for places in placed.values() for one in places}
    wanted = {(engine, version) for engine, versions in plan.items() for version in versions}
    held = {key for key, row in rows.items() if row.is_desired}
    come, go = wanted - held, held - wanted
    if come or go:
        new = [Placement(engine_id=engine, version_id=version) for engine, version in come - rows.keys()]
        back = [rows[key].pk for key in come & rows.keys()]
        with transaction.atomic():
            Placement.objects.bulk_create(new, ignore_conflicts=True)
            moved = Placement.objects.held([*back, *(rows[key].pk for key in go)])
            moved.filter(pk__in=back).update(is_desired=True, undesired_since=None, note="")
            # Asked for while this was thought out: then it stays until the next plan.
            stale = moved.filter(pk__in=[rows[key].pk for key in go]).exclude(requested_at__gt=as_of)
            stale.update(is_desired=False, note="")
            publisher.mark_changed(*Style.objects.filter(versions__placements__in=moved).distinct())
    return {engine for engine, _ in come}
