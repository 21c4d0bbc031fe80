"""URLs of the management API: each app's own, and the view for any other path."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from accounts.api import InvitationViewSet, MemberViewSet
from core.http import new_request_id
from core.rest.problems import CONTENT_TYPE
from drafts.api import DraftsViewSet, SnapshotViewSet
from events.api import DeliveryViewSet, EndpointViewSet, EventViewSet
from keys.api import KeyViewSet, LoginViewSet
from metering.api import RequestViewSet, UsageViewSet
from website.api import AuditViewSet, CurrentWorkspaceViewSet

app_name = "api"


@csrf_exempt
def unknown_address(request: HttpRequest) -> JsonResponse:
    """Answer an address that the API does not have."""
    request_id = new_request_id()
    body = {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "code": "unknown_url",
        "detail": "No such endpoint. See /docs/api/ for all endpoints. Paths don't end in a slash.",
        "errors": [],
        "request_id": request_id,
    }
    headers = {"x-request-id": request_id, "Cache-Control": "no-store"}
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE, headers=headers)


urlpatterns = [
    path("", include("adapters.api.urls")),
    path("", include("training.api.urls")),
    *DraftsViewSet.routes("drafts"),
    *SnapshotViewSet.routes("drafts/<uuid:draft_id>/snapshots"),
    *EventViewSet.routes("events"),
    *EndpointViewSet.routes("webhooks"),
    *DeliveryViewSet.routes("webhooks/<uuid:endpoint_id>/deliveries"),
    *UsageViewSet.routes("usage"),
    *RequestViewSet.routes("requests"),
    *MemberViewSet.routes("members", "int"),
    *InvitationViewSet.routes("invitations"),
    *KeyViewSet.routes("keys"),
    *LoginViewSet.routes("logins"),
    path("", include("billing.api.urls")),
    *CurrentWorkspaceViewSet.routes("workspace"),
    *AuditViewSet.routes("workspace/audit-log"),
    re_path("", unknown_address),
]
