"""Erasures: the reports, and an operator's word for machines that nobody can look at."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adapters.admin.rows import ReadOnly
from adapters.erasure import engine_purge
from adapters.erasure.report import erasure_report
from adapters.models import EngineErasure, Erasure
from adapters.views.workspace_erasure import workspace_report
from core.console import OperatorAdmin, operator_action
from tenants.models import Tenant


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

    def get_urls(self) -> list[URLPattern]:
        """Add the report of a deleted workspace's erasure."""
        of_workspace = self.admin_site.admin_view(self.report_of_workspace)
        urls: list[URLPattern] = super().get_urls()
        name = "adapters_erasure_of_workspace"
        return [path("workspace/<uuid:tenant_id>/", of_workspace, name=name), *urls]

    def report_of_workspace(self, request: HttpRequest, tenant_id: UUID) -> HttpResponse:
        """Return the report that the workspace's owners can read, with every version's proof."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        tenant = get_object_or_404(Tenant.objects.exclude(deleted_at=None), pk=tenant_id)
        return workspace_report(tenant)

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
