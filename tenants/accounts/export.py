"""What a workspace can be handed of its own: tables without secrets, as rows of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, F, Func, JSONField, QuerySet, Value, When

from tenants.models import (
    ApiKey,
    AuditEntry,
    Membership,
    Tenant,
    UsageDaily,
    WebhookEndpoint,
)

# An endpoint's address without its path, which is as good as a password with many receivers.
HOST = Func(F("url"), Value("^[a-z]+://[^/?#]+"), function="substring", output_field=CharField())


@dataclass(frozen=True)
class Table:
    """One table of an export: its name, its columns, and rows that are read a few at a time."""

    name: str
    columns: Sequence[str]
    rows: QuerySet[Any, Any]


def list_tables(tenant: Tenant) -> list[Table]:
    """Return what this app knows about a workspace, without digests and secrets."""
    return [
        make_table(
            "workspace",
            Tenant.objects.filter(pk=tenant.pk),
            "id", "slug", "name", "monthly_nanousd", "suspended_at", "suspended_reason", "created_at",
        ),
        make_table(
            "members",
            Membership.objects.filter(tenant=tenant).order_by("pk"),
            "user__email", "user__first_name", "user__last_name", "role", "created_at", "last_seen_at",
        ),
        make_table(
            "api_keys",
            ApiKey.objects.filter(tenant=tenant).shown(),
            "id", "name", "prefix", "last4", "scopes", "styles", "monthly_tokens", "monthly_nanousd",
            "created_at", "expires_at", "revoked_at", "last_used_at",
        ),
        make_table(
            "webhooks",
            WebhookEndpoint.objects.filter(tenant=tenant).annotate(host=HOST).order_by("created_at"),
            "id", "host", "description", "event_types", "is_enabled", "created_at",
        ),
        make_table(
            "usage_by_day",
            UsageDaily.objects.filter(tenant=tenant).order_by("day", "pk"),
            "day", "key", "key__name", "style_name", "requests", "prompt_tokens", "completion_tokens",
            "cost_nanousd",
        ),
        make_table(
            "audit_log",
            AuditEntry.objects.filter(tenant=tenant).order_by("pk")
            .annotate(was=_without_urls("before"), became=_without_urls("after")),
            "at", "action", "actor__email", "api_key", "object_type", "object_id", "object_name", "was",
            "became", "address",
        ),
    ]  # fmt: skip


def _without_urls(column: str) -> Case:
    """Return a column of the audit log, empty for endpoints: their addresses stood in it until 2026-11-26."""
    of_endpoint = When(action__startswith="webhook_endpoint.", then=Value({}, JSONField()))
    return Case(of_endpoint, default=F(column))


def make_table(name: str, rows: QuerySet[Any], *columns: str) -> Table:
    """Return some columns of rows as a table of an export."""
    return Table(name, columns, rows.values_list(*columns))
