"""Versions: their check, their life, and where they are placed."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from adapters import bells, serving
from adapters.admin.rows import ReadOnly
from adapters.errors import VersionMoved
from adapters.models import AdapterVersion, Placement


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
