"""Engines, the base models that they serve, and what is placed on them."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from adapters.admin.rows import ReadOnly, Undeletable
from adapters.erasure import engine_purge
from adapters.models import BaseModel, Engine, Placement
from adapters.routing import publisher
from foundation.console import OperatorAdmin, operator_action


@admin.register(Engine)
class EngineAdmin(Undeletable, OperatorAdmin):
    list_display = [
        "name", "url", "base_model", "device", "is_healthy", "is_draining", "is_gone", "note", "checked_at",
    ]  # fmt: skip
    list_filter = ["is_healthy", "is_gone", "device", "base_model"]
    list_select_related = ["base_model"]
    search_fields = ["name", "url"]
    readonly_fields = ["is_healthy", "is_gone", "note", "checked_at"]
    actions = ["give_up"]

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
        are_places_new = bool({"is_draining", "max_model_len"} & {*form.changed_data})
        publisher.mark_engines_changed([obj.pk], are_places_new=are_places_new)

    @operator_action(
        "Its machine is gone for good",
        effect="This can't be undone: its styles move to other engines, no other engine takes its name, and "
        "each erasure of an adapter that it had needs an operator's word.",
        done="Taken out of service",
        permissions=["change"],
        types_name=True,
    )
    def give_up(self, request: HttpRequest, engine: Engine, reason: str) -> None:
        engine_purge.give_up_engine(engine)


@admin.register(Placement)
class PlacementAdmin(ReadOnly, ModelAdmin):
    list_display = ["version", "engine", "is_desired", "loaded_at", "loaded_as", "loads", "note"]
    list_filter = ["engine", "is_desired"]
    list_select_related = ["engine", "version__style__owner"]
    search_fields = ["version__style__slug", "version__style__owner__slug"]


@admin.register(BaseModel)
class BaseModelAdmin(ReadOnly, ModelAdmin):
    list_display = ["name", "layers", "created_at"]
    search_fields = ["name"]
    fields = ["name", "config", "layers", "created_at"]
    readonly_fields = fields

    @admin.display(description="linear layers")
    def layers(self, base_model: BaseModel) -> int:
        return len(base_model.modules)
