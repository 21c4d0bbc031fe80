"""Invoices of workspaces: previewed, drafted, finalized, paid, made void. Each step is safe to repeat.

An invoice sums the ledger entries of its month. Usage that the ledger gets once there is one (an engine's
machine was away) counts in the month in which it arrives (metering/ledger.py).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Sum
from django.utils import timezone

from billing.invoices import details
from billing.invoices.credit_notes import due_nanousd
from billing.invoices.invoice_lines import (
    Adjustment,
    Allowance,
    Hosting,
    Line,
    Metered,
    Month,
    Trained,
    burns_of,
    invoice_lines,
    sum_lines,
)
from billing.models import CreditNote
from core import months
from core.errors import Conflict
from events.models import EventType
from events.outbox import record_event
from metering import credits, plans, price_book, trainings
from metering.ledger import sum_by_meter
from metering.models import (
    CreditGrant,
    HostedStyle,
    Invoice,
    InvoiceLine,
    InvoiceNumber,
    LedgerEntry,
    Subscription,
    UsageDaily,
)
from tenants.models import Tenant

logger = logging.getLogger(__name__)

State = Invoice.State
Kind = LedgerEntry.Kind
DRAFT_FOR = timedelta(days=1)  # in which operators may look at drafts before they are finalized


class UsageMismatch(Conflict):
    """Usage and ledger don't match for {period}. Run `manage.py reconcile` for that month."""


class NotThisState(Conflict):
    """This invoice is {state}. Only {wanted} invoices can be changed this way."""

    code = "invoice_state"


class MonthNotOver(Conflict):
    """{period} is not over yet. You can finalize its invoice from the first of the next month."""


@dataclass(frozen=True)
class Preview:
    """A month's invoice as it would be now."""

    period: str
    plan: str
    lines: list[Line]
    burns: list[credits.Burn] = field(default_factory=list)  # what it takes from credits

    @property
    def total_nanousd(self) -> int:
        return sum_lines(self.lines)


def final_invoices(tenant: Tenant) -> QuerySet[Invoice]:
    """Return a workspace's invoices as it sees them, with the workspace: drafts are for operators."""
    return Invoice.objects.filter(tenant=tenant).exclude(state=State.DRAFT).select_related("tenant")


def preview_invoice(tenant: Tenant, period: str) -> Preview:
    """Return the invoice of a month as it would be now, with one line a style: its total is the invoice's.

    It reads usage by day, so it is quick however many requests a workspace has.
    """
    return _preview(tenant, period, _usage_by_style(tenant.pk, period))


def unbilled_workspaces(period: str) -> QuerySet[Tenant]:
    """Return the workspaces that may owe something for a month and have no invoice of it."""
    start, end = months.bounds(period)
    used = UsageDaily.objects.filter(tenant=OuterRef("pk"), day__gte=start.date(), day__lt=end.date())
    paying = Subscription.objects.within(start, end).filter(
        tenant=OuterRef("pk"), plan_version__monthly_fee_nanousd__gt=0
    )
    adjusted = LedgerEntry.objects.filter(tenant=OuterRef("pk"), period=period, kind=Kind.ADJUSTMENT)
    hosted = HostedStyle.objects.filter(tenant=OuterRef("pk"), period=period)
    trained = LedgerEntry.objects.filter(
        tenant=OuterRef("pk"), period=period, kind=Kind.TRAINING, amount_nanousd__gt=0
    )
    owing = Tenant.objects.filter(
        Exists(used) | Exists(paying) | Exists(adjusted) | Exists(hosted) | Exists(trained),
        is_first_party=False,
    )
    # A workspace that is newer than the month owes nothing for it.
    return owing.filter(created_at__lt=end).exclude(invoices__period=period).order_by("pk")


def draft_month(period: str, tenant_ids: Collection[UUID] | None = None) -> int:
    """Draft the invoices of a month that is over, of the workspaces that have none; return how many.

    With `tenant_ids` only of some workspaces. Safe to repeat, and from two workers at once. A workspace whose
    usage is not what its ledger says gets none: it is logged, and the others get theirs. What else fails for
    one is raised once the others have theirs.
    """
    tenants = unbilled_workspaces(period)
    if tenant_ids is not None:
        tenants = tenants.filter(pk__in=tenant_ids)
    drafted = 0
    faults: list[Exception] = []
    for tenant in list(tenants):  # read before the first one is drafted, which the query no longer finds
        try:
            drafted += _draft_once(tenant, period)
        except Exception as error:
            logger.exception("no invoice of %s could be made for %s", period, tenant.slug)
            faults.append(error)
    _raise_first(faults)
    return drafted


