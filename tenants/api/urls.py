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
    *webhooks.EventViewSet.routes("events"),
    *webhooks.EndpointViewSet.routes("webhooks"),
    *webhooks.DeliveryViewSet.routes("webhooks/<uuid:endpoint_id>/deliveries"),
]
