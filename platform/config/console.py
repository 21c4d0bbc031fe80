"""The operators' console: unfold's admin under `/console/`, with a policy of its own.

Unfold is built on Alpine, which evaluates the expressions in its templates and sets style attributes, so
the console alone allows both. Scripts from elsewhere and inline scripts stay forbidden.
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

POLICY: dict[str, list[str]] = settings.SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
}


class Console(UnfoldAdminSite):  # type: ignore[misc]
    """Only operators come in, through the site's own login."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Return the view behind the operators' door, under the console's policy."""
        return csp_override(POLICY)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send whoever is not logged in to the site's login."""
        answer: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return answer
