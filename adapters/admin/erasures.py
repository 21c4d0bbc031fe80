"""Erasures: the reports, and an operator's word for machines that nobody can look at."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adapters.erasure import engine_purge
from adapters.erasure.report import erasure_report
from adapters.models import EngineErasure, Erasure
from core.console import OperatorAdmin, operator_action
from tenants.console import ReadOnly


class EngineErasureInline(ReadOnly, TabularInline):
    model = EngineErasure
    fields = ["engine", "unregistered_at", "memory_free_at", "proof", "copy_gone_at", "note"]
    readonly_fields = fields
    extra = 0


@admin.register(Erasure)
class ErasureAdmin(ReadOnly, OperatorAdmin):
    list_display = ["version", "requested_at", "drained_at", "storage_gone_at", "finished_at", "note"]
    list_filter = [("finished_at", admin.EmptyFieldListFilter)]
    list_select_related = ["version__style__owner"]
    search_fields = ["version__style__slug", "version__style__owner__slug", "=version__sha256"]
    ordering = ["-requested_at"]
    fields = ["version", "requested_by", "requested_at", "report"]
    readonly_fields = fields
    inlines = [EngineErasureInline]
    actions = ["attest"]

    @admin.display(description="report")
    def report(self, erasure: Erasure) -> SafeString:
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>',
            erasure_report(erasure).text(),
        )

    @operator_action(
        "Confirm that the machines of unreachable engines were wiped",
        effect="The report will say that an operator confirmed that no copy is left on those machines.",
        done="Confirmed",
        permissions=["steer"],
    )
    def attest(self, request: HttpRequest, erasure: Erasure, reason: str) -> None:
        engine_purge.attest(erasure)
