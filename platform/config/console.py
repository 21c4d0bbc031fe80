"""The operators' console: unfold's admin under `/console/`, with a policy of its own.

Unfold is built on Alpine, which evaluates the expressions in its templates and sets style attributes, so
the console alone allows both. Scripts from elsewhere and inline scripts stay forbidden.
"""

from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

from config import operators
from tenants.public import User, record_audit

POLICY: dict[str, list[str]] = settings.SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
}


class Console(UnfoldAdminSite):  # type: ignore[misc]
    """Only operators come in, through the site's own login and with a second factor."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody is an operator and showed a second factor in this session."""
        return bool(super().has_permission(request)) and operators.has_second_factor(request)

    def record(self, request: HttpRequest, *, action: str, row: Model, reason: str, **facts: Any) -> None:
        """Write what an operator did into the audit log."""
        address = request.META.get("REMOTE_ADDR") or None
        actor = cast(User, request.user)  # has_permission let nobody else in
        record_audit(actor, action=action, row=row, reason=reason, address=address, **facts)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Return the view behind the operators' door, under the console's policy."""
        return csp_override(POLICY)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send whoever is not logged in to the site's login, and who lacks a second factor to that."""
        user = request.user
        if user.is_authenticated and user.is_active and user.is_staff and not self.has_permission(request):
            page = operators.second_factor_page(request)
            if page == reverse("mfa_index"):
                messages.warning(request, "The console asks for a second factor: set one up, then come back.")
            return redirect(page)
        answer: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return answer
