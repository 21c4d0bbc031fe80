"""Write the audit log."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from tenants.models import AuditEntry, User


def record_audit(
    actor: User,
    *,
    action: str,
    row: Model,
    reason: str,
    name: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> AuditEntry:
    """Record what an operator did to a row, and why. `before` and `after` hold only what changed.

    Call it in the transaction of the change, so that both are saved or neither.
    """
    return AuditEntry.objects.create(
        actor=actor,
        action=action,
        object_type=row._meta.label_lower,
        object_id=str(row.pk),
        object_name=(name or str(row))[:200],
        reason=reason[:300],
        before=dict(before or {}),
        after=dict(after or {}),
        address=address,
    )
