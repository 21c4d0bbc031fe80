"""Addresses of the pages about a workspace's people."""

from django.urls import path

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("team/", views.list_members, name="team"),
    path("team/invite/", views.invite, name="invite"),
    path("team/leave/", views.leave, name="leave_workspace"),
    path("team/members/<int:member_id>/", views.show_member, name="member"),
    path("team/members/<int:member_id>/role/", views.change_role, name="change_role"),
    path("team/members/<int:member_id>/remove/", views.remove_member, name="remove_member"),
    path("team/members/<int:member_id>/transfer/", views.transfer_ownership, name="transfer_ownership"),
    path("team/invitations/<uuid:invitation_id>/resend/", views.resend_invitation, name="resend_invitation"),
    path(
        "team/invitations/<uuid:invitation_id>/withdraw/",
        views.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("invitations/<str:token>/", views.show_invitation, name="join"),
]