def draft_invoice(tenant: Tenant, period: str) -> Invoice | None:
    """Draft a workspace's invoice of a month, anew while it is a draft; None where there is nothing on it.

    Raises UsageMismatch.
    """
    return _draft(tenant, period)[0]


def _draft_once(tenant: Tenant, period: str) -> bool:
    """Draft the invoice of a month unless another worker was first; return whether one came of it."""
    with transaction.atomic():
        credits.lock_tenant(tenant.pk)
        if Invoice.objects.filter(tenant=tenant, period=period).exists():
            return False
        return draft_invoice(tenant, period) is not None


def _draft(tenant: Tenant, period: str) -> tuple[Invoice | None, list[credits.Burn]]:
    """Return the invoice of a month, drafted anew while it is a draft, and what a draft burns of credits."""
    with transaction.atomic():
        credits.lock_tenant(tenant.pk)
        invoice = Invoice.objects.filter(tenant=tenant, period=period).first()
        if invoice and invoice.state != State.DRAFT:
            return invoice, []
        # Drafts may be days old. Each time the lines are read anew, so later adjustments are on them.
        preview = _preview(tenant, period, _read_ledger(tenant.pk, period))
        if invoice is None:
            if not preview.lines:
                return None, []
            invoice = Invoice(tenant=tenant, period=period)
        invoice.plan = preview.plan
        invoice.total_nanousd = preview.total_nanousd
        invoice.save()
        invoice.lines.all().delete()
        rows = []
        for position, line in enumerate(preview.lines, 1):
            rows.append(InvoiceLine(invoice=invoice, position=position, text=line.text, **asdict(line)))
        InvoiceLine.objects.bulk_create(rows)
        return invoice, preview.burns


def due_drafts(now: datetime) -> QuerySet[Invoice]:
    """Return the drafts that operators had their time to look at."""
    return Invoice.objects.filter(state=State.DRAFT, created_at__lte=now - DRAFT_FOR).order_by("created_at")


def finalize_invoice(invoice: Invoice, now: datetime | None = None) -> Invoice:
    """Give a draft the next number and freeze it; one of $0.00 is paid. Raises MonthNotOver, UsageMismatch.

    Its lines are read once more, and what is no usage goes into the ledger, all in one transaction. What
    adjustments took off beyond the rest is granted as credits.
    """
    now = now or timezone.now()
    if months.bounds(invoice.period)[1] > now:
        raise MonthNotOver(period=invoice.period)
    with transaction.atomic():
        fresh, burns = _draft(invoice.tenant, invoice.period)
        # Another worker was first, or the ledger no longer has anything for it.
        if fresh is None or fresh.state != State.DRAFT:
            return fresh or invoice
        _book_lines(fresh, now)
        credits.book_burns(fresh, burns)
        # Late: the number's row is locked until the end.
        _take_number(fresh)
        _freeze(fresh, now)
        _record_events(fresh)
        credits.expire_credits(fresh.tenant, fresh.period)
    return fresh


def _book_lines(invoice: Invoice, now: datetime) -> None:
    for line in invoice.lines.all():
        _book_line(invoice, line)
        if line.kind == InvoiceLine.Kind.KEPT:
            _keep_as_credits(invoice, line, now)


def _take_number(invoice: Invoice) -> None:
    # Not a sequence: those leave gaps where a transaction rolls back, and invoice numbers may have none.
    number = InvoiceNumber.objects.select_for_update().get()
    number.last += 1
    number.save()
    invoice.number = number.last


def _freeze(invoice: Invoice, now: datetime) -> None:
    # A copy: an invoice must show the addresses of its day, however they change later.
    invoice.bill_to = details.details_of(invoice.tenant).as_text()
    invoice.issuer = settings.INVOICE_ISSUER
    invoice.finalized_at = now
    invoice.state = State.FINALIZED
    if invoice.total_nanousd == 0:
        invoice.state = State.PAID
        invoice.closed_at = now
    invoice.save()


def _record_events(invoice: Invoice) -> None:
    record_event(invoice.tenant_id, EventType.INVOICE_FINALIZED, invoice)
    if invoice.state == State.PAID:
        record_event(invoice.tenant_id, EventType.INVOICE_PAID, invoice)


