"""What the console's page of one workspace shows above its form: its state, its figures, the newest rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from core import months
from core.console import Figure, Level, list_address
from core.money import usd, usd_about
from events.models import WebhookEndpoint
from metering import plans, trainings
from metering.ledger import usage_of
from metering.models import CreditGrant, Invoice, Subscription
from metering.unpaid import sum_rests
from tenants import current
from tenants.admin import name_action
from tenants.models import ApiKey, AuditEntry, Membership, Tenant

SHOWN = 5


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
    """Return the page's state and figures, and the actions, lists and sections that this operator may use."""
    sections = []
    for permission, describe in SECTIONS.items():
        if request.user.has_perm(permission):
            section = describe(tenant)
            may_add = request.user.has_perm(permission.replace(".view_", ".add_"))
            sections.append(section if may_add else replace(section, add_address=""))
    links = []
    for permission, page, name in LINKS:
        if request.user.has_perm(permission):
            links.append((name, _list_of(tenant, page)))
    figures = []
    for permission, count in FIGURES.items():
        if request.user.has_perm(permission):
            figures += count(tenant)
    return {
        "state": _describe_state(tenant),
        "figures": figures,
        "limits": list(_limits(tenant)),
        "sections": sections,
        "links": links,
        "actions": list(_actions(request, tenant)),
        "suspension": _suspension(request, tenant),
    }


LINKS = (
    ("adapters.view_adapterversion", "adapters_adapterversion", "Versions"),
    ("training.view_training", "training_training", "Trainings"),
    ("metering.view_usageevent", "metering_usageevent", "Requests"),
    ("metering.view_ledgerentry", "metering_ledgerentry", "Ledger"),
    ("events.view_noticemail", "events_noticemail", "Mail"),
)


def _list_of(tenant: Tenant, page: str, **filters: str) -> str:
    """Return the address of a list of what a workspace has, and of nothing else."""
    app_label, _, model_name = page.partition("_")
    fields = {field.name for field in apps.get_model(app_label, model_name)._meta.fields}
    whose = next((f"{name}__id__exact" for name in ("tenant", "owner") if name in fields), "")
    query = {whose: tenant.pk} if whose else {"q": tenant.slug}  # a search finds names that only contain it
    return list_address(page, **query, **filters)


def _actions(request: HttpRequest, tenant: Tenant) -> Iterator[tuple[str, str]]:
    if request.user.has_perm(current.PERMISSION):
        if not tenant.deleted_at:
            yield "View as owner", reverse("admin:tenants_tenant_impersonate", args=[tenant.pk])
        yield "Export data", reverse("admin:workspace_export", args=[tenant.pk])
    if tenant.deleted_at and request.user.has_perm("adapters.view_erasure"):
        yield "Erasure report", reverse("admin:workspace_erasure", args=[tenant.pk])


def _suspension(request: HttpRequest, tenant: Tenant) -> dict[str, str] | None:
    """Return the button that suspends the workspace or lifts that: the list's action, for one row."""
    if tenant.deleted_at or not request.user.has_perm("tenants.change_tenant"):
        return None
    if tenant.suspended_at:
        return {"action": "resume", "label": "Lift suspension"}
    return {"action": "suspend", "label": "Suspend"}


def _describe_state(tenant: Tenant) -> Figure:
    """Return whether the workspace is served. One that is off on purpose is no fault."""
    if tenant.deleted_at:
        end = f"Erased {tenant.erased_at:%Y-%m-%d %H:%M} UTC" if tenant.erased_at else "Being erased"
        return Figure("Deleted", f"{tenant.deleted_at:%Y-%m-%d %H:%M} UTC", end)
    if tenant.suspended_at:
        return Figure("Suspended", f"{tenant.suspended_at:%Y-%m-%d %H:%M} UTC", tenant.suspended_reason)
    return Figure("Active", "")


def _plan(tenant: Tenant) -> list[Figure]:
    version = plans.plan_version_at(tenant, timezone.now())
    return [Figure("Plan", version.plan.name, str(version), _list_of(tenant, "metering_subscription"))]


def _tokens(tenant: Tenant) -> list[Figure]:
    limit = plans.limits_of(tenant, timezone.now()).monthly_tokens
    used = usage_of(tenant.pk, months.current()).tokens
    note = f"{100 * used / limit:.0f}% of {limit:,}" if limit else "none included"
    level = Level.SOON if limit and used >= limit else Level.NORMAL
    days = _list_of(tenant, "metering_usagedaily", day__gte=f"{months.current()}-01")
    return [Figure("Tokens this month", f"{used:,}", note, days, level)]


def _money(tenant: Tenant) -> list[Figure]:
    month = months.current()
    cap = plans.limits_of(tenant, timezone.now()).monthly_nanousd
    costs = trainings.read_costs(tenant.pk, month, month)
    spent = usage_of(tenant.pk, month).nanousd + costs.charged_nanousd.get(month, 0)
    note = "no budget set" if cap is None else f"of {usd(cap)}"
    level = Level.SOON if cap is not None and spent >= cap else Level.NORMAL
    ledger = _list_of(tenant, "metering_ledgerentry", period=month)
    figures = [Figure("Spent this month", usd_about(spent), note, ledger, level)]
    if costs.held_nanousd:
        holds = _list_of(tenant, "metering_traininghold")
        figures.append(Figure("Held for trainings", usd_about(costs.held_nanousd), "", holds))
    return figures


