"""Deleted workspaces: which ones still have styles to erase, and who may read how far that is.

Apart from deletion.py, which needs billing and payments: other packages and gateways import this.
"""

from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models import Membership, Tenant, User

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
