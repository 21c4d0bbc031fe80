"""Delete a workspace, or a person's account.

A workspace is deleted a day after an owner asked, unless an owner stops it until then. It works as before for
that day. A deleted workspace opens nothing from the next request on: no
key, no page, no invitation. The app of styles erases its styles, with a proof of each step. What the
law wants kept stays: invoices, credit notes, the ledger they are made of, and the audit log. Memberships
stay for a month, so that its people read what happened.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.subscriptions import assign_plan
from core.errors import Conflict
from events.models import EventType, WebhookEndpoint
from events.outbox import record_event
from metering import plans
from metering.quota_sync import snapshot
from tenants.access import Access
from tenants.audit import record_audit
from tenants.models import GONE_DOMAIN, ApiKey, Invitation, Membership, Scope, Tenant, User
from tenants.persons import end_memberships
from tenants.roles import Permission

STOPPABLE_FOR = timedelta(hours=24)


class NotDeletable(Conflict):
    """This workspace owns Polyscribe's public styles and can't be deleted."""


class AlreadyDeleted(Conflict):
    """This workspace is already deleted."""


class NothingToStop(Conflict):
    """This workspace is not scheduled for deletion."""


def request_deletion(by: Access) -> datetime:
    """Have a workspace deleted a day from now, and tell its owners; return when.

    A second call changes nothing.
    Raises NotDeletable, AlreadyDeleted, RoleNotAllowed and InsufficientScope.
    """
    with transaction.atomic():
        tenant = _lock_for(by)
        if tenant.deleted_at:
            raise AlreadyDeleted
        if tenant.deletion_at is None:
            tenant.deletion_at = timezone.now() + STOPPABLE_FOR
            tenant.deletion_asked_by = by.user
            tenant.save(update_fields=["deletion_at", "deletion_asked_by"])
            facts = {"deletion_at": tenant.deletion_at.isoformat()}
            by.audit("workspace.deletion_requested", tenant, after=facts)
            asked_by = by.user.email if by.user else None
            record_event(
                tenant.pk, EventType.WORKSPACE_DELETION_REQUESTED, tenant, **facts, asked_by=asked_by
            )
    by.tenant.deletion_at = tenant.deletion_at
    return tenant.deletion_at


def stop_deletion(by: Access) -> None:
    """Keep a workspace that was to be deleted. Raises NothingToStop, RoleNotAllowed and InsufficientScope."""
    with transaction.atomic():
        tenant = _lock_for(by)
        if tenant.deletion_at is None or tenant.deleted_at:
            raise NothingToStop
        before = {"deletion_at": tenant.deletion_at.isoformat()}
        tenant.deletion_at = None
        tenant.deletion_asked_by = None
        tenant.save(update_fields=["deletion_at", "deletion_asked_by"])
        by.audit("workspace.deletion_stopped", tenant, before=before)
        stopped_by = by.user.email if by.user else None
        record_event(tenant.pk, EventType.WORKSPACE_DELETION_STOPPED, tenant, stopped_by=stopped_by)
    by.tenant.deletion_at = None


def delete_due(now: datetime) -> int:
    """Delete the workspaces whose day is over; return how many.

    Safe to repeat, and from two workers at once.
    """
    count = 0
    due = Tenant.objects.filter(deletion_at__lte=now, deleted_at=None)
    for tenant_id in due.values_list("pk", flat=True):
        with transaction.atomic():
            tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
            # Stopped, or deleted by another worker, since it was looked for.
            if tenant.deleted_at or tenant.deletion_at is None or tenant.deletion_at > now:
                continue
            asked_at = tenant.deletion_at - STOPPABLE_FOR
            record_audit(
                tenant.deletion_asked_by,
                action="workspace.deleted",
                row=tenant,
                tenant=tenant,
                after={"requested_at": asked_at.isoformat()},
            )
            _close(tenant)
            count += 1
    return count


def delete_at_once(by: Access) -> None:
    """Delete a workspace without a day to stop it, as goes with the account of the last person in it.

    A second call does nothing. Raises NotDeletable, RoleNotAllowed and InsufficientScope.
    """
    with transaction.atomic():
        tenant = _lock_for(by)
        if tenant.deleted_at:
            return
        by.audit("workspace.deleted", tenant)
        Tenant.objects.filter(pk=tenant.pk).update(deletion_asked_by=by.user)
        _close(tenant)


def delete_by_operator(tenant: Tenant) -> None:
    """Delete a workspace as its owner would. Raises NotDeletable and AlreadyDeleted.

    The console writes the audit log.
    """
    with transaction.atomic():
        held = _lock_to_delete(tenant)
        if held.deleted_at:
            raise AlreadyDeleted
        _close(held)


def _lock_for(by: Access) -> Tenant:
    """Return the locked workspace of somebody who may delete it."""
    by.require_permission(Permission.DELETE_WORKSPACE)
    by.require(Scope.ADMIN)
    return _lock_to_delete(by.tenant)


def _lock_to_delete(tenant: Tenant) -> Tenant:
    held = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if held.is_first_party:
        raise NotDeletable
    return held


def _close(tenant: Tenant) -> None:
    """End everything that opens a workspace; the sweep of erasures does the rest."""
    now = timezone.now()
    _stop_paying(tenant, now)
    Invitation.objects.filter(tenant=tenant).delete()
    WebhookEndpoint.objects.filter(tenant=tenant).delete()
    ApiKey.objects.live(now).filter(tenant=tenant).update(revoked_at=now)
    # Suspended as well: that is what the data plane reads.
    Tenant.objects.filter(pk=tenant.pk).update(
        deleted_at=now, suspended_at=tenant.suspended_at or now, monthly_nanousd=None
    )
    snapshot.mark_changed(tenant.pk)


def _stop_paying(tenant: Tenant, now: datetime) -> None:
    """End the plan; what was used until now is still invoiced. A suspended workspace is not topped up."""
    if plans.plan_version_at(tenant, now).plan_id != plans.FREE:
        assign_plan(tenant, plans.newest_plan_version(plans.FREE), now=now)


# Delete a person's account.
#
# It keeps its row, since logs and ledgers name it; all that says who the person was goes.


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
            delete_at_once(_owner_access(user, tenant, address))
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


# Deleted workspaces: which ones still have styles to erase, and who may read how far that is.

STAYS = _(
    "Invoices, credit notes, payments, the usage ledger and the audit log are kept for as long as the "
    "law requires. Nothing else in the workspace can be accessed."
)


def mark_erased(tenant: Tenant) -> None:
    """Note that the last file of a deleted workspace's styles is gone."""
    Tenant.objects.filter(pk=tenant.pk, erased_at=None).update(erased_at=timezone.now())


def list_to_erase() -> list[Tenant]:
    """Return the deleted workspaces whose styles are not all erased yet, the oldest first."""
    return list(Tenant.objects.filter(erased_at=None).exclude(deleted_at=None).order_by("deleted_at"))


def find_deleted_workspace(user: User, tenant_id: UUID) -> Tenant | None:
    """Return a deleted workspace for the report to one of its owners, or None."""
    own = Tenant.objects.filter(memberships__user=user, memberships__role=Membership.Role.OWNER)
    return own.exclude(deleted_at=None).filter(pk=tenant_id).first()


def list_deleted(user: User) -> list[Tenant]:
    """Return the deleted workspaces that a person was in, the newest deletion first, for a month at least."""
    own = Tenant.objects.filter(memberships__user=user).exclude(deleted_at=None)
    return list(own.select_related("deletion_asked_by").order_by("-deleted_at"))
