"""Invitations to the workspace: list, invite, send again, withdraw."""

from typing import ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer
from tenants.accounts import invitations
from tenants.accounts.access import Access
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView, idempotent
from tenants.metering.persons import BadAddress, spell_address
from tenants.models import Invitation, Membership, Scope


class InvitationObject(serializers.Serializer[Invitation]):
    """An invitation for an email address. Accepting or withdrawing ends it."""

    example: ClassVar = {
        "id": "3c9a1f52-7c1e-4f0c-9d2b-0b8a1c6e7f21",
        "object": "invitation",
        "email": "dora@example.com",
        "role": "member",
        "invited_by": "alice@example.com",
        "created_at": "2026-11-26T09:30:00Z",
        "mailed_at": "2026-11-26T09:30:01Z",
        "expires_at": "2026-12-03T09:30:00Z",
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="invitation", read_only=True)
    email = serializers.EmailField()
    role = serializers.ChoiceField(Membership.Role.choices)
    invited_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    mailed_at = serializers.DateTimeField(
        allow_null=True, help_text="`null` if the email could not be sent. Resend it."
    )
    expires_at = serializers.DateTimeField(
        help_text="When its link expires. The invitation is deleted a week later."
    )

    def get_invited_by(self, invitation: Invitation) -> str | None:
        """Return the address of the person who invited; null: a program did."""
        return invitation.invited_by.email if invitation.invited_by else None


class InvitationBody(StrictSerializer):
    """Email address and role of the new member."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(Membership.Role.choices, default=Membership.Role.MEMBER)

    def validate_email(self, email: str) -> str:
        """Return the address as accounts have it."""
        try:
            return spell_address(email)
        except BadAddress as error:
            raise serializers.ValidationError(error.program_message) from error


class InvitationsView(WorkspaceView):
    """All invitations that nobody has followed yet."""

    @operation(
        "invitations.list",
        "List invitations",
        scope=Scope.MEMBERS_WRITE,
        answer=InvitationObject,
        is_page=True,
    )
    def get(self, request: Request) -> Response:
        """Return the invitations, newest first."""
        return self.answer_page(
            _own_invitations(self.access), lambda rows: [present_invitation(row) for row in rows]
        )

    @operation(
        "invitations.create",
        "Invite a member",
        scope=Scope.MEMBERS_WRITE,
        body=InvitationBody,
        answer=InvitationObject,
        status=201,
        is_post=True,
        body_example={"email": "dora@example.com", "role": "member"},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Email a single-use link that is valid for seven days and only for that address. Only owners and
        keys with `admin` can invite owners. A key can't grant a role above its creator's."""
        body = self.read_body(InvitationBody)
        invitation = invitations.invite(body["email"], body["role"], by=self.access)
        return self.answer_object(present_invitation(invitation), status=201)


class InvitationView(WorkspaceView):
    """One invitation."""

    @operation("invitations.get", "Get an invitation", scope=Scope.MEMBERS_WRITE, answer=InvitationObject)
    def get(self, request: Request, invitation_id: UUID) -> Response:
        """Return an invitation."""
        return self.answer_object(present_invitation(_find_invitation(self.access, invitation_id)))

    @operation(
        "invitations.withdraw",
        "Withdraw an invitation",
        scope=Scope.MEMBERS_WRITE,
        status=204,
        is_change=True,
    )
    @transaction.atomic
    def delete(self, request: Request, invitation_id: UUID) -> Response:
        """Withdraw an invitation. Its link stops working."""
        invitations.withdraw(_find_invitation(self.access, invitation_id), by=self.access)
        return Response(status=204)


class ResendView(WorkspaceView):
    """A new link for an invitation."""

    @operation(
        "invitations.resend",
        "Resend an invitation",
        scope=Scope.MEMBERS_WRITE,
        answer=InvitationObject,
        is_post=True,
    )
    @idempotent
    def post(self, request: Request, invitation_id: UUID) -> Response:
        """Email a new link, valid for seven days, and invalidate the old one. At most once in two minutes."""
        invitation = _find_invitation(self.access, invitation_id)
        invitations.resend(invitation, by=self.access)
        return self.answer_object(present_invitation(invitation))


def present_invitation(invitation: Invitation) -> dict[str, object]:
    """Return an invitation as the API shows it."""
    return dict(InvitationObject(invitation).data)


def _own_invitations(access: Access) -> QuerySet[Invitation]:
    return Invitation.objects.filter(tenant=access.tenant).select_related("invited_by", "tenant")


def _find_invitation(access: Access, invitation_id: UUID) -> Invitation:
    return get_object_or_404(_own_invitations(access), pk=invitation_id)
