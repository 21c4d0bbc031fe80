"""Members of a workspace: change a role, hand over, remove, leave. A workspace always keeps an owner.

Each action is one transaction with its line in the audit log.
"""

from django.db import transaction

from accounts import free_plan
from core.errors import Conflict
from tenants.access import Access
from tenants.models import Membership, Tenant
from tenants.persons import end_memberships
from tenants.roles import Permission

Role = Membership.Role


class LastOwner(Conflict):
    """A workspace needs at least one owner. Make another member an owner first."""


class NotAPerson(Conflict):
    """An API key belongs to the workspace and can't leave it. Revoke the key instead."""


class AlreadyOwner(Conflict):
    """{email} is already an owner."""


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: Access) -> None:
    """Give a member another role, from the next request on.

    Raises LastOwner, OwnsOtherFreeWorkspace; NotAllowed where the caller may not give the one role or take
    the other.
    """
    before = _lock(membership)
    if role == before:
        return
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.require_assignable(before)
    by.require_assignable(role)
    _require_other_owner(membership, keeps=role == Role.OWNER)
    if role == Role.OWNER:
        free_plan.require_for_owner(membership.user, membership.tenant)
    Membership.objects.filter(pk=membership.pk).update(role=role)
    membership.role = role
    by.audit("member.edited", membership, before={"role": before}, after={"role": role})


@transaction.atomic
def remove_member(membership: Membership, *, by: Access) -> None:
    """Take a person out of a workspace. The keys that they made stay.

    Raises LastOwner; NotAllowed where the caller may not take the member's role.
    """
    role = _lock(membership)
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.require_assignable(role)
    _end(membership, "member.removed", by=by)


@transaction.atomic
def leave(by: Access) -> None:
    """Take the person who acts out of the workspace. Raises LastOwner, and NotAPerson for a key."""
    if by.user is None:
        raise NotAPerson
    membership = Membership.objects.select_related("user", "tenant").get(tenant=by.tenant, user=by.user)
    _lock(membership)
    _end(membership, "member.left", by=by)


@transaction.atomic
def transfer_ownership(membership: Membership, *, by: Access) -> None:
    """Make a member an owner, and the owner who acts an admin. A key hands over for nobody.

    Raises RoleNotAllowed, NotAPerson, AlreadyOwner and OwnsOtherFreeWorkspace.
    """
    role = _lock(membership)
    if by.user is None:
        raise NotAPerson
    by.require_owner_rights()
    if role == Role.OWNER:
        raise AlreadyOwner(email=membership.user.email)
    free_plan.require_for_owner(membership.user, membership.tenant)
    Membership.objects.filter(pk=membership.pk).update(role=Role.OWNER)
    Membership.objects.filter(tenant=by.tenant, user=by.user).update(role=Role.ADMIN)
    membership.role = Role.OWNER
    by.audit(
        "workspace.transferred",
        membership,
        before={"owner": by.user.email},
        after={"owner": membership.user.email},
    )


def _lock(membership: Membership) -> str:
    """Lock the workspace's row and return the member's role as it is now.

    Two owners that remove each other at once would leave none.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=membership.tenant_id)
    membership.refresh_from_db(fields=["role"])
    return membership.role


def _end(membership: Membership, action: str, *, by: Access) -> None:
    """End a membership whose workspace is locked."""
    _require_other_owner(membership, keeps=False)
    by.audit(action, membership, before={"role": membership.role})
    end_memberships(Membership.objects.filter(pk=membership.pk))


def _require_other_owner(membership: Membership, *, keeps: bool) -> None:
    others = Membership.objects.filter(tenant=membership.tenant_id, role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not keeps and not others.exists():
        raise LastOwner
