"""Write the audit log."""

from collections.abc import Mapping
from functools import partial

from django.db import transaction
from django.db.models import Model

from core import log_lines
from tenants.audit import chain
from tenants.models import ApiKey, AuditEntry, Tenant, User

BY_COMMAND = "manage.py "  # begins the reason of what a command did
SERVICE = "service"  # the kind of what is no row


def record_audit(
    actor: User | None,
    *,
    action: str,
    row: Model,
    reason: str = "",
    name: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    address: str | None = None,
    tenant: Tenant | None = None,
    api_key: ApiKey | None = None,
) -> AuditEntry:
    """Record who did what to a row, and why. `before` and `after` hold only what changed.

    The actor is a person, or a program that sent `api_key`. With a tenant, its members read the entry, too.
    Call it in the transaction of the change, so that both are saved or neither.
    """
    return _write_entry(
        actor=actor,
        api_key=api_key,
        tenant=tenant,
        action=action,
        object_type=row._meta.label_lower,
        object_id=str(row.pk),
        object_name=(name or str(row))[:200],
        reason=reason[:300],
        before=dict(before or {}),
        after=dict(after or {}),
        address=address,
    )


def record_command(
    command: str,
    *,
    action: str,
    row: Model | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Record what `manage.py COMMAND` did to a row, else to the service as a whole.

    The command is the actor: who runs it on the machine is not known here.
    """
    return _write_entry(
        action=action,
        object_type=row._meta.label_lower if row else SERVICE,
        object_id=str(row.pk) if row else "",
        object_name=str(row)[:200] if row else "the service",
        reason=f"{BY_COMMAND}{command}"[:300],
        before=dict(before or {}),
        after=dict(after or {}),
    )


def _write_entry(**facts: object) -> AuditEntry:
    entry = AuditEntry.objects.create(**facts)
    if log_lines.is_json():
        transaction.on_commit(partial(log_lines.write_line, "action", _facts_of(entry)))
    # After the commit: a lock that is held until then would make all changes of the service wait in one line.
    transaction.on_commit(chain.link_entries, robust=True)
    return entry


def _facts_of(entry: AuditEntry) -> dict[str, object]:
    """Return what the log says of an action: ids. Names, reasons and values stay in the audit log."""
    facts = {
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "workspace": str(entry.tenant_id or ""),
        "user": str(entry.actor_id or ""),
        "key": str(entry.api_key_id or ""),
        "entry": str(entry.pk),
    }
    return {name: value for name, value in facts.items() if value}
