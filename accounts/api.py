"""Members of the workspace, and the people who are invited to it."""

from typing import Any

from rest_framework import serializers

from accounts import members
from core.rest.bodies import StrictSerializer
from core.rest.objects import PersonField
from tenants.api.viewsets import WorkspaceViewSet, described, post
from tenants.models import Invitation, Membership, Scope
from tenants.persons import BadAddress, spell_address
from tenants.roles import Permission


class MemberObject(serializers.Serializer[Membership]):
    """A member of the workspace."""

    example = dict(last_seen_at="2026-11-26T09:30:00Z")

    id = serializers.IntegerField(initial=7)
    object = serializers.CharField(default="member", read_only=True)
    email = serializers.EmailField(source="user.email", initial="bob@example.com")
    name = serializers.CharField(source="user.get_full_name", allow_blank=True, initial="Bob Writer")
    role = serializers.ChoiceField(Membership.Role.choices, initial="member")
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the member last opened a page of the workspace, accurate to ten minutes.",
    )


class MemberBody(StrictSerializer):
    """A member's new role."""

    role = serializers.ChoiceField(Membership.Role.choices, initial="owner")


class InvitationObject(serializers.Serializer[Invitation]):
    """An invitation for an email address. Accepting or withdrawing ends it."""

    example = dict(mailed_at="2026-11-26T09:30:01Z", expires_at="2026-12-03T09:30:00Z")

    id = serializers.UUIDField()
    object = serializers.CharField(default="invitation", read_only=True)
    email = serializers.EmailField(initial="dora@example.com")
    role = serializers.ChoiceField(Membership.Role.choices, initial="member")
    invited_by = PersonField("invited_by")
    created_at = serializers.DateTimeField()
    mailed_at = serializers.DateTimeField(
        allow_null=True, help_text="`null` if the email could not be sent. Resend it."
    )
    expires_at = serializers.DateTimeField(
        help_text="When its link expires. The invitation is deleted a week later."
    )


class InvitationBody(StrictSerializer):
    """Email address and role of the new member."""

    email = serializers.EmailField(max_length=254, initial="dora@example.com")
    role = serializers.ChoiceField(Membership.Role.choices, default=Membership.Role.MEMBER, initial="member")

    def validate_email(self, email: str) -> str:
        """Return the address as accounts have it."""
        try:
            return spell_address(email)
        except BadAddress as error:
            raise serializers.ValidationError(error.program_message) from error


class MemberViewSet(WorkspaceViewSet):
    """Members."""

    tag, noun, nouns = "members", "member", "members"
    scope = Scope.MEMBERS_WRITE
    reads = {"list": "Return the members, newest first.", "retrieve": "Return a member."}
    queryset = Membership.objects.select_related("user", "tenant")
    serializer_class = MemberObject
    body = MemberBody
    lookup_url_kwarg = "member_id"

    @described(summary="Change a member's role", example={"role": "owner"})
    def partial_update(self, membership: Membership, body: dict[str, Any]) -> Membership:
        """Change a member's role. The only owner can't be changed. Only owners and keys with `admin` can add
        or remove owners. A key can't grant or remove a role above its creator's."""
        members.change_role(membership, body["role"], by=self.access)
        return membership

    @described(name="remove", summary="Remove a member")
    def destroy(self, membership: Membership) -> None:
        """Remove a member from the workspace. The only owner can't be removed. Keys the member created are
        kept."""
        members.remove_member(membership, by=self.access)

    @post(
        "Transfer ownership to a member",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_OWNERS,
        example={"role": "owner"},
    )
    def transfer(self, membership: Membership) -> Membership:
        """Make a member an owner, and the calling owner an admin. Requires a session, not an API key."""
        members.transfer_ownership(membership, by=self.access)
        return membership

    @post("Leave the workspace", detail=False, scope=None, needs=Permission.READ, answer=None)
    def leave(self) -> None:
        """Remove the caller from the workspace. The only owner can't leave. Requires a session, not an API
        key."""
        members.leave(self.access)


class InvitationViewSet(WorkspaceViewSet):
    """Invitations that nobody has followed yet."""

    tag, noun, nouns = "invitations", "invitation", "invitations"
    scope = Scope.MEMBERS_WRITE
    reads = {"list": "Return the invitations, newest first.", "retrieve": "Return an invitation."}
    queryset = Invitation.objects.select_related("invited_by", "tenant")
    serializer_class = InvitationObject
    new_body = InvitationBody
    lookup_url_kwarg = "invitation_id"

    @described(summary="Invite a member")
    def create(self, body: dict[str, Any]) -> Invitation:
        """Email a single-use link that is valid for seven days and only for that address. Only owners and
        keys with `admin` can invite owners. A key can't grant a role above its creator's."""
        return members.invite(body["email"], body["role"], by=self.access)

    @described(name="withdraw", summary="Withdraw an invitation")
    def destroy(self, invitation: Invitation) -> None:
        """Withdraw an invitation. Its link stops working."""
        members.withdraw(invitation, by=self.access)

    @post("Resend an invitation")
    def resend(self, invitation: Invitation) -> Invitation:
        """Email a new link, valid for seven days, and invalidate the old one. At most once in two minutes."""
        members.resend(invitation, by=self.access)
        return invitation
