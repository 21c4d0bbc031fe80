"""Members of the workspace: list, change a role, remove, hand over, leave."""

from typing import ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer
from tenants.accounts import members
from tenants.accounts.access import Access
from tenants.accounts.roles import Permission
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView, idempotent
from tenants.models import Membership, Scope


class MemberObject(serializers.Serializer[Membership]):
    """A member of the workspace."""

    example: ClassVar = {
        "id": 7,
        "object": "member",
        "email": "bob@example.com",
        "name": "Bob Writer",
        "role": "member",
        "created_at": "2026-11-02T10:00:00Z",
        "last_seen_at": "2026-11-26T09:30:00Z",
    }

    id = serializers.IntegerField()
    object = serializers.CharField(default="member", read_only=True)
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.get_full_name", allow_blank=True)
    role = serializers.ChoiceField(Membership.Role.choices)
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the member last opened a page of the workspace, accurate to ten minutes.",
    )


class MemberBody(StrictSerializer):
    """A member's new role."""

    role = serializers.ChoiceField(Membership.Role.choices)


class MembersView(WorkspaceView):
    """All members."""

    @operation("members.list", "List members", scope=Scope.MEMBERS_WRITE, answer=MemberObject, is_page=True)
    def get(self, request: Request) -> Response:
        """Return the members, newest first."""
        return self.answer_page(_own_members(self.access), lambda rows: [present_member(row) for row in rows])


class MemberView(WorkspaceView):
    """One member."""

    @operation("members.get", "Get a member", scope=Scope.MEMBERS_WRITE, answer=MemberObject)
    def get(self, request: Request, member_id: int) -> Response:
        """Return a member."""
        return self.answer_object(present_member(_find_member(self.access, member_id)))

    @operation(
        "members.edit",
        "Change a member's role",
        scope=Scope.MEMBERS_WRITE,
        body=MemberBody,
        answer=MemberObject,
        is_edit=True,
        example={**MemberObject.example, "role": "owner"},
        body_example={"role": "owner"},
    )
    @transaction.atomic
    def patch(self, request: Request, member_id: int) -> Response:
        """Change a member's role. The only owner can't be changed. Only owners and keys with `admin` can add
        or remove owners. A key can't grant or remove a role above its creator's."""
        membership = _find_member(self.access, member_id, is_locked=True)
        self.require_match(present_member(membership))
        members.change_role(membership, self.read_body(MemberBody)["role"], by=self.access)
        return self.answer_object(present_member(membership))

    @operation("members.remove", "Remove a member", scope=Scope.MEMBERS_WRITE, status=204, is_edit=True)
    @transaction.atomic
    def delete(self, request: Request, member_id: int) -> Response:
        """Remove a member from the workspace. The only owner can't be removed. Keys the member created are
        kept."""
        membership = _find_member(self.access, member_id, is_locked=True)
        self.require_match(present_member(membership))
        members.remove_member(membership, by=self.access)
        return Response(status=204)


class TransferView(WorkspaceView):
    """The hand-over of the workspace."""

    @operation(
        "members.transfer",
        "Transfer ownership to a member",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_OWNERS,
        answer=MemberObject,
        is_post=True,
        example={**MemberObject.example, "role": "owner"},
    )
    @idempotent
    def post(self, request: Request, member_id: int) -> Response:
        """Make a member an owner, and the calling owner an admin. Requires a session, not an API key."""
        membership = _find_member(self.access, member_id)
        members.transfer_ownership(membership, by=self.access)
        return self.answer_object(present_member(membership))


class LeaveView(WorkspaceView):
    """The end of one's own membership."""

    @operation(
        "members.leave", "Leave the workspace", scope=None, needs=Permission.READ, status=204, is_post=True
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Remove the caller from the workspace. The only owner can't leave. Requires a session, not an API
        key."""
        members.leave(self.access)
        return Response(status=204)


def present_member(membership: Membership) -> dict[str, object]:
    """Return a member as the API shows it."""
    return dict(MemberObject(membership).data)


def _own_members(access: Access) -> QuerySet[Membership]:
    return Membership.objects.filter(tenant=access.tenant).select_related("user", "tenant")


def _find_member(access: Access, member_id: int, *, is_locked: bool = False) -> Membership:
    rows = _own_members(access)
    if is_locked:
        rows = rows.select_for_update(no_key=True, of=("self",))
    return get_object_or_404(rows, pk=member_id)
