"""Addresses of the management API about members, usage and webhooks, under /api/v1/."""

from tenants.api import members, usage, webhooks

urlpatterns = [
    *members.MemberViewSet.routes("members", "int"),
    *members.InvitationViewSet.routes("invitations"),
    *usage.UsageViewSet.routes("usage"),
    *usage.RequestViewSet.routes("requests"),
    *webhooks.EventViewSet.routes("events"),
    *webhooks.EndpointViewSet.routes("webhooks"),
    *webhooks.DeliveryViewSet.routes("webhooks/<uuid:endpoint_id>/deliveries"),
]
