"""Credits on invoices against a computation of its own: random grants, months, late usage and voids."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from unittest.mock import patch

import pytest
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.workspaces import create_tenant
from billing import tasks
from billing.invoices import invoices
from core import months
from metering import credits
from metering.models import CreditBurn, Invoice, LedgerEntry
from metering.reconciliation import compare_credits, compare_invoices
from tenants.models import User
from tests.billing.builders import CENT, NOVEMBER, OCTOBER, backdate, grant, put_on, use
from tests.profiles import examples

MONTHS = ["2026-09", "2026-10", "2026-11"]
PRICES = (100, 25, 400)  # of the first price book

used = st.tuples(st.sampled_from([0, 800, 5000]), st.sampled_from([0, 1, 3000]))  # prompt, completion
adjusted = st.sampled_from([0, 0, 7, -1_234_567, -3 * CENT - 1])  # nano-USD, by operators
granted = st.tuples(
    st.integers(0, 2),  # the month in which
    st.sampled_from([1, 40_000, 700_001, 3_000_000, 50_000_000]),
    st.sampled_from([1, 100]),
    st.sampled_from([None, 0, 1]),  # months until it ends
)


def adjust(tenant, period, amount):
    """Add an adjustment to a month, of $0 none."""
    if amount:
        LedgerEntry.objects.create(
            tenant=tenant,
            kind="adjustment",
            source_id=f"console {period} {amount}",
            period=period,
            amount_nanousd=amount,
            reason="Agreed",
        )


def middle(number):
    return datetime(2026, 9 + number, 12, 12, tzinfo=UTC)


def whole_cents(exact):
    cents, rest = divmod(exact, CENT)
    return (cents + (2 * rest >= CENT)) * CENT


class Model:
    """What is owed, counted from raw events and grants."""

    def __init__(self, included):
        self.included = included
        self.costs = [0, 0, 0]
        self.tokens = [0, 0, 0]
        self.charged = [0, 0, 0]
        self.grants = []  # [priority, last month, age, first month, left]

    def owed(self, number):
        """Return what of a month's usage no invoice has charged yet."""
        over = max(0, self.tokens[number] - self.included)
        share = Fraction(over, self.tokens[number]) if over else Fraction(0)
        return ceil(self.costs[number] * share) - self.charged[number]

    def burn(self, number):
        """Let a month's charge burn; return what no credit paid."""
        rest = self.owed(number)
        self.charged[number] += rest
        for one in sorted(self.grants, key=lambda one: one[:3]):
            if one[3] <= number <= one[1]:
                paid = min(rest, one[4])
                one[4] -= paid
                rest -= paid
        return rest

    def left(self):
        return sum(one[4] for one in self.grants)


