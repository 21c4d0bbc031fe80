"""Engines, the base models that they serve, and what is placed on them."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from adapters import routes
from adapters.admin.rows import ReadOnly
from adapters.models import BaseModel, Engine, Placement


@admin.register(Engine)
class EngineAdmin(ModelAdmin):
    list_display = ["name", "url", "base_model", "device", "is_healthy", "is_draining", "note", "checked_at"]
    list_filter = ["is_healthy", "device", "base_model"]
    list_select_related = ["base_model"]
    search_fields = ["name", "url"]
    readonly_fields = ["is_healthy", "note", "checked_at"]

    def save_model(self, request: HttpRequest, obj: Engine, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        routes.all_changed()

    def delete_model(self, request: HttpRequest, obj: Engine) -> None:
        super().delete_model(request, obj)
        routes.all_changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Engine]) -> None:
        super().delete_queryset(request, queryset)
        routes.all_changed()


@admin.register(Placement)
class PlacementAdmin(ReadOnly, ModelAdmin):
    list_display = ["version", "engine", "is_wanted", "loaded_at", "loaded_as", "loads", "note"]
    list_filter = ["engine", "is_wanted"]
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
