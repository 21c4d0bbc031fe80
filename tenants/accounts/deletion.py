"""Delete a workspace.

A deleted workspace opens nothing from the next request on: no key, no page, no invitation. Its styles are
erased by the floor above, with a proof of each step. What the law wants kept stays: invoices, credit notes,
the ledger they are made of, and the audit log.
"""

from django.db import transaction
from django.utils import timezone

from foundation.errors import Conflict
from tenants.accounts.access import Access
from tenants.accounts.plan_changes import assign_plan
from tenants.accounts.roles import Permission
from tenants.billing import plans
from tenants.billing.persons import end_memberships
from tenants.models import (
    ApiKey,
    Invitation,
    Membership,
    Scope,
    Tenant,
    WebhookEndpoint,
)
from tenants.payments import auto_top_up
from tenants.quota_sync import snapshot


class NotDeletable(Conflict):
    """This workspace owns the public styles of Polyscribe and can't be deleted."""

    code = "not_deletable"


class AlreadyDeleted(Conflict):
    """This workspace is deleted already."""

    code = "already_deleted"


def delete_workspace(by: Access) -> None:
    """Delete a workspace: close it at once, and let its styles be erased. A second call does nothing.

    Raises NotDeletable, RoleNotAllowed and InsufficientScope.
    """
    by.require_permission(Permission.DELETE_WORKSPACE)
    by.require(Scope.ADMIN)
    with transaction.atomic():
        tenant = _lock_to_delete(by.tenant)
        if tenant.deleted_at:
            return
        by.audit("workspace.deleted", tenant)
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


def _lock_to_delete(tenant: Tenant) -> Tenant:
    held = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if held.is_first_party:
        raise NotDeletable
    return held


def _close(tenant: Tenant) -> None:
    """Let nothing open a workspace any more; the sweep of erasures does the rest."""
    now = timezone.now()
    _stop_paying(tenant)
    Invitation.objects.filter(tenant=tenant).delete()
    WebhookEndpoint.objects.filter(tenant=tenant).delete()
    ApiKey.objects.live(now).filter(tenant=tenant).update(revoked_at=now)
    end_memberships(Membership.objects.filter(tenant=tenant).exclude(role=Membership.Role.OWNER))
    # Suspended as well: that is what the data plane reads.
    Tenant.objects.filter(pk=tenant.pk).update(
        deleted_at=now, suspended_at=tenant.suspended_at or now, monthly_nanousd=None
    )
    snapshot.mark_changed(tenant.pk)


def _stop_paying(tenant: Tenant) -> None:
    """End the plan and what pays by itself; what was used until now is still invoiced."""
    if plans.plan_version_at(tenant, timezone.now()).plan_id != plans.FREE:
        assign_plan(tenant, plans.newest_plan_version(plans.FREE))
    auto_top_up.set_auto_top_up(tenant, threshold_nanousd=None, amount_nanousd=None)
