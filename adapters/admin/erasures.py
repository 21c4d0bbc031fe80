"""Erasures: the reports, and an operator's word for what nobody can look at."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from adapters import forgetting, reports
from adapters.admin.rows import ReadOnly
from adapters.errors import NothingToVouchFor
from adapters.models import EngineErasure, Erasure


class EngineErasureInline(ReadOnly, TabularInline):
    model = EngineErasure
    fields = ["engine", "unregistered_at", "memory_free_at", "proof", "copy_gone_at", "note"]
    readonly_fields = fields
    extra = 0


@admin.register(Erasure)
class ErasureAdmin(ReadOnly, ModelAdmin):
    list_display = ["version", "requested_at", "drained_at", "storage_gone_at", "finished_at", "note"]
    list_filter = [("finished_at", admin.EmptyFieldListFilter)]
    list_select_related = ["version__style__owner"]
    search_fields = ["version__style__slug", "version__style__owner__slug", "=version__sha256"]
    ordering = ["-requested_at"]
    fields = ["version", "requested_by", "requested_at", "report"]
    readonly_fields = fields
    inlines = [EngineErasureInline]
    actions = ["vouch"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("adapters.change_erasure")

    @admin.display(description="report")
    def report(self, erasure: Erasure) -> SafeString:
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>',
            reports.report(erasure).text(),
        )

    @admin.action(
        description="I vouch that the machines of engines out of reach were wiped", permissions=["steer"]
    )
    def vouch(self, request: HttpRequest, chosen: QuerySet[Erasure]) -> None:
        for erasure in chosen:
            try:
                forgetting.vouch(erasure)
                self.log_change(request, erasure, "Vouched for engines that are out of reach.")
            except NothingToVouchFor as error:
                messages.warning(request, f"{erasure}: {error.message}")
