"""Addresses of the management API about members, usage and webhooks, under /api/v1/."""

from django.urls import path

from tenants.api import invitations, members, requests, usage, webhooks

urlpatterns = [
    path("members", members.MembersView.as_view(), name="members"),
    path("members/leave", members.LeaveView.as_view(), name="leave_workspace"),
    path("members/<int:member_id>", members.MemberView.as_view(), name="member"),
    path("members/<int:member_id>/transfer", members.TransferView.as_view(), name="transfer_ownership"),
    path("invitations", invitations.InvitationsView.as_view(), name="invitations"),
    path("invitations/<uuid:invitation_id>", invitations.InvitationView.as_view(), name="invitation"),
    path(
        "invitations/<uuid:invitation_id>/resend", invitations.ResendView.as_view(), name="resend_invitation"
    ),
    path("usage", usage.UsageView.as_view(), name="usage"),
    path("usage/events", usage.UsageEventsView.as_view(), name="usage_events"),
    path("requests", requests.RequestsView.as_view(), name="requests"),
    path("events", webhooks.EventsView.as_view(), name="events"),
    path("webhooks", webhooks.EndpointsView.as_view(), name="webhooks"),
    path("webhooks/<uuid:endpoint_id>", webhooks.EndpointView.as_view(), name="webhook"),
    path("webhooks/<uuid:endpoint_id>/rotate", webhooks.RotateEndpointView.as_view(), name="rotate_webhook"),
    path("webhooks/<uuid:endpoint_id>/test", webhooks.EndpointTestView.as_view(), name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable", webhooks.EnableEndpointView.as_view(), name="enable_webhook"),
    path(
        "webhooks/<uuid:endpoint_id>/disable", webhooks.DisableEndpointView.as_view(), name="disable_webhook"
    ),
    path("webhooks/<uuid:endpoint_id>/deliveries", webhooks.DeliveriesView.as_view(), name="deliveries"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>",
        webhooks.DeliveryView.as_view(),
        name="delivery",
    ),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver",
        webhooks.RedeliverView.as_view(),
        name="redeliver",
    ),
]
