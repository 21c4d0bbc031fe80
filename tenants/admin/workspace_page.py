"""What the console's page of one workspace shows above its form: how it is, and the newest of all it has."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator

from core import months
from core.money import usd
from tenants.accounts import impersonation
from tenants.metering import plans
from tenants.metering.allowance import allowance_of
from tenants.metering.ledger import usage_of
from tenants.models import (
    ApiKey,
    AuditEntry,
    CreditGrant,
    Invoice,
    RaisedLimit,
    Tenant,
    WebhookEndpoint,
    WorkspaceNote,
)

SHOWN = 5
NOTE_SHOWN = 160  # characters


@dataclass(frozen=True)
class Fact:
    """One thing that is so, in words."""

    name: str
    value: str
    is_alarming: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a list: what it is, where it stands, and what is to say of it."""

    name: str
    address: str
    note: str


@dataclass(frozen=True)
class Section:
    """The newest rows of a kind, where all of them are listed, and where one is added."""

    title: str
    rows: list[Row]
    address: str
    add_address: str = ""
    add_label: str = ""


def describe_workspace(request: HttpRequest, tenant: Tenant) -> dict[str, Any]:
    """Return the page's facts, and the sections that this operator may read."""
    sections = []
    for permission, describe in SECTIONS.items():
        if request.user.has_perm(permission):
            section = describe(tenant)
            may_add = request.user.has_perm(permission.replace(".view_", ".add_"))
            sections.append(section if may_add else replace(section, add_address=""))
    links = [
        (name, f"{reverse(f'admin:{page}_changelist')}?q={tenant.slug}")
        for permission, page, name in LINKS
        if request.user.has_perm(permission)
    ]
    may_look = request.user.has_perm(impersonation.PERMISSION) and not tenant.deleted_at
    if may_look:
        links.append(("View as owner", reverse("admin:tenants_tenant_look", args=[tenant.pk])))
    if request.user.has_perm(impersonation.PERMISSION):
        links.append(("Export data", reverse("admin:workspace_export", args=[tenant.pk])))
    if tenant.deleted_at and request.user.has_perm("adapters.view_erasure"):
        report = reverse("admin:adapters_erasure_of_workspace", args=[tenant.pk])
        links.append(("Erasure report", report))
    return {"facts": list(_facts(tenant)), "sections": sections, "links": links}


LINKS = (
    ("adapters.view_style", "adapters_style", "Styles"),
    ("adapters.view_adapterversion", "adapters_adapterversion", "Versions"),
    ("tenants.view_usageevent", "tenants_usageevent", "Requests"),
    ("tenants.view_ledgerentry", "tenants_ledgerentry", "Ledger"),
    ("tenants.view_subscription", "tenants_subscription", "Subscriptions"),
    ("tenants.view_noticemail", "tenants_noticemail", "Mail"),
)


def _facts(tenant: Tenant) -> Iterable[Fact]:
    now = timezone.now()
    yield _state(tenant)
    limits = plans.limits_of(tenant, now)
    yield Fact("Plan", str(plans.plan_version_at(tenant, now)))
    usage = usage_of(tenant.pk, months.current())
    share = f"{100 * usage.tokens / limits.monthly_tokens:.0f}%" if limits.monthly_tokens else "all"
    is_full = usage.tokens >= limits.monthly_tokens
    yield Fact("Tokens this month", f"{usage.tokens:,} of {limits.monthly_tokens:,} ({share})", is_full)
    shared = allowance_of(tenant, now).shared_tokens
    if shared is not None:
        yield Fact(
            "Total of the owner's free workspaces", f"{shared:,} tokens", shared >= limits.monthly_tokens
        )
    cap = limits.monthly_nanousd
    spent = usd(usage.nanousd)
    is_spent = cap is not None and usage.nanousd >= cap
    yield Fact("Spent this month", spent if cap is None else f"{spent} of {usd(cap)}", is_spent)
    per_minute = f"{limits.requests_per_minute:,} requests, {limits.tokens_per_minute:,} tokens"
    yield Fact("Per minute", per_minute)
    yield Fact("Concurrent requests", f"{limits.parallel_requests:,} requests")
    is_stale = tenant.generation > tenant.observed_generation
    yield Fact("Gateways have", "an outdated version" if is_stale else "the current version", is_stale)


def _state(tenant: Tenant) -> Fact:
    if tenant.deleted_at:
        end = f"erased {tenant.erased_at:%Y-%m-%d %H:%M} UTC" if tenant.erased_at else "being erased"
        return Fact("State", f"deleted {tenant.deleted_at:%Y-%m-%d %H:%M} UTC, {end}", is_alarming=True)
    if tenant.suspended_at is None:
        return Fact("State", "active")
    since = f"suspended since {tenant.suspended_at:%Y-%m-%d %H:%M} UTC"
    reason = f": {tenant.suspended_reason}" if tenant.suspended_reason else ""
    return Fact("State", since + reason, is_alarming=True)


