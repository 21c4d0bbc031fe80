"""What the console's page of one workspace shows above its form: how it is, and the newest of all it has."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator

from core import months
from core.money import usd
from tenants.accounts import impersonation
from tenants.metering import plans, trainings
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
class SectionRow:
    """One line of a list: what it is, where it stands, and what is to say of it."""

    name: str
    address: str
    note: str


@dataclass(frozen=True)
class Section:
    """The newest rows of a kind, where all of them are listed, and where one is added."""

    title: str
    rows: list[SectionRow]
    address: str
    add_address: str = ""
    add_label: str = ""


def describe_workspace(request: HttpRequest, tenant: Tenant) -> dict[str, object]:
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
    if request.user.has_perm(impersonation.PERMISSION):
        if not tenant.deleted_at:
            links.append(("View as owner", reverse("admin:tenants_tenant_look", args=[tenant.pk])))
        links.append(("Export data", reverse("admin:workspace_export", args=[tenant.pk])))
    if tenant.deleted_at and request.user.has_perm("adapters.view_erasure"):
        report = reverse("admin:workspace_erasure", args=[tenant.pk])
        links.append(("Erasure report", report))
    return {"facts": list(_facts(tenant)), "sections": sections, "links": links}


LINKS = (
    ("adapters.view_style", "adapters_style", "Styles"),
    ("adapters.view_adapterversion", "adapters_adapterversion", "Versions"),
    ("tenants.view_usageevent", "tenants_usageevent", "Requests"),
    ("tenants.view_ledgerentry", "tenants_ledgerentry", "Ledger"),
    ("tenants.view_subscription", "tenants_subscription", "Subscriptions"),
    ("tenants.view_noticemail", "tenants_noticemail", "Mail"),
    ("training.view_training", "training_training", "Trainings"),
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
    costs = trainings.read_costs(tenant.pk, months.current(), months.current())
    spent_nanousd = usage.nanousd + costs.charged_nanousd.get(months.current(), 0)
    spent = usd(spent_nanousd)
    is_spent = cap is not None and spent_nanousd >= cap
    yield Fact("Spent this month", spent if cap is None else f"{spent} of {usd(cap)}", is_spent)
    if costs.held_nanousd:
        yield Fact("Held for trainings", usd(costs.held_nanousd))
    per_minute = f"{limits.requests_per_minute:,} requests, {limits.tokens_per_minute:,} tokens"
    yield Fact("Per minute", per_minute)
    yield Fact("Concurrent requests", f"{limits.parallel_requests:,} requests")
    if settings.TRAINING:
        at_once = f"{limits.parallel_trainings:,} at once, {limits.monthly_trainings:,} per month"
        yield Fact("Trainings", f"{at_once}, up to {limits.training_words:,} words each")
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
    def describe(key: ApiKey) -> tuple[str, str]:
        state = "revoked" if key.revoked_at else "expired" if key.is_expired else "live"
        used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        return str(key), f"{state}, {used}"

    return _section("API keys", tenant, ApiKey.objects.filter(tenant=tenant).shown(), describe)


def _invoices(tenant: Tenant) -> Section:
    def describe(invoice: Invoice) -> tuple[str, str]:
        return invoice.period, f"{usd(invoice.total_nanousd)}, {invoice.get_state_display()}"

    newest = Invoice.objects.filter(tenant=tenant).order_by("-period")
    return _section("Invoices", tenant, newest, describe)


def _grants(tenant: Tenant) -> Section:
    def describe(grant: CreditGrant) -> tuple[str, str]:
        return usd(grant.amount_nanousd), f"{grant.get_source_display()}, {grant.created_at:%Y-%m-%d}"

    return _section("Credits", tenant, CreditGrant.objects.filter(tenant=tenant).order_by("-pk"), describe)


def _raised_limits(tenant: Tenant) -> Section:
    now = timezone.now()

    def describe(raised: RaisedLimit) -> tuple[str, str]:
        verb = "until" if raised.ends_at > now else "ended"
        note = f"{verb} {raised.ends_at:%Y-%m-%d %H:%M} UTC: {raised.reason}"
        return f"{raised.amount:,} {raised.get_limit_display()}", note

    newest = RaisedLimit.objects.filter(tenant=tenant).order_by("-ends_at")
    return _section("Raised limits", tenant, newest, describe, add_label="Raise a limit temporarily")


def _notes(tenant: Tenant) -> Section:
    def describe(note: WorkspaceNote) -> tuple[str, str]:
        who = note.author.email if note.author else "somebody"
        return Truncator(note.text).chars(NOTE_SHOWN), f"{note.created_at:%Y-%m-%d %H:%M} UTC, {who}"

    newest = WorkspaceNote.objects.filter(tenant=tenant).select_related("author").order_by("-pk")
    return _section("Notes", tenant, newest, describe, add_label="Add a note")


def _endpoints(tenant: Tenant) -> Section:
    def describe(endpoint: WebhookEndpoint) -> tuple[str, str]:
        note = "enabled" if endpoint.is_enabled else f"disabled: {endpoint.disabled_reason}"
        return endpoint.shown_url, note

    newest = WebhookEndpoint.objects.filter(tenant=tenant).order_by("-created_at")
    return _section("Webhooks", tenant, newest, describe)


def _log(tenant: Tenant) -> Section:
    """Return what members and programs did in it, and what operators did to it."""

    def describe(entry: AuditEntry) -> tuple[str, str]:
        who = entry.actor.email if entry.actor else "a program"
        return f"{entry.action} {entry.object_name}", f"{entry.at:%Y-%m-%d %H:%M}, {who}"

    of_operators = Q(object_type=tenant._meta.label_lower, object_id=str(tenant.pk))
    entries = AuditEntry.objects.filter(Q(tenant=tenant) | of_operators)
    newest = entries.select_related("actor").order_by("-pk")
    return _section("Audit log", tenant, newest, describe)


def _section(
    title: str,
    tenant: Tenant,
    rows: QuerySet[Any],
    describe: Callable[[Any], tuple[str, str]],
    *,
    add_label: str = "",
) -> Section:
    """Return the first of some rows, each with its name and what is to say of it."""
    page = f"admin:{rows.model._meta.label_lower.replace('.', '_')}"
    shown = []
    for row in rows[:SHOWN]:
        name, note = describe(row)
        shown.append(SectionRow(name, reverse(f"{page}_change", args=[row.pk]), note))
    all_rows = f"{reverse(f'{page}_changelist')}?q={tenant.slug}"
    add = f"{reverse(f'{page}_add')}?tenant={tenant.pk}" if add_label else ""
    return Section(title, shown, all_rows, add, add_label)


SECTIONS = {
    "tenants.view_workspacenote": _notes,
    "tenants.view_raisedlimit": _raised_limits,
    "tenants.view_apikey": _keys,
    "tenants.view_invoice": _invoices,
    "tenants.view_creditgrant": _grants,
    "tenants.view_webhookendpoint": _endpoints,
    "tenants.view_auditentry": _log,
}
