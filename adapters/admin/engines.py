"""Engines, the base models that they serve, and what is placed on them."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from adapters.erasure import engine_purge
from adapters.errors import EngineUnavailable, NothingNew
from adapters.models import BaseModel, Engine, Placement
from adapters.placement import engine_actions, summary
from adapters.placement.summary import SampledInterval
from adapters.routing import publisher
from core.charts import SPANS, Measure, Span, draw_measures, find_span
from core.console import (
    DescribedRow,
    Figure,
    Level,
    ListAdmin,
    OperatorAdmin,
    list_address,
    mark,
    operator_action,
)
from tenants.console import NoDelete, ReadOnly

SHOWN = 20


def describe_engine(request: HttpRequest, engine: Engine) -> dict[str, Any]:
    """Return the page's facts, charts and differences."""
    span = find_span(request.GET.get("span"))
    now = timezone.now()
    intervals = summary.read_intervals(engine, since=now - span.length, step=span.step)
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
    share = summary.share_answered(intervals)
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
    if engine.is_silent or not engine.is_healthy:
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


def _difference(placement: Placement, explain: Callable[[Placement], str]) -> dict[str, str]:
    """Return a version that is wanted and not there, or there and not wanted."""
    address = reverse("admin:adapters_adapterversion_change", args=[placement.version_id])
    return {"name": str(placement.version), "address": address, "note": explain(placement)}


def _explain_missing(placement: Placement) -> str:
    if placement.note:
        return str(placement.note)
    retry = placement.retry_at
    return f"next attempt {retry:%Y-%m-%d %H:%M:%S} UTC" if retry else "loads in the next run"


def _explain_leaving(placement: Placement) -> str:
    since = placement.undesired_since
    return f"unneeded since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "unloads after the grace period"


@admin.register(Engine)
class EngineAdmin(NoDelete, DescribedRow, OperatorAdmin):
    list_display = [
        *("name", "state", "address", "base_model", "device", "note", "checked_at"),
    ]
    list_filter = ["is_healthy", "is_gone", "device", "base_model"]
    list_select_related = ["base_model"]
    search_fields = ["name", "url"]
    readonly_fields = ["is_healthy", "is_gone", "note", "checked_at"]
    actions = ["drain", "take_back", "try_again", "take_limits", "give_up"]
    change_form_before_template = "admin/engine.html"
    described_as = "engine"

    @admin.display(description="state", ordering="is_healthy")
    def state(self, engine: Engine) -> SafeString:
        return mark(*state_of(engine))

    @admin.display(description="URL", ordering="url")
    def address(self, engine: Engine) -> str:
        return engine.url

    def describe_row(self, request: HttpRequest, row: Engine) -> object:
        return describe_engine(request, row)

    def get_readonly_fields(self, request: HttpRequest, obj: Engine | None = None) -> list[str]:
        """Return the name, too, for an engine that exists: its worker's queue and its erasures go by it."""
        return [*self.readonly_fields, "name"] if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Engine | None = None) -> bool:
        if obj and obj.is_gone:
            return False
        return bool(super().has_change_permission(request, obj))

    def save_model(self, request: HttpRequest, obj: Engine, form: Any, change: bool) -> None:
        if change:
            # The whole row would take back what its worker and the planner have written meanwhile.
            obj.save(update_fields=form.changed_data)
        else:
            super().save_model(request, obj, form, change)
            self._take_own_limits(request, obj)
        are_places_new = bool({"is_draining", "max_model_len"} & {*form.changed_data})
        publisher.mark_engines_changed([obj.pk], are_places_new=are_places_new)

    def _take_own_limits(self, request: HttpRequest, engine: Engine) -> None:
        """Give a new engine the limits that it tells itself; what was typed counts for the rest."""
        try:
            changed = engine_actions.take_limits(engine)
        except NothingNew:
            return
        except EngineUnavailable as error:
            messages.warning(request, f"The limits you entered were saved. {error.message}")
            return
        engine.refresh_from_db()
        told = ", ".join(f"{name} = {limit:,}" for name, limit in changed.items())
        messages.info(request, f"Reported by the engine: {told}.")

    @operator_action(
        "Drain",
        effect="The engine gets no new styles, and only requests for styles no other engine has. Its "
        "styles move to other engines, then you can stop it.",
        done="Drained",
        permissions=["change"],
    )
    def drain(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_actions.set_draining(engine, is_draining=True)

    @operator_action(
        "Return to service",
        effect="The engine accepts styles and requests again.",
        done="Back in service",
        permissions=["change"],
    )
    def take_back(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_actions.set_draining(engine, is_draining=False)

    @operator_action(
        "Retry missing styles",
        effect="Styles that failed to load or were rejected are retried in the worker's next run.",
        done="Retrying",
        permissions=["change"],
    )
    def try_again(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_actions.try_again(engine)

    @operator_action(
        "Read limits from the engine",
        effect="Updates the context length and the slots with what the engine reports. The engine "
        "doesn't report a rank, and reports slots only after it has served a style.",
        done="Limits updated",
        permissions=["change"],
    )
    def take_limits(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_actions.take_limits(engine)

    @operator_action(
        "Remove permanently",
        effect="This can't be undone. The engine's styles move to other engines, its name can't be "
        "reused, and an operator must confirm each erasure of an adapter it had.",
        done="Removed permanently",
        permissions=["change"],
        types_name=True,
        is_danger=True,
    )
    def give_up(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_purge.give_up_engine(engine)


class InServiceFilter(admin.SimpleListFilter):
    """Placements on engines that are to take requests, as the overview counts them."""

    title = "engine's state"
    parameter_name = "engines"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in-service", "in service")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Placement]) -> QuerySet[Placement]:
        if self.value() != "in-service":
            return queryset
        return queryset.filter(engine__in=Engine.objects.in_service())


@admin.register(Placement)
class PlacementAdmin(ReadOnly, ListAdmin):
    list_display = ["version", "engine", "is_desired", "loaded_at", "loaded_as", "loads", "note"]
    list_filter = [InServiceFilter, "engine", "is_desired"]
    list_select_related = ["engine", "version__style__owner"]
    search_fields = ["version__style__slug", "version__style__owner__slug"]


@admin.register(BaseModel)
class BaseModelAdmin(ReadOnly, ListAdmin):
    list_display = ["name", "layers", "created_at"]
    search_fields = ["name"]
    fields = ["name", "config", "layers", "created_at"]

    @admin.display(description="linear layers")
    def layers(self, base_model: BaseModel) -> int:
        return len(base_model.modules)