def _members(tenant: Tenant) -> list[Figure]:
    owners = tenant.memberships.filter(role=Membership.Role.OWNER).count()
    note = f"{owners:,} owner{'s' if owners != 1 else ''}"
    return [Figure("Members", f"{tenant.memberships.count():,}", note, "#memberships-group")]


def _styles(tenant: Tenant) -> list[Figure]:
    styles = tenant.styles.filter(retired_at=None)
    public = styles.filter(is_public=True).count()
    address = _list_of(tenant, "adapters_style", retired_at__isnull="1")
    return [Figure("Styles", f"{styles.count():,}", f"{public:,} public", address)]


def _live_keys(tenant: Tenant) -> list[Figure]:
    keys = ApiKey.objects.filter(tenant=tenant, revoked_at=None).shown()
    newest = keys.aggregate(at=Max("last_used_at"))["at"]
    note = f"last used {newest:%Y-%m-%d}" if newest else "never used"
    address = _list_of(tenant, "tenants_apikey", revoked_at__isnull="1")
    return [Figure("API keys", f"{keys.count():,}", note, address)]


def _due_invoices(tenant: Tenant) -> list[Figure]:
    due = Invoice.objects.filter(tenant=tenant, state=Invoice.State.FINALIZED)
    count = due.count()
    address = _list_of(tenant, "metering_invoice", state__exact=Invoice.State.FINALIZED)
    return [Figure("Invoices due", f"{count:,}", usd(sum_rests(due)) if count else "nothing to pay", address)]


FIGURES: dict[str, Callable[[Tenant], list[Figure]]] = {
    "metering.view_subscription": _plan,
    "metering.view_usagedaily": _tokens,
    "metering.view_ledgerentry": _money,
    "tenants.view_membership": _members,
    "adapters.view_style": _styles,
    "tenants.view_apikey": _live_keys,
    "metering.view_invoice": _due_invoices,
}


def _limits(tenant: Tenant) -> Iterator[Figure]:
    limits = plans.limits_of(tenant, timezone.now())
    per_minute = f"{limits.requests_per_minute:,} requests, {limits.tokens_per_minute:,} tokens"
    yield Figure("Per minute", per_minute)
    yield Figure("Concurrent requests", f"{limits.parallel_requests:,}")
    if settings.TRAINING:
        at_once = f"{limits.parallel_trainings:,} at once, {limits.monthly_trainings:,} per month"
        yield Figure("Trainings", f"{at_once}, up to {limits.training_words:,} words each")
    is_stale = tenant.generation > tenant.observed_generation
    yield Figure("Gateways have", "an outdated version" if is_stale else "the current version")


def _keys(tenant: Tenant) -> Section:
    def describe(key: ApiKey) -> tuple[str, str]:
        state = "revoked" if key.revoked_at else "expired" if key.is_expired else "live"
        used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        return str(key), f"{state}, {used}"

    return _section("API keys", tenant, ApiKey.objects.filter(tenant=tenant).shown(), describe)


def _invoices(tenant: Tenant) -> Section:
    def describe(invoice: Invoice) -> tuple[str, str]:
        state = invoice.get_state_display().lower()
        return invoice.period, f"{usd(invoice.total_nanousd)}, {state}"

    newest = Invoice.objects.filter(tenant=tenant).order_by("-period")
    return _section("Invoices", tenant, newest, describe)


def _grants(tenant: Tenant) -> Section:
    def describe(grant: CreditGrant) -> tuple[str, str]:
        return usd(grant.amount_nanousd), f"{grant.get_source_display()}, {grant.created_at:%Y-%m-%d}"

    return _section("Credits", tenant, CreditGrant.objects.filter(tenant=tenant).order_by("-pk"), describe)


def _plans(tenant: Tenant) -> Section:
    def describe(subscription: Subscription) -> tuple[str, str]:
        end = f" until {subscription.ends_at:%Y-%m-%d %H:%M} UTC" if subscription.ends_at else ""
        return str(subscription.plan_version), f"from {subscription.starts_at:%Y-%m-%d %H:%M} UTC{end}"

    newest = Subscription.objects.filter(tenant=tenant).select_related("plan_version").order_by("-starts_at")
    return _section("Plans", tenant, newest, describe, add_label="Assign a plan version")


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
        return f"{name_action(entry.action)}: {entry.object_name}", f"{entry.at:%Y-%m-%d %H:%M} UTC, {who}"

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
    all_rows = _list_of(tenant, rows.model._meta.label_lower.replace(".", "_"))
    add = f"{reverse(f'{page}_add')}?tenant={tenant.pk}" if add_label else ""
    return Section(title, shown, all_rows, add, add_label)


SECTIONS = {
    "metering.view_subscription": _plans,
    "tenants.view_apikey": _keys,
    "metering.view_invoice": _invoices,
    "metering.view_creditgrant": _grants,
    "events.view_webhookendpoint": _endpoints,
    "tenants.view_auditentry": _log,
}
