"""Members of a workspace: change a role, remove. A workspace always keeps an owner."""

from django.db import transaction

from foundation.errors import Conflict
from tenants.models import Membership, Tenant

Role = Membership.Role


class LastOwner(Conflict):
    """This is the only owner. Make another member an owner first."""

    code = "last_owner"


def change_role(membership: Membership, role: str) -> None:
    """Give a member another role, from the next request on. Raises LastOwner."""
    with transaction.atomic():
        _require_other_owner(membership, keeps=role == Role.OWNER)
        Membership.objects.filter(pk=membership.pk).update(role=role)
    membership.refresh_from_db(fields=["role"])


def remove_member(membership: Membership) -> None:
    """Take a person out of a workspace. The keys that they made stay. Raises LastOwner."""
    with transaction.atomic():
        _require_other_owner(membership, keeps=False)
        Membership.objects.filter(pk=membership.pk).delete()


def _require_other_owner(membership: Membership, *, keeps: bool) -> None:
    # The workspace's row is locked: two owners that remove each other at once would leave none.
    Tenant.objects.select_for_update(no_key=True).get(pk=membership.tenant_id)
    others = Membership.objects.filter(tenant=membership.tenant_id, role=Role.OWNER).exclude(pk=membership.pk)
    is_owner = Membership.objects.filter(pk=membership.pk, role=Role.OWNER).exists()
    if is_owner and not keeps and not others.exists():
        raise LastOwner
