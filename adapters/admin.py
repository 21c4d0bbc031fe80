"""Operators' view of styles and engines, in the console. What was measured or checked can only be read."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from adapters import bells, routes, serving
from adapters.errors import VersionMoved
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Style


class Lasting:
    """Rows that stay."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(Lasting):
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class VersionInline(ReadOnly, TabularInline):
    model = AdapterVersion
    fields = ["number", "status", "size_bytes", "note", "created_at"]
    readonly_fields = fields
    extra = 0
    show_change_link = True


@admin.register(Style)
class StyleAdmin(Lasting, ModelAdmin):
    list_display = ["name", "slug", "owner", "is_public", "live_version", "retired_at"]
    list_filter = ["is_public", "retired_at", "base_model"]
    list_select_related = ["owner", "live_version__style__owner"]
    search_fields = ["name", "slug", "owner__name", "owner__slug"]
    fields = [
        "owner", "slug", "name", "description", "sample_prompt", "sample",
        "is_public", "retired_at", "base_model", "live_version", "created_at",
    ]  # fmt: skip
    readonly_fields = ["owner", "slug", "base_model", "live_version", "created_at"]
    inlines = [VersionInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a style begins with an upload

    def save_model(self, request: HttpRequest, obj: Style, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        routes.changed(obj)


class PlacementInline(ReadOnly, TabularInline):
    model = Placement
    fields = ["engine", "is_wanted", "loaded_at", "loaded_as", "loads", "note"]
    readonly_fields = fields
    extra = 0


@admin.register(AdapterVersion)
class AdapterVersionAdmin(ReadOnly, ModelAdmin):
    list_display = ["__str__", "status", "rank", "size_bytes", "note", "created_at"]
    list_filter = ["status"]
    list_select_related = ["style__owner"]
    search_fields = ["style__slug", "style__owner__slug", "=sha256"]
    ordering = ["-created_at"]
    fields = [
        "style", "number", "status", "note", "failure", "report", "rank", "alpha", "target_modules",
        "size_bytes", "sha256", "config_sha256", "files", "created_by", "created_at", "handed_in_at", "life",
    ]  # fmt: skip
    readonly_fields = fields
    inlines = [PlacementInline]
    actions = ["retry", "retire"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("adapters.change_adapterversion")

    @admin.display(description="findings")
    def report(self, version: AdapterVersion) -> SafeString | str:
        rows = ((found["code"], found["sentence"], found["fix"]) for found in version.findings)
        items = format_html_join("", "<li><code>{}</code> {} <em>{}</em></li>", rows)
        return format_html("<ol>{}</ol>", items) if items else "none"

    @admin.display(description="history")
    def life(self, version: AdapterVersion) -> SafeString:
        rows = ((f"{step.at:%Y-%m-%d %H:%M:%S}", step.get_status_display()) for step in version.history.all())
        return format_html_join("", "<div>{} {}</div>", rows)

    @admin.action(description="Push again (failed ones only)", permissions=["steer"])
    def retry(self, request: HttpRequest, chosen: QuerySet[AdapterVersion]) -> None:
        for version in chosen.select_related("style__owner"):
            try:
                serving.retry(version)
                bells.ring_advance(version.pk)
            except VersionMoved:
                messages.warning(request, f"{version} has not failed.")

    @admin.action(description="Retire for good", permissions=["steer"])
    def retire(self, request: HttpRequest, chosen: QuerySet[AdapterVersion]) -> None:
        for version in chosen.select_related("style__owner"):
            serving.retire(version)


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