def require_draft(invoice: Invoice) -> None:
    """Raise NotThisState if an invoice is final."""
    if invoice.state != State.DRAFT:
        raise NotThisState(state=invoice.get_state_display(), wanted=State.DRAFT.label)


def finalize_due(now: datetime, invoice_ids: Collection[UUID] | None = None) -> int:
    """Finalize the drafts that are a day old, or some of them; return how many.

    Safe to repeat, and from two workers at once. What fails for one is raised once the others are final.
    """
    drafts = due_drafts(now).select_related("tenant")
    if invoice_ids is not None:
        drafts = drafts.filter(pk__in=invoice_ids)
    finalized = 0
    faults: list[Exception] = []
    for invoice in list(drafts):
        try:
            finalize_invoice(invoice, now)
            finalized += 1
        except Exception as error:
            logger.exception("the invoice of %s for %s stays a draft", invoice.period, invoice.tenant.slug)
            faults.append(error)
    _raise_first(faults)
    return finalized


def _raise_first(faults: Sequence[Exception]) -> None:
    """Raise the first fault that is no UsageMismatch: that one is logged, and operators look at it."""
    for fault in faults:
        if not isinstance(fault, UsageMismatch):
            raise fault


def pay_invoice(invoice: Invoice, *, actor: str, reason: str) -> None:
    """Note that a finalized invoice was paid. Raises NotThisState."""
    with transaction.atomic():
        paid = _lock(invoice, State.FINALIZED)
        _add_entry(paid, Kind.PAYMENT, -due_nanousd(paid), months.current(), actor=actor, reason=reason)
        _close(paid, State.PAID)
        record_event(paid.tenant_id, EventType.INVOICE_PAID, paid)
    invoice.refresh_from_db()


def void_invoice(invoice: Invoice, *, actor: str, reason: str) -> None:
    """Void a finalized invoice: nothing is due, and its number stays taken. Raises NotThisState.

    The credits that it burned come back, but of grants that expired since.
    """
    with transaction.atomic():
        credits.lock_tenant(invoice.tenant_id)
        void = _lock(invoice, State.FINALIZED)
        # What credits had paid of it is owed no more, either.
        written_off = due_nanousd(void) + credits.give_back(void)
        _add_entry(void, Kind.WRITEOFF, -written_off, months.current(), actor=actor, reason=reason)
        _close(void, State.VOID)
        record_event(void.tenant_id, EventType.INVOICE_VOIDED, void)
    invoice.refresh_from_db()


