"""The operators' console: unfold's admin under `/console/`, with a policy of its own.

Unfold is built on Alpine, which evaluates expressions in its templates and sets style attributes. Under the
studio's policy its dialogs stay open and its menus do nothing (seen in Chromium). So the console alone allows
both. Scripts of other origins and inline scripts stay forbidden.
"""

from typing import Any, cast
from uuid import UUID

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

from operations.console import operators
from operations.console.menu import JOBS, MARGINS, WATERMARK, PageOfOurs
from operations.console.overview import overview_context
from operations.workspace_data import show_export, workspace_report
from tenants.audit import record_audit
from tenants.models import Tenant, User

POLICY: dict[str, list[str]] = settings.SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
}


class Console(UnfoldAdminSite):  # type: ignore[misc]
    """The admin site. Operators enter through the site's own login and with a second factor."""

    index_title = "Overview"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the overview; the lists stand in the menu."""
        context = {**(extra_context or {}), **overview_context(request)}
        response: TemplateResponse = super().index(request, context)
        return response

    def get_urls(self) -> list[Any]:
        """Add the pages that are no list."""
        show = self.admin_view(self.show_page)
        pages = [
            path(f"{page.name}/", show, {"page": page}, page.name) for page in (JOBS, WATERMARK, MARGINS)
        ]
        export = path(
            "workspace/<uuid:tenant_id>/export/", self.admin_view(self.export), name="workspace_export"
        )
        erasure = path(
            "workspace/<uuid:tenant_id>/erasure/",
            self.admin_view(self.show_erasure),
            name="workspace_erasure",
        )
        return [*pages, export, erasure, *super().get_urls()]

    def show_page(self, request: HttpRequest, page: PageOfOurs) -> HttpResponse:
        """Show a page that is no list. Raises PermissionDenied."""
        if not page.context or not request.user.has_perm(page.permission):
            raise PermissionDenied
        context = {**self.each_context(request), "title": page.title, **page.context()}
        return TemplateResponse(request, f"admin/{page.name}.html", context)

    def export(self, request: HttpRequest, tenant_id: UUID) -> HttpResponseBase:
        """Hand a workspace's data out as a zip."""
        return show_export(self, request, tenant_id)

    def show_erasure(self, request: HttpRequest, tenant_id: UUID) -> HttpResponse:
        """Return the report that a deleted workspace's owners can read. Raises Http404, PermissionDenied."""
        if not request.user.has_perm("adapters.view_erasure"):
            raise PermissionDenied
        tenant = get_object_or_404(Tenant.objects.exclude(deleted_at=None), pk=tenant_id)
        return workspace_report(tenant)

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is an operator and showed a second factor in this session."""
        return bool(super().has_permission(request)) and operators.has_second_factor(request)

    def record(self, request: HttpRequest, *, action: str, row: Model, reason: str, **facts: Any) -> None:
        """Record in the audit log what an operator did."""
        address = request.META.get("REMOTE_ADDR") or None
        actor = cast(User, request.user)  # has_permission let nobody else in
        record_audit(actor, action=action, row=row, reason=reason, address=address, **facts)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Return the view with a check of permission, under the console's policy."""
        return csp_override(POLICY)(super().admin_view(view, cacheable))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send operators to everybody's page: it counts wrong passwords and mails the account's owner."""
        return redirect("account_change_password")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send strangers to the site's login, and operators without a second factor to its page."""
        is_operator = bool(super().has_permission(request))
        if is_operator and not operators.has_second_factor(request):
            page = operators.second_factor_page(request)
            if page == reverse("mfa_index"):
                messages.warning(request, "The console requires a second factor. Set one up, then come back.")
            return redirect(page)
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response