class TestMonths(TestCase):
    @settings(max_examples=examples(20))
    @given(
        usage=st.lists(st.tuples(st.lists(used, max_size=3), adjusted), min_size=3, max_size=3),
        grants=st.lists(granted, max_size=5),
        included=st.sampled_from([0, 1000, 6000]),
        late=st.lists(used, max_size=2),
        voids=st.sampled_from([None, None, 0, 1]),
    )
    def test_an_invoice_takes_off_what_the_credits_cover(self, usage, grants, included, late, voids):
        tenant = backdate(create_tenant(User.objects.create_user("prop@example.org"), name="Prop"))
        put_on(tenant, included_tokens=included, monthly_fee_nanousd=0)
        tenant.subscriptions.filter(ends_at=None).update(starts_at=middle(0) - timedelta(days=11))
        tenant.subscriptions.exclude(ends_at=None).update(
            starts_at=middle(0) - timedelta(days=300), ends_at=middle(0) - timedelta(days=200)
        )
        model = Model(included)
        owed_in_total = 0
        for number, period in enumerate(MONTHS):
            self._grant(tenant, model, number, grants)
            requests, adjustment = usage[number]
            for prompt, completion in requests:
                self._use(tenant, model, number, prompt, completion)
            if number == 1:  # what an engine's machine kept to itself
                counts_in = 1 if tenant.invoices.filter(period=MONTHS[0]).exists() else 0
                with patch.object(months, "current", return_value=MONTHS[1]):
                    for prompt, completion in late:
                        self._use(tenant, model, 0, prompt, completion, counts_in=counts_in)
            adjust(tenant, period, adjustment)
            for before in range(number):
                if not tenant.invoices.filter(period=MONTHS[before]).exists():
                    owed_in_total += self._close(tenant, model, before, number)
            earlier = sum(model.burn(before) for before in range(number))
            exact = whole_cents(earlier + model.burn(number) + adjustment)

            assert invoices.preview_invoice(tenant, period).total_nanousd == max(exact, 0)
            left = [credit for credit in credits.left_of_grants(tenant, period) if credit.left_nanousd]
            assert sum(credit.left_nanousd for credit in left) == model.left()
            draft = invoices.draft_invoice(tenant, period)
            if draft is not None:
                invoice = invoices.finalize_invoice(draft, middle(number) + timedelta(days=30))
                assert invoice.total_nanousd == max(exact, 0)
                if exact < 0:  # it pays usage of the months to come
                    model.grants.append([100, 99, (number, 100), number + 1, -exact])
                owed_in_total += invoice.total_nanousd
                if voids == number and invoice.state == Invoice.State.FINALIZED:
                    self._void(tenant, model, invoice)
                    owed_in_total -= invoice.total_nanousd
            credits.expire_ended_credits(period)
            for one in model.grants:
                if one[1] <= number:
                    one[4] = 0
            assert compare_invoices(period) == []
            assert not [text for text in compare_credits(period) if "burned" in text]
            # What was granted and not used is the workspace's; what it owes is on its invoices.
            ledger = LedgerEntry.objects.filter(tenant=tenant)
            balance = ledger.aggregate(total=Sum("amount_nanousd", default=0))["total"]
            unpaid = Invoice.objects.filter(tenant=tenant, state=Invoice.State.FINALIZED)
            assert sum(one.total_nanousd for one in unpaid) == owed_in_total
            assert balance == owed_in_total - model.left()

    def _close(self, tenant, model, number, now):
        """Invoice a month that had nothing on it until late usage came; return what is owed for it."""
        exact = model.burn(number)
        draft = invoices.draft_invoice(tenant, MONTHS[number])
        if draft is None:
            return 0
        invoice = invoices.finalize_invoice(draft, middle(now) + timedelta(days=30))
        assert invoice.total_nanousd == whole_cents(exact)
        return invoice.total_nanousd

    def _grant(self, tenant, model, number, grants):
        for age, (month, amount, priority, more) in enumerate(grants):
            if month == number:
                last = 99 if more is None else number + more
                last_period = "" if more is None else f"2026-{9 + last:02d}"
                facts = {"source": "promotion", "source_id": f"{age}", "now": middle(number)}
                grant(tenant, amount, priority=priority, last_period=last_period, **facts)
                model.grants.append([priority, last, (month, age), number, amount])

    def _use(self, tenant, model, number, prompt, completion, *, counts_in=None):
        use(tenant, completion, middle(number), prompt_tokens=prompt, cached_tokens=0)
        month = number if counts_in is None else counts_in
        model.costs[month] += prompt * PRICES[0] + completion * PRICES[2]
        model.tokens[month] += prompt + completion

    def _void(self, tenant, model, invoice):
        before = {credit.grant_id: credit.left_nanousd for credit in credits.open_credits(tenant.pk)}
        burned = CreditBurn.objects.filter(invoice=invoice)
        amounts = {burn.grant.source_id: 0 for burn in burned.select_related("grant")}
        for burn in burned.select_related("grant"):
            amounts[burn.grant.source_id] += burn.amount_nanousd
        expired = set(CreditBurn.objects.filter(invoice=None).values_list("grant__source_id", flat=True))
        invoices.void_invoice(invoice, actor="op@example.org", reason="a mistake")
        for one in model.grants:
            source_id = str(one[2][1])
            if source_id not in expired:
                one[4] += amounts.get(source_id, 0)
        after = {credit.grant_id: credit.left_nanousd for credit in credits.open_credits(tenant.pk)}
        assert sum(after.values()) - sum(before.values()) == sum(
            amount for source_id, amount in amounts.items() if source_id not in expired
        )


@pytest.fixture
def paying(acme):
    """Acme since August, without included tokens and without overage."""
    tenant = backdate(acme)
    put_on(tenant, included_tokens=0)
    return tenant


