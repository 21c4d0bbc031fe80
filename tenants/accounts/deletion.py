"""Delete a workspace, or a person's account.

A deleted workspace opens nothing from the next request on: no key, no page, no invitation. Its styles are
erased by the floor above, with a proof of each step. What the law wants kept stays: invoices, credit notes,
the ledger they are made of, and the audit log.

An account keeps its row, since logs and ledgers name it; all that says who the person was goes.
"""

from dataclasses import dataclass
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from foundation.errors import Conflict
from tenants.accounts.access import Access
from tenants.accounts.plan_changes import assign_plan
from tenants.accounts.roles import Permission
from tenants.audit import record_audit
from tenants.billing import plans
from tenants.models import (
    ApiKey,
    Invitation,
    Membership,
    Scope,
    Tenant,
    User,
    WebhookEndpoint,
)
from tenants.payments import auto_top_up
from tenants.quota_sync import snapshot

OWNERS_KEPT = timedelta(days=30)  # after the erasure: so long an owner can open its report
GONE_DOMAIN = "deleted.invalid"  # RFC 2606: no mail can be sent there
STAYS = (
    "Invoices, credit notes, payments and the ledger of what was used stay as long as the law wants them "
    "kept, and the audit log with them. Nothing else of the workspace can be opened any more."
)


class NotDeletable(Conflict):
    """This workspace owns the public styles of Polyscribe and can't be deleted."""

    code = "not_deletable"


class OwnsSharedWorkspaces(Conflict):
    """Hand over first what others work in: {names}. You are the only owner there."""

    code = "owns_shared_workspaces"


@dataclass(frozen=True)
class AccountPlan:
    """What the deletion of an account does to the person's workspaces."""

    deleted: list[Tenant]  # the person is alone there
    left: list[Tenant]  # somebody else owns them
    to_transfer: list[Tenant]  # others work there, and nobody else owns them


def delete_workspace(by: Access) -> None:
    """Delete a workspace: close it at once, and let its styles be erased. A second call does nothing.

    Raises NotDeletable, RoleNotAllowed and InsufficientScope.
    """
    by.require_permission(Permission.DELETE_WORKSPACE)
    by.require(Scope.ADMIN)
    now = timezone.now()
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)
        if tenant.is_first_party:
            raise NotDeletable
        if tenant.deleted_at:
            return
        by.audit("workspace.deleted", tenant)
        _stop_paying(tenant)
        Invitation.objects.filter(tenant=tenant).delete()
        WebhookEndpoint.objects.filter(tenant=tenant).delete()
        ApiKey.objects.live(now).filter(tenant=tenant).update(revoked_at=now)
        Membership.objects.filter(tenant=tenant).exclude(role=Membership.Role.OWNER).delete()
        # Suspended as well: that is what the data plane reads.
        Tenant.objects.filter(pk=tenant.pk).update(
            deleted_at=now, suspended_at=tenant.suspended_at or now, monthly_nanousd=None
        )
        snapshot.mark_changed(tenant.pk)


def mark_erased(tenant: Tenant) -> None:
    """Note that the last file of a deleted workspace's styles is gone."""
    Tenant.objects.filter(pk=tenant.pk, erased_at=None).update(erased_at=timezone.now())


def list_to_erase() -> list[Tenant]:
    """Return the deleted workspaces whose styles are not all erased yet, the oldest first."""
    return list(Tenant.objects.filter(erased_at=None).exclude(deleted_at=None).order_by("deleted_at"))


def find_deleted_workspace(user: User, tenant_id: object) -> Tenant | None:
    """Return a deleted workspace for the report to one of its owners, or None."""
    own = Tenant.objects.filter(memberships__user=user, memberships__role=Membership.Role.OWNER)
    return own.exclude(deleted_at=None).filter(pk=tenant_id).first()


def prune_memberships() -> int:
    """Delete memberships of workspaces that were erased a month ago; return how many."""
    old = Membership.objects.filter(tenant__erased_at__lt=timezone.now() - OWNERS_KEPT)
    deleted, _ = old.delete()
    return deleted


def plan_account_deletion(user: User) -> AccountPlan:
    """Return what becomes of a person's workspaces with the account."""
    is_other_owner = Q(memberships__role=Membership.Role.OWNER) & ~Q(memberships__user=user)
    workspaces = Tenant.objects.filter(pk__in=Tenant.objects.of(user).values("pk")).annotate(
        people=Count("memberships", distinct=True),
        other_owners=Count("memberships", filter=is_other_owner, distinct=True),
    )
    roles = dict(Membership.objects.filter(user=user).values_list("tenant", "role"))
    plan = AccountPlan(deleted=[], left=[], to_transfer=[])
    for tenant in workspaces.order_by("created_at"):
        is_owner = roles[tenant.pk] == Membership.Role.OWNER
        if tenant.people == 1 and is_owner:
            plan.deleted.append(tenant)
        elif is_owner and not tenant.other_owners:
            plan.to_transfer.append(tenant)
        else:
            plan.left.append(tenant)
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
            delete_workspace(_owner_access(user, tenant, address))
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
    Membership.objects.filter(user=user).delete()
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
    user.default_workspace = None
    user.set_unusable_password()
    user.save()


def _stop_paying(tenant: Tenant) -> None:
    """End the plan and what pays by itself; what was used until now is still invoiced."""
    if plans.plan_version_at(tenant, timezone.now()).plan_id != plans.FREE:
        assign_plan(tenant, plans.newest_plan_version(plans.FREE))
    auto_top_up.set_auto_top_up(tenant, threshold_nanousd=None, amount_nanousd=None)