def balance_nanousd(tenant_id: UUID) -> int:
    """Return what a workspace owes on finalized invoices, less their credit notes."""
    owed = Invoice.objects.filter(tenant=tenant_id, state=State.FINALIZED)
    credited = CreditNote.objects.filter(invoice__in=owed)
    total = owed.aggregate(total=Sum("total_nanousd", default=0))["total"]
    return int(total - credited.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def _preview(tenant: Tenant, period: str, usage: list[Metered]) -> Preview:
    terms = plans.terms_of(tenant, period)
    allowance = Allowance(
        plan=terms.dearest.plan.name,
        included_tokens=terms.included_tokens,
        tokens=sum(metered.tokens for metered in usage),
        cost_nanousd=sum(metered.cost_nanousd for metered in usage),
    )
    month = Month(
        period=period,
        fees=terms.fees,
        usage=usage,
        allowance=allowance,
        adjustments=_adjustments(tenant.pk, period),
        hosting=Hosting(price_book.count_hosted(tenant.pk, period), price_book.style_month_nanousd(period)),
        trainings=_trainings(tenant.pk, period),
        # Earlier months without a final invoice burn first.
        credits=credits.left_of_grants(tenant, months.before(period)),
    )
    lines = invoice_lines(month)
    return Preview(period, str(terms.dearest), lines, burns_of(month, lines))


def _trainings(tenant_id: UUID, period: str) -> list[Trained]:
    """Return a month's trained tokens by their price.

    None comes late: what is charged after a month's invoice is final is charged in a later month
    (quota_sync/training_holds.py).
    """
    trained = []
    for charged in trainings.charged_tokens(tenant_id, period):
        trained.append(
            Trained(
                charged.tokens,
                charged.token_nanousd,
                charged.cost_nanousd,
                charged.first_entry,
                charged.last_entry,
            )
        )
    return trained


def _usage_by_style(tenant_id: UUID, period: str) -> list[Metered]:
    """Return what each style used in a period, over all meters."""
    start, end = months.bounds(period)
    days = UsageDaily.objects.filter(tenant=tenant_id, day__gte=start.date(), day__lt=end.date())
    by_style = days.values_list("style_name").order_by("style_name")
    rows = by_style.annotate(
        tokens=Sum(F("prompt_tokens") + F("completion_tokens")), cost=Sum("cost_nanousd")
    )
    return [Metered(style_name, int(tokens), int(cost)) for style_name, tokens, cost in rows]


def _read_ledger(tenant_id: UUID, period: str) -> list[Metered]:
    """Return what the ledger has of a period. Raises UsageMismatch."""
    usage: list[Metered] = []
    ledger_nanousd = 0
    for style_name, meter, amount, unit_nanousd, first_entry, last_entry in sum_by_meter(tenant_id, period):
        if not meter:
            ledger_nanousd = int(amount)
            continue
        tokens = int(amount)
        cost = tokens * unit_nanousd
        usage.append(Metered(style_name, tokens, cost, meter, unit_nanousd, first_entry, last_entry))
    if sum(metered.cost_nanousd for metered in usage) != ledger_nanousd:
        raise UsageMismatch(period=period)
    return usage


def _adjustments(tenant_id: UUID, period: str) -> list[Adjustment]:
    entries = LedgerEntry.objects.filter(tenant=tenant_id, period=period, kind=Kind.ADJUSTMENT)
    rows = entries.order_by("pk").values_list("pk", "reason", "amount_nanousd")
    return [Adjustment(*row) for row in rows]


# What a line without entries of its own is in the ledger.
# Credits are not in it: their money moved when they were granted (decision 26).
BOOKED: Mapping[str, LedgerEntry.Kind] = {
    InvoiceLine.Kind.FEE: Kind.FEE,
    InvoiceLine.Kind.HOSTING: Kind.HOSTING,
    InvoiceLine.Kind.INCLUDED: Kind.GRANT,
    InvoiceLine.Kind.ROUNDING: Kind.ROUNDING,
    InvoiceLine.Kind.KEPT: Kind.GRANT,
}


def _book_line(invoice: Invoice, line: InvoiceLine) -> None:
    """Write a line into the ledger if it is not there: usage, trainings and adjustments are."""
    kind = BOOKED.get(line.kind)
    if kind:
        part = ""
        if line.kind == InvoiceLine.Kind.KEPT:  # its kind in the ledger is that of the included tokens too
            part = "kept"
        if line.kind == InvoiceLine.Kind.FEE and line.position > 1:  # a month of several plans
            part = f"line {line.position}"
        _add_entry(invoice, kind, line.amount_nanousd, invoice.period, reason=line.text, part=part)


def _keep_as_credits(invoice: Invoice, line: InvoiceLine, now: datetime) -> None:
    """Grant what an invoice has less than nothing to ask for. The line's own entry brings it to $0."""
    credits.grant_credit(
        invoice.tenant,
        line.amount_nanousd,
        source=CreditGrant.Source.GOODWILL,
        source_id=f"invoice {invoice.pk}",
        reason=credits.GrantReason.KEPT(period=invoice.period),
        actor="",
        now=now,
    )


def _add_entry(
    invoice: Invoice,
    kind: LedgerEntry.Kind,
    amount: int,
    period: str,
    *,
    reason: str,
    actor: str = "",
    part: str = "",
) -> None:
    LedgerEntry.objects.create(
        tenant_id=invoice.tenant_id,
        kind=kind,
        source_id=f"invoice {invoice.pk} {part}".rstrip(),
        period=period,
        amount_nanousd=amount,
        actor=actor[:80],
        reason=reason[:200],
    )


def _lock(invoice: Invoice, wanted: Invoice.State) -> Invoice:
    locked = Invoice.objects.select_for_update(no_key=True).get(pk=invoice.pk)
    if locked.state != wanted:
        raise NotThisState(state=locked.get_state_display(), wanted=wanted.label)
    return locked


def _close(invoice: Invoice, state: Invoice.State) -> None:
    invoice.state = state
    invoice.closed_at = timezone.now()
    invoice.save(update_fields=["state", "closed_at"])