def test_the_invoice_names_the_credits_that_it_took(paying):
    grant(paying, 5 * CENT, reason="Top-up", now=OCTOBER)
    use(paying, 100_000)
    preview = invoices.preview_invoice(paying, "2026-10")
    [line] = [line for line in preview.lines if line.kind == "credit"]
    assert (line.text, line.amount_nanousd) == ("Credits: Top-up", -4 * CENT)
    assert preview.total_nanousd == 0
    invoice = invoices.finalize_invoice(invoices.draft_invoice(paying, "2026-10"), NOVEMBER)
    assert (invoice.state, invoice.total_nanousd) == ("paid", 0)
    assert invoices.finalize_invoice(invoice, NOVEMBER).credit_burns.count() == 1  # again
    assert credits.credits_left(paying, "2026-11") == CENT


def test_what_an_adjustment_takes_off_beyond_the_month_is_kept_as_credits(paying):
    use(paying, 25_000)
    adjust(paying, "2026-10", -5 * CENT)
    draft = invoices.draft_invoice(paying, "2026-10")
    assert draft.total_nanousd == 0
    invoice = invoices.finalize_invoice(draft, NOVEMBER)
    assert (invoice.state, invoice.total_nanousd) == ("paid", 0)
    line = invoice.lines.last()
    assert (line.kind, line.amount_nanousd) == ("kept", 4 * CENT)
    [kept] = paying.credit_grants.all()
    assert (kept.source, kept.source_id) == ("goodwill", f"invoice {invoice.pk}")
    assert (kept.amount_nanousd, kept.first_period) == (4 * CENT, "2026-11")
    invoices.finalize_invoice(invoice, NOVEMBER)  # again
    assert credits.credits_left(paying, "2026-11") == 4 * CENT
    total = paying.ledger_entries.aggregate(total=Sum("amount_nanousd"))["total"]
    assert total == -4 * CENT
    assert compare_invoices("2026-10") == []
    assert not [text for text in compare_credits("2026-10") if "burned" in text]


def test_what_one_grant_cannot_hold_is_refused_and_the_invoice_stays_a_draft(paying):
    adjust(paying, "2026-10", -credits.MAX_CREDIT_NANOUSD - CENT)
    draft = invoices.draft_invoice(paying, "2026-10")
    with pytest.raises(credits.BadCredit):
        invoices.finalize_invoice(draft, NOVEMBER)
    draft.refresh_from_db()
    assert (draft.state, draft.number) == ("draft", None)
    assert not paying.credit_grants.exists()


def test_reconciling_finds_a_workspace_that_used_more_than_its_credits(paying):
    grant(paying, 3 * CENT, now=OCTOBER)
    use(paying, 75_000)
    assert compare_credits("2026-10") == []
    use(paying, 25_000)
    assert compare_credits("2026-10") == [f"acme: {CENT:,} nano-USD more than its credits"]
    invoices.finalize_invoice(invoices.draft_invoice(paying, "2026-10"), NOVEMBER)
    assert compare_credits("2026-10") == [f"acme: {CENT:,} nano-USD more than its credits"]


def test_credits_expire_with_the_month_also_without_an_invoice(paying):
    grant(paying, CENT, last_period="2026-10", now=OCTOBER)
    for tenant_ids in tasks.batches_to_draft("2026-10"):
        tasks.draft_batch("2026-10", tenant_ids)
    assert not Invoice.objects.exists()
    entry = LedgerEntry.objects.get(source_id__startswith="expiry")
    assert (entry.kind, entry.amount_nanousd) == ("grant", CENT)


def test_credits_that_an_invoice_is_to_burn_do_not_expire_before_it(paying):
    grant(paying, CENT, last_period="2026-10", now=OCTOBER)
    use(paying, 20_000)
    for tenant_ids in tasks.batches_to_draft("2026-10"):
        tasks.draft_batch("2026-10", tenant_ids)
    assert not LedgerEntry.objects.filter(source_id__startswith="expiry").exists()
    invoices.finalize_invoice(Invoice.objects.get(), NOVEMBER)
    assert LedgerEntry.objects.get(source_id__startswith="expiry").amount_nanousd == CENT - 8_000_000
