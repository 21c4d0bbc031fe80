"""What a workspace can be handed of its own: tables without secrets, as rows of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, F, Func, QuerySet, Value

from tenants.models import (
    ApiKey,
    AuditEntry,
    Conversation,
    LedgerEntry,
    Membership,
    StoredResponse,
    Tenant,
    TrainingHold,
    UsageDaily,
    WebhookEndpoint,
)

# An endpoint's address without its path, which is as good as a password with many receivers.
HOST = Func(F("url"), Value("^[a-z]+://[^/?#]+"), function="substring", output_field=CharField())

COLUMNS_OF_TABLES = {
    "workspace": "id slug name monthly_nanousd suspended_at suspended_reason created_at",
    "members": "user__email user__first_name user__last_name role created_at last_seen_at",
    "api_keys": (
        "id name prefix last4 scopes styles monthly_tokens monthly_nanousd created_at expires_at revoked_at "
        "last_used_at"
    ),
    "webhooks": "id host description event_types is_enabled created_at",
    "usage_by_day": "day key key__name style_name requests prompt_tokens completion_tokens cost_nanousd",
    "training_holds": "training period created_at token_nanousd most_tokens nanousd settled_at",
    "training_charges": "created_at period source_id tokens amount_nanousd",
    "stored_responses": "id key_id model size_bytes created_at",
    "conversations": "id size_bytes created_at changed_at",
    "audit_log": "at action actor__email api_key object_type object_id object_name was became address",
}


@dataclass(frozen=True)
class Table:
    """One table of an export: its name, its columns, and rows that are read a few at a time."""

    name: str
    columns: Sequence[str]
    rows: QuerySet[Any, Any]


def list_tables(tenant: Tenant) -> list[Table]:
    """Return what this app knows of a workspace, without digests and secrets."""
    endpoints = WebhookEndpoint.objects.filter(tenant=tenant).annotate(host=HOST)
    entries = AuditEntry.objects.filter(tenant=tenant).annotate(was=F("before"), became=F("after"))
    charges = LedgerEntry.objects.filter(tenant=tenant, kind=LedgerEntry.Kind.TRAINING)
    rows_of: dict[str, QuerySet[Any]] = {
        "workspace": Tenant.objects.filter(pk=tenant.pk),
        "members": Membership.objects.filter(tenant=tenant).order_by("pk"),
        "api_keys": ApiKey.objects.filter(tenant=tenant).shown(),
        "webhooks": endpoints.order_by("created_at"),
        "usage_by_day": UsageDaily.objects.filter(tenant=tenant).order_by("day", "pk"),
        "training_holds": TrainingHold.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "training_charges": charges.order_by("pk"),
        "stored_responses": StoredResponse.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "conversations": Conversation.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "audit_log": entries.order_by("pk"),
    }
    return [make_table(name, rows, *COLUMNS_OF_TABLES[name].split()) for name, rows in rows_of.items()]


def make_table(name: str, rows: QuerySet[Any], *columns: str) -> Table:
    """Return some columns of rows as a table of an export."""
    return Table(name, columns, rows.values_list(*columns))
