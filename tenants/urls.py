"""Addresses of the studio's pages about a workspace."""

from django.urls import path

from tenants.views import audit_log, notices, team, webhooks

app_name = "tenants"

urlpatterns = [
    path("webhooks/", webhooks.list_endpoints, name="webhooks"),
    path("webhooks/create/", webhooks.create_endpoint, name="create_webhook"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.show_endpoint, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/edit/", webhooks.edit_endpoint, name="edit_webhook"),
    path("webhooks/<uuid:endpoint_id>/secret/", webhooks.rotate_secret, name="rotate_webhook_secret"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.send_test, name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable/", webhooks.enable_endpoint, name="enable_webhook"),
    path("webhooks/<uuid:endpoint_id>/disable/", webhooks.disable_endpoint, name="disable_webhook"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.delete_endpoint, name="delete_webhook"),
    path("webhooks/deliveries/<uuid:delivery_id>/", webhooks.show_delivery, name="webhook_delivery"),
    path("webhooks/deliveries/<uuid:delivery_id>/again/", webhooks.redeliver, name="redeliver_webhook"),
    path("notices/", notices.choose_notices, name="notices"),
    path("notices/unsubscribe/<str:token>/", notices.unsubscribe, name="unsubscribe"),
    path("team/", team.list_members, name="team"),
    path("team/invite/", team.invite, name="invite"),
    path("team/leave/", team.leave, name="leave_workspace"),
    path("team/members/<int:member_id>/", team.show_member, name="member"),
    path("team/members/<int:member_id>/role/", team.change_role, name="change_role"),
    path("team/members/<int:member_id>/remove/", team.remove_member, name="remove_member"),
    path("team/members/<int:member_id>/transfer/", team.transfer_ownership, name="transfer_ownership"),
    path("team/invitations/<uuid:invitation_id>/resend/", team.resend_invitation, name="resend_invitation"),
    path(
        "team/invitations/<uuid:invitation_id>/withdraw/",
        team.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("team/audit-log/", audit_log.show_audit_log, name="audit_log"),
    path("team/audit-log/<int:entry_id>/", audit_log.show_audit_entry, name="audit_entry"),
    path("team/audit-log.csv", audit_log.download_audit_log, name="audit_log_csv"),
    path("invitations/<str:token>/", team.show_invitation, name="join"),
]
