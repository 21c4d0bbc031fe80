"""Engines, the base models that they serve, and what is placed on them."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from adapters import forgetting, routes
from adapters.admin.rows import Lasting, ReadOnly
from adapters.models import BaseModel, Engine, Placement

UNNAMED = (
    "Nothing was done: choose the engine and type its name beside the action. This can't be undone: its "
    "styles move to other engines, and each erasure of what lay on it asks for somebody's word."
)


class NameForm(ActionForm):
    """An action that can't be undone, and the name of what it is for."""

    confirm = forms.CharField(
        label="",
        required=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "Name of the engine", "aria-label": "Name"}),
    )


@admin.register(Engine)
class EngineAdmin(Lasting, ModelAdmin):
    list_display = [
        "name", "url", "base_model", "device", "is_healthy", "is_draining", "is_gone", "note", "checked_at",
    ]  # fmt: skip
    list_filter = ["is_healthy", "is_gone", "device", "base_model"]
    list_select_related = ["base_model"]
    search_fields = ["name", "url"]
    readonly_fields = ["is_healthy", "is_gone", "note", "checked_at"]
    action_form = NameForm
    actions = ["give_up"]

    def has_change_permission(self, request: HttpRequest, obj: Engine | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_gone)

    def save_model(self, request: HttpRequest, obj: Engine, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        routes.all_changed()

    @admin.action(
        description="Its machine is gone for good (type its name beside this)", permissions=["change"]
    )
    def give_up(self, request: HttpRequest, chosen: QuerySet[Engine]) -> None:
        typed = request.POST.get("confirm", "").strip()
        engine = {one.pk: one for one in chosen}.get(typed)
        if engine is None:
            return messages.error(request, UNNAMED)
        forgetting.give_up(engine)
        self.log_change(request, engine, "Its machine is gone for good.")


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
