"""What the console's page of one engine shows above its form: how it is and was, and what it lacks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from adapters.models import Engine, Placement
from adapters.models.engines import SILENT_AFTER
from adapters.placement import history
from adapters.placement.history import SampledInterval
from core.charts import SPANS, Measure, Span, draw_measures, find_span
from core.console import Figure, Level, list_address

SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """A version that is wanted and not there, or there and not wanted."""

    name: str
    address: str
    note: str


def describe_engine(request: HttpRequest, engine: Engine) -> dict[str, Any]:
    """Return the page's facts, charts and differences."""
    span = find_span(request.GET.get("span"))
    now = timezone.now()
    intervals = history.read_intervals(engine, since=now - span.length, step=span.step)
    return {
        "facts": list(_facts(engine, intervals, span)),
        "spans": SPANS,
        "span": span,
        "charts": list(draw_measures(MEASURES, intervals, span=span, ends=now)),
        "missing": [_difference(one, _explain_missing) for one in _missing(engine)[:SHOWN]],
        "leaving": [_difference(one, _explain_leaving) for one in _leaving(engine)[:SHOWN]],
        "placements": list_address("adapters_placement", engine__id__exact=engine.pk),
    }


def _facts(engine: Engine, intervals: list[SampledInterval], span: Span) -> Iterator[Figure]:
    yield _state(engine)
    share = history.share_answered(intervals)
    if share is not None:
        yield Figure(f"Answered, {span.name.lower()}", f"{share:.1%} of the time")
    if engine.started_at:
        yield Figure("Running since", f"{engine.started_at:%Y-%m-%d %H:%M} UTC")
    wanted = engine.placements.filter(is_desired=True).count()
    missing = _missing(engine)
    refused = missing.exclude(note="").exists()
    loaded = engine.placements.filter(loaded_at__isnull=False).count()
    yield Figure("Styles", f"{loaded:,} loaded, {wanted:,} requested")
    yield Figure("Waiting to load", f"{missing.count():,}", level=Level.SOON if refused else Level.NORMAL)
    yield Figure("Waiting to unload", f"{_leaving(engine).count():,}")
    yield Figure("In GPU slots", f"{engine.max_loras:,} styles, {engine.max_num_seqs:,} requests")
    is_stale = engine.generation > engine.observed_generation
    yield Figure("Gateways have", "an outdated version" if is_stale else "the current version")


def state_of(engine: Engine) -> tuple[str, Level]:
    """Return an engine's state in a word or two, and how urgent it is.

    Only an engine that is to take requests can be at fault.
    """
    if engine.is_gone:
        return "Removed", Level.NORMAL
    if engine.is_draining:
        return "Draining", Level.NORMAL
    if engine.checked_at is None:
        return "Never reported", Level.FAULT
    is_silent = engine.checked_at <= timezone.now() - SILENT_AFTER
    if is_silent or not engine.is_healthy:
        return "Not responding", Level.FAULT
    return "Responding", Level.NORMAL


def _state(engine: Engine) -> Figure:
    state, level = state_of(engine)
    reported = f", reported {engine.checked_at:%Y-%m-%d %H:%M} UTC" if engine.checked_at else ""
    note = f": {engine.note}" if engine.note else ""
    return Figure("State", f"{state}{reported}{note}", level=level)


MEASURES: tuple[Measure[SampledInterval], ...] = (
    ("Answered", lambda one: float(one.is_answering), "{:.0f}"),
    ("Loaded styles", lambda one: float(one.loaded), "{:,.0f}"),
    ("Loads", lambda one: float(one.loads), "{:,.0f}"),
    ("Evictions", lambda one: float(one.evictions), "{:,.0f}"),
)


def _missing(engine: Engine) -> Any:
    wanted = engine.placements.filter(is_desired=True, loaded_at=None)
    return wanted.select_related("version__style__owner").order_by("pk")


def _leaving(engine: Engine) -> Any:
    unwanted = engine.placements.filter(is_desired=False, loaded_at__isnull=False)
    return unwanted.select_related("version__style__owner").order_by("pk")


def _difference(placement: Placement, explain: Callable[[Placement], str]) -> Difference:
    address = reverse("admin:adapters_adapterversion_change", args=[placement.version_id])
    return Difference(str(placement.version), address, explain(placement))


def _explain_missing(placement: Placement) -> str:
    if placement.note:
        return str(placement.note)
    retry = placement.retry_at
    return f"next attempt {retry:%Y-%m-%d %H:%M:%S} UTC" if retry else "loads in the next run"


def _explain_leaving(placement: Placement) -> str:
    since = placement.undesired_since
    return f"unneeded since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "unloads after the grace period"
