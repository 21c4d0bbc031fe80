"""Read a workspace's audit log: find entries by action, person and day; write them as a table."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.spreadsheets import stream_csv
from tenants.models import GONE_DOMAIN, AuditEntry, Tenant

# What the audit log's actions are called for people. `api_key.created` is "API key created".

OBJECTS: dict[str, str | Promise] = {
    "account": _("Account"),
    "api_key": _("API key"),
    "audit": _("Audit log"),
    "auto_top_up": _("Automatic top-up"),
    "backup": _("Backup"),
    "billing_details": _("Billing details"),
    "canary": _("Canary"),
    "counters": _("Counters"),
    "draft": _("Draft"),
    "engine": _("Engine"),
    "evaluation": pgettext_lazy("audit log", "Check"),
    "file": _("File"),
    "impersonation": _("Impersonation"),
    "invitation": _("Invitation"),
    "login": _("Command line login"),
    "member": _("Member"),
    "payment": _("Payment"),
    "plan": _("Plan"),
    "profile": _("Profile"),
    "sample_data": _("Sample data"),
    "secrets": _("Secrets"),
    "style": _("Style"),
    "training": _("Training"),
    "upload": _("Upload"),
    "usage": _("Usage"),
    "version": _("Version"),
    "vote": _("Vote"),
    "webhook_endpoint": _("Webhook"),
    "workspace": _("Workspace"),
}
ACTIONS: dict[str, str | Promise] = {
    "added": pgettext_lazy("audit log", "added"),
    "aborted": pgettext_lazy("audit log", "aborted"),
    "approved": pgettext_lazy("audit log", "approved"),
    "begun": pgettext_lazy("audit log", "started"),
    "cancelled": pgettext_lazy("audit log", "cancelled"),
    "cast": pgettext_lazy("audit log", "cast"),
    "changed": pgettext_lazy("audit log", "changed"),
    "converted": pgettext_lazy("audit log", "converted"),
    "created": pgettext_lazy("audit log", "created"),
    "deleted": pgettext_lazy("audit log", "deleted"),
    "deletion_requested": pgettext_lazy("audit log", "deletion requested"),
    "deletion_stopped": pgettext_lazy("audit log", "deletion stopped"),
    "denied": pgettext_lazy("audit log", "denied"),
    "disabled": pgettext_lazy("audit log", "disabled"),
    "document_deleted": pgettext_lazy("audit log", "text deleted"),
    "document_left_out": pgettext_lazy("audit log", "text left out"),
    "documents_added": pgettext_lazy("audit log", "texts added"),
    "documents_deleted": pgettext_lazy("audit log", "texts deleted"),
    "downloaded": pgettext_lazy("audit log", "downloaded"),
    "edited": pgettext_lazy("audit log", "edited"),
    "enabled": pgettext_lazy("audit log", "enabled"),
    "ended": pgettext_lazy("audit log", "ended"),
    "exported": pgettext_lazy("audit log", "exported"),
    "finished": pgettext_lazy("audit log", "finished"),
    "joined": pgettext_lazy("audit log", "joined"),
    "kept": pgettext_lazy("audit log", "kept"),
    "kept_public": pgettext_lazy("audit log", "kept public"),
    "left": pgettext_lazy("audit log", "left"),
    "offer_withdrawn": pgettext_lazy("audit log", "offer withdrawn"),
    "offered": pgettext_lazy("audit log", "offered"),
    "passages_left_out": pgettext_lazy("audit log", "passages left out"),
    "paused": pgettext_lazy("audit log", "paused"),
    "price_asked": pgettext_lazy("audit log", "price requested"),
    "price_withdrawn": pgettext_lazy("audit log", "price request withdrawn"),
    "promoted": pgettext_lazy("audit log", "promoted"),
    "prompts_set": pgettext_lazy("audit log", "prompts edited"),
    "published": pgettext_lazy("audit log", "published"),
    "rebuilt": pgettext_lazy("audit log", "rebuilt"),
    "redelivered": pgettext_lazy("audit log", "event redelivered"),
    "registered": pgettext_lazy("audit log", "registered"),
    "renamed": pgettext_lazy("audit log", "renamed"),
    "requested": pgettext_lazy("audit log", "requested"),
    "resent": pgettext_lazy("audit log", "resent"),
    "restored": pgettext_lazy("audit log", "restored"),
    "resumed": pgettext_lazy("audit log", "resumed"),
    "retired": pgettext_lazy("audit log", "retired"),
    "retried": pgettext_lazy("audit log", "retried"),
    "revoked": pgettext_lazy("audit log", "revoked"),
    "rolled_back": pgettext_lazy("audit log", "rolled back"),
    "rotated": pgettext_lazy("audit log", "rotated"),
    "sealed": pgettext_lazy("audit log", "sealed"),
    "secret_rotated": pgettext_lazy("audit log", "secret rotated"),
    "selected": pgettext_lazy("audit log", "selected"),
    "share_kept": pgettext_lazy("audit log", "share kept"),
    "share_left": pgettext_lazy("audit log", "share left"),
    "share_revoked": pgettext_lazy("audit log", "share revoked"),
    "shared": pgettext_lazy("audit log", "shared"),
    "unshared": pgettext_lazy("audit log", "no longer shared"),
    "started": pgettext_lazy("audit log", "started"),
    "taken_back": pgettext_lazy("audit log", "no longer public"),
    "tested": pgettext_lazy("audit log", "tested"),
    "transferred": pgettext_lazy("audit log", "transferred"),
    "unselected": pgettext_lazy("audit log", "deselected"),
    "uploaded": pgettext_lazy("audit log", "uploaded"),
    "withdrawn": pgettext_lazy("audit log", "withdrawn"),
    "written": pgettext_lazy("audit log", "written"),
}


def describe_action(action: str) -> str:
    """Return an action's name for people; one without words stays as it is."""
    thing, _dot, done = action.partition(".")
    if thing not in OBJECTS or done not in ACTIONS:
        return action
    return gettext("{object} {action}").format(object=OBJECTS[thing], action=ACTIONS[done])


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
