"""Read a workspace's audit log: find entries by action, person and day; write them as a table."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Q, QuerySet
from django.utils.translation import gettext

from core.spreadsheets import stream_csv
from tenants.models import GONE_DOMAIN, AuditEntry, Tenant

CSV_COLUMNS = ["at", "action", "actor", "api_key", "object_type", "object_name", "object_id"]
CSV_COLUMNS += ["before", "after", "address"]
CSV_CHUNK = 500


def find_entries(
    tenant: Tenant,
    *,
    action: str = "",
    person: str = "",
    first_day: date | None = None,
    last_day: date | None = None,
) -> QuerySet[AuditEntry]:
    """Return the entries of a workspace, newest first.

    `action` is the beginning of an action's name, `person` a part of an address or of a key's name; days are
    UTC and both included.
    """
    entries = AuditEntry.objects.filter(tenant=tenant).select_related("actor", "api_key")
    if action:
        entries = entries.filter(action__startswith=action)
    if person:
        entries = entries.filter(Q(actor__email__icontains=person) | Q(api_key__name__icontains=person))
    if first_day:
        entries = entries.filter(at__gte=_begin_of(first_day))
    if last_day:
        entries = entries.filter(at__lt=_begin_of(last_day) + timedelta(days=1))
    return entries.order_by("-id")


def list_actions(tenant: Tenant) -> list[str]:
    """Return the names of the actions that stand in a workspace's log."""
    names = AuditEntry.objects.filter(tenant=tenant).values_list("action", flat=True)
    return list(names.order_by("action").distinct())


def describe_actor(entry: AuditEntry) -> str:
    """Return who did it: a person's address, or a key's name."""
    if entry.actor:
        is_gone = entry.actor.email.endswith(f"@{GONE_DOMAIN}")
        return gettext("a deleted account") if is_gone else entry.actor.email
    if entry.api_key:
        return gettext("key “{name}”").format(name=entry.api_key.name)
    return "Polyscribe"


def write_csv(entries: QuerySet[AuditEntry]) -> AsyncIterator[str]:
    """Return the lines of a table with a head."""

    def read(last: AuditEntry | None) -> list[AuditEntry]:
        older = entries.filter(pk__lt=last.pk) if last else entries
        return list(older[:CSV_CHUNK])

    return stream_csv(CSV_COLUMNS, read, _cells)


def read_cell(entry: AuditEntry, column: str) -> str:
    """Return what a column of a table says of an entry."""
    match column:
        case "at":
            return entry.at.isoformat()
        case "api_key":
            return str(entry.api_key_id or "")
        case "before" | "after":
            return json.dumps(getattr(entry, column), ensure_ascii=False)
    value = getattr(entry, column)
    return "" if value is None else str(value)


def _cells(entry: AuditEntry) -> list[str]:
    return [describe_actor(entry) if name == "actor" else read_cell(entry, name) for name in CSV_COLUMNS]


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
