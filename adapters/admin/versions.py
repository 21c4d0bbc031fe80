"""Versions: their findings, their history, and where they are placed."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adapters import enqueue
from adapters.admin.rows import ReadOnly
from adapters.catalog import sharing
from adapters.models import AdapterVersion, Placement
from adapters.placement import transitions
from core.console import OperatorAdmin, operator_action, state_column
from core.grammar import mark_code


class PlacementInline(ReadOnly, TabularInline):
    model = Placement
    fields = ["engine", "is_desired", "loaded_at", "loaded_as", "loads", "note"]
    readonly_fields = fields
    extra = 0


@admin.register(AdapterVersion)
class AdapterVersionAdmin(ReadOnly, OperatorAdmin):
    list_display = ["__str__", "state", "rank", "size_bytes", "note", "created_at"]
    list_filter = ["status"]
    list_select_related = ["style__owner"]
    search_fields = ["style__slug", "style__owner__slug", "=sha256"]
    ordering = ["-created_at"]
    fields = [
        *("style", "number", "status", "note", "failure", "report", "rank", "alpha", "target_modules"),
        *("size_bytes", "stored_bytes", "sha256", "config_sha256", "files", "created_by", "created_at"),
        *("handed_in_at", "approved_at", "life"),
    ]
    readonly_fields = fields
    inlines = [PlacementInline]
    actions = ["approve", "retry", "retire"]
    state = state_column("status", soon=["failed"])

    @admin.display(description="findings")
    def report(self, version: AdapterVersion) -> SafeString | str:
        rows = []
        for finding in version.findings:
            rows.append((finding.code, mark_code(finding.sentence), mark_code(finding.fix)))
        items = format_html_join("", "<li><code>{}</code> {} <em>{}</em></li>", rows)
        return format_html("<ol>{}</ol>", items) if items else "none"

    @admin.display(description="history")
    def life(self, version: AdapterVersion) -> SafeString:
        steps = version.history.all()
        rows = [(f"{step.at:%Y-%m-%d %H:%M:%S}", step.get_status_display()) for step in steps]
        return format_html_join("", "<div>{} {}</div>", rows)

    @operator_action(
        "Approve",
        effect="For a public style, other workspaces can use the version by its number, and get it when it "
        "is live or a canary.",
        done="Approved",
        permissions=["steer"],
    )
    def approve(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        sharing.approve_version(version)

    @operator_action(
        "Retry loading",
        effect="Failed versions are sent to an engine again. Other versions don't change.",
        done="Retrying",
        permissions=["steer"],
    )
    def retry(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        transitions.retry_version(version)
        enqueue.enqueue_advance(version.pk)

    @operator_action(
        "Retire permanently",
        effect="The version can no longer be used. If it is live, the style rolls back to the previous "
        "version.",
        done="Retired",
        permissions=["steer"],
        is_danger=True,
    )
    def retire(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        transitions.retire_version(version)
