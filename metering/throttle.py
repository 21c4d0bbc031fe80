"""The plan's limit of API requests a minute, for the whole management API: REST framework asks it first."""

from typing import TYPE_CHECKING

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core import rates
from metering.plans import api_requests_per_minute
from tenants.access import Access

if TYPE_CHECKING:  # views look for throttles while they are made
    from tenants.api.views import WorkspaceView


class ApiRequestsPerMinute(BaseThrottle):
    """As many requests as the workspace's plan allows, for each key and each person."""

    def allow_request(self, request: Request, view: "WorkspaceView") -> bool:  # type: ignore[override]
        """Take one request, and give the view what is left. Raises TooManyRequests."""
        if isinstance(request.auth, Access):
            limit = api_requests_per_minute(request.auth.tenant, timezone.now())
            view.rate = rates.take(f"api:{request.auth.caller}", limit)
        return True