def _keys(tenant: Tenant) -> Section:
    rows = []
    for key in ApiKey.objects.filter(tenant=tenant).shown()[:SHOWN]:
        state = "revoked" if key.revoked_at else "expired" if key.is_expired else "live"
        used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        rows.append(Row(str(key), _address(key), f"{state}, {used}"))
    return Section("API keys", rows, _list(ApiKey, tenant))


def _invoices(tenant: Tenant) -> Section:
    rows = []
    for invoice in Invoice.objects.filter(tenant=tenant).order_by("-period")[:SHOWN]:
        note = f"{usd(invoice.total_nanousd)}, {invoice.get_state_display()}"
        rows.append(Row(invoice.period, _address(invoice), note))
    return Section("Invoices", rows, _list(Invoice, tenant))


def _grants(tenant: Tenant) -> Section:
    rows = []
    for grant in CreditGrant.objects.filter(tenant=tenant).order_by("-pk")[:SHOWN]:
        note = f"{grant.get_source_display()}, {grant.created_at:%Y-%m-%d}"
        rows.append(Row(usd(grant.amount_nanousd), _address(grant), note))
    return Section("Credits", rows, _list(CreditGrant, tenant))


def _raised_limits(tenant: Tenant) -> Section:
    now = timezone.now()
    rows = []
    for raised in RaisedLimit.objects.filter(tenant=tenant).order_by("-ends_at")[:SHOWN]:
        verb = "until" if raised.ends_at > now else "ended"
        note = f"{verb} {raised.ends_at:%Y-%m-%d %H:%M} UTC: {raised.reason}"
        rows.append(Row(f"{raised.amount:,} {raised.get_limit_display()}", _address(raised), note))
    add = f"{reverse('admin:tenants_raisedlimit_add')}?tenant={tenant.pk}"
    return Section("Raised limits", rows, _list(RaisedLimit, tenant), add, "Raise a limit temporarily")


def _notes(tenant: Tenant) -> Section:
    rows = []
    notes = WorkspaceNote.objects.filter(tenant=tenant).select_related("author").order_by("-pk")
    for note in notes[:SHOWN]:
        who = note.author.email if note.author else "somebody"
        text = Truncator(note.text).chars(NOTE_SHOWN)
        rows.append(Row(text, _address(note), f"{note.created_at:%Y-%m-%d %H:%M} UTC, {who}"))
    add = f"{reverse('admin:tenants_workspacenote_add')}?tenant={tenant.pk}"
    return Section("Notes", rows, _list(WorkspaceNote, tenant), add, "Add a note")


def _endpoints(tenant: Tenant) -> Section:
    rows = []
    for endpoint in WebhookEndpoint.objects.filter(tenant=tenant).order_by("-created_at")[:SHOWN]:
        note = "enabled" if endpoint.is_enabled else f"disabled: {endpoint.disabled_reason}"
        rows.append(Row(endpoint.shown_url, _address(endpoint), note))
    return Section("Webhooks", rows, _list(WebhookEndpoint, tenant))


def _log(tenant: Tenant) -> Section:
    """Return what members and programs did in it, and what operators did to it."""
    of_operators = Q(object_type=tenant._meta.label_lower, object_id=str(tenant.pk))
    rows = []
    for entry in _newest_entries(AuditEntry.objects.filter(Q(tenant=tenant) | of_operators)):
        who = entry.actor.email if entry.actor else "a program"
        note = f"{entry.at:%Y-%m-%d %H:%M}, {who}"
        rows.append(Row(f"{entry.action} {entry.object_name}", _address(entry), note))
    return Section("Audit log", rows, _list(AuditEntry, tenant))


def _newest_entries(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    return entries.select_related("actor").order_by("-pk")[:SHOWN]


def _address(row: Any) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])


def _list(model: Any, tenant: Tenant) -> str:
    return f"{reverse(f'admin:{model._meta.label_lower.replace(".", "_")}_changelist')}?q={tenant.slug}"


SECTIONS = {
    "tenants.view_workspacenote": _notes,
    "tenants.view_raisedlimit": _raised_limits,
    "tenants.view_apikey": _keys,
    "tenants.view_invoice": _invoices,
    "tenants.view_creditgrant": _grants,
    "tenants.view_webhookendpoint": _endpoints,
    "tenants.view_auditentry": _log,
}
