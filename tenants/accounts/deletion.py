"""Delete a workspace.

A deleted workspace opens nothing from the next request on: no key, no page, no invitation. Its styles are
erased by the floor above, with a proof of each step. What the law wants kept stays: invoices, credit notes,
the ledger they are made of, and the audit log.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from foundation.errors import Conflict
from tenants.accounts.access import Access
from tenants.accounts.plan_changes import assign_plan
from tenants.accounts.roles import Permission
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
STAYS = (
    "Invoices, credit notes, payments and the ledger of what was used stay as long as the law wants them "
    "kept, and the audit log with them. Nothing else of the workspace can be opened any more."
)


class NotDeletable(Conflict):
    """This workspace owns the public styles of Polyscribe and can't be deleted."""

    code = "not_deletable"


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


def find_deleted_workspace(user: User, tenant_id: UUID) -> Tenant | None:
    """Return a deleted workspace for the report to one of its owners, or None."""
    own = Tenant.objects.filter(memberships__user=user, memberships__role=Membership.Role.OWNER)
    return own.exclude(deleted_at=None).filter(pk=tenant_id).first()


def prune_memberships() -> int:
    """Delete memberships of workspaces that were erased a month ago; return how many."""
    old = Membership.objects.filter(tenant__erased_at__lt=timezone.now() - OWNERS_KEPT)
    deleted, _ = old.delete()
    return deleted


def _stop_paying(tenant: Tenant) -> None:
    """End the plan and what pays by itself; what was used until now is still invoiced."""
    if plans.plan_version_at(tenant, timezone.now()).plan_id != plans.FREE:
        assign_plan(tenant, plans.newest_plan_version(plans.FREE))
    auto_top_up.set_auto_top_up(tenant, threshold_nanousd=None, amount_nanousd=None)
