"""Engines, the base models that they serve, and what is placed on them."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from adapters.admin import engine_page
from adapters.admin.rows import ReadOnly, Undeletable
from adapters.erasure import engine_purge
from adapters.errors import EngineUnavailable, NothingNew
from adapters.models import BaseModel, Engine, Placement
from adapters.placement import steering
from adapters.routing import publisher
from core.console import DescribedRow, ListAdmin, OperatorAdmin, mark, operator_action


@admin.register(Engine)
class EngineAdmin(Undeletable, DescribedRow, OperatorAdmin):
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
        return mark(*engine_page.state_of(engine))

    @admin.display(description="URL", ordering="url")
    def address(self, engine: Engine) -> str:
        return engine.url

    def describe_row(self, request: HttpRequest, row: Engine) -> object:
        return engine_page.describe_engine(request, row)

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
            changed = steering.take_limits(engine)
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
        steering.set_draining(engine, is_draining=True)

    @operator_action(
        "Return to service",
        effect="The engine accepts styles and requests again.",
        done="Back in service",
        permissions=["change"],
    )
    def take_back(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        steering.set_draining(engine, is_draining=False)

    @operator_action(
        "Retry missing styles",
        effect="Styles that failed to load or were rejected are retried in the worker's next run.",
        done="Retrying",
        permissions=["change"],
    )
    def try_again(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        steering.try_again(engine)

    @operator_action(
        "Read limits from the engine",
        effect="Updates the context length and the slots with what the engine reports. The engine "
        "doesn't report a rank, and reports slots only after it has served a style.",
        done="Limits updated",
        permissions=["change"],
    )
    def take_limits(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        steering.take_limits(engine)

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
    readonly_fields = fields

    @admin.display(description="linear layers")
    def layers(self, base_model: BaseModel) -> int:
        return len(base_model.modules)
