"""Delete a workspace: a day after an owner asked, and unless an owner stops it until then.

The workspace works as before for that day. A deleted workspace opens nothing from the next request on: no
key, no page, no invitation. The app of styles erases its styles, with a proof of each step. What the
law wants kept stays: invoices, credit notes, the ledger they are made of, and the audit log. Memberships
stay for a month, so that its people read what happened.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.subscriptions import assign_plan
from core.errors import Conflict
from events.models import EventType, WebhookEndpoint
from events.outbox import record_event
from metering import plans
from metering.quota_sync import snapshot
from tenants.access import Access
from tenants.audit import record_audit
from tenants.models import ApiKey, Invitation, Scope, Tenant
from tenants.roles import Permission

STOPPABLE_FOR = timedelta(hours=24)


class NotDeletable(Conflict):
    """This workspace owns Polyscribe's public styles and can't be deleted."""


class AlreadyDeleted(Conflict):
    """This workspace is already deleted."""


class NothingToStop(Conflict):
    """This workspace is not scheduled for deletion."""


def request_deletion(by: Access, *, now: datetime | None = None) -> datetime:
    """Have a workspace deleted a day from now, and tell its owners; return when.

    A second call changes nothing.
    Raises NotDeletable, AlreadyDeleted, RoleNotAllowed and InsufficientScope.
    """
    with transaction.atomic():
        tenant = _lock_for(by)
        if tenant.deleted_at:
            raise AlreadyDeleted
        if tenant.deletion_at is None:
            tenant.deletion_at = (now or timezone.now()) + STOPPABLE_FOR
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
