"""Delete a person's account.

It keeps its row, since logs and ledgers name it; all that says who the person was goes.
"""

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import deletion
from core.errors import Conflict
from tenants.access import Access
from tenants.audit import record_audit
from tenants.models import GONE_DOMAIN, Membership, Tenant, User
from tenants.persons import end_memberships


class OwnsSharedWorkspaces(Conflict):
    """You're the only owner of workspaces that others use: {names}. Transfer ownership first."""


@dataclass(frozen=True)
class AccountPlan:
    """What the deletion of an account does to the person's workspaces."""

    deleted: list[Tenant]  # the person is alone there
    left: list[Tenant]  # somebody else owns them
    to_transfer: list[Tenant]  # others work there, and nobody else owns them


def plan_account_deletion(user: User) -> AccountPlan:
    """Return what becomes of a person's workspaces with the account."""
    plan = AccountPlan(deleted=[], left=[], to_transfer=[])
    for own in Membership.objects.open_to(user):
        others = Membership.objects.filter(tenant=own.tenant_id).exclude(user=user)
        is_owner = own.role == Membership.Role.OWNER
        if is_owner and not others.exists():
            plan.deleted.append(own.tenant)
        elif is_owner and not others.filter(role=Membership.Role.OWNER).exists():
            plan.to_transfer.append(own.tenant)
        else:
            plan.left.append(own.tenant)
    return plan


def delete_account(user: User, *, address: str | None) -> AccountPlan:
    """Delete a person's account with the workspaces that nobody else works in; return what was done.

    Raises OwnsSharedWorkspaces and NotDeletable.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        # Roles can't change meanwhile: who changes them locks the workspace.
        own = Tenant.objects.filter(memberships__user=user).order_by("pk")
        list(own.select_for_update(no_key=True, of=("self",)))
        plan = plan_account_deletion(user)
        if plan.to_transfer:
            names = ", ".join(tenant.name for tenant in plan.to_transfer)
            raise OwnsSharedWorkspaces(names=names)
        for tenant in plan.deleted:
            deletion.delete_at_once(_owner_access(user, tenant, address))
        for tenant in plan.left:
            membership = Membership.objects.get(user=user, tenant=tenant)
            role = membership.role
            Access(tenant=tenant, user=user, role=role, address=address).audit(
                "member.left", membership, before={"role": role}
            )
        record_audit(user, action="account.deleted", row=user, name=f"account {user.pk}", address=address)
        _forget_person(user)
    return plan


def _owner_access(user: User, tenant: Tenant, address: str | None) -> Access:
    return Access(tenant=tenant, user=user, role=Membership.Role.OWNER, address=address)


def _forget_person(user: User) -> None:
    """Take away all that says who a person was, and all that lets them in."""
    end_memberships(Membership.objects.filter(user=user))
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    for session in UserSession.objects.filter(user=user):
        session.end()
    user.email = f"deleted-{user.pk}@{GONE_DOMAIN}"
    user.first_name = ""
    user.last_name = ""
    user.is_active = False
    user.is_staff = False
    user.is_superuser = False
    user.person = ""
    user.default_workspace = None
    user.set_unusable_password()
    user.save()
