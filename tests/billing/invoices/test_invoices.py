"""Invoices against an independent computation from the raw events, repeats, crashes, and two at once."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.workspaces import create_tenant
from billing.invoices import invoices
from billing.invoices.invoice_lines import Allowance, Metered, Month, invoice_lines, sum_lines
from core import months
from core.money import NANO
from events.models import OutboxEvent
from metering.ledger import record_events
from metering.models import Invoice, LedgerEntry, Plan, PlanVersion, Subscription, UsageEvent
from metering.plans import FeeShare, newest_plan_version
from metering.reconciliation import compare_usage
from tenants.models import User
from tests.billing.builders import CENT, NOVEMBER, OCTOBER, backdate, bill, put_on, use
from tests.profiles import examples
from tests.racing import race
from tests.tenants.builders import make_event


@pytest.fixture
def spring_acme(acme):
    """Acme as it was in October already."""
    return backdate(acme)


@pytest.fixture
def owing(spring_acme):
    """Acme on a plan whose fee is $5."""
    put_on(spring_acme, monthly_fee_nanousd=5 * NANO)
    return spring_acme


def expected_total(events, *, fee, included):
    """Compute what is owed from raw events, in another way than the product does."""
    cost = 0
    tokens = 0
    for one in events:
        fresh = one.prompt_tokens - one.cached_tokens
        cost += fresh * one.input_nanousd + one.cached_tokens * one.cached_input_nanousd
        cost += one.completion_tokens * one.output_nanousd
        tokens += one.prompt_tokens + one.completion_tokens
    free = cost if tokens <= included else cost * included // tokens
    exact = fee + cost - free
    cents, rest = divmod(exact, CENT)
    return (cents + (2 * rest >= CENT)) * CENT


tokens_of_a_request = st.tuples(
    st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 3000), st.sampled_from(["poetry", "legal"])
)


class TestAgainstRawEvents(TestCase):
    @settings(max_examples=examples(25))
    @given(
        requests=st.lists(tokens_of_a_request, max_size=12),
        fee=st.integers(0, 50) | st.integers(0, 50 * NANO),
        included=st.integers(0, 20_000),
        dearer=st.booleans(),
    )
    def test_an_invoice_is_what_its_events_cost(self, requests, fee, included, dearer):
        tenant = backdate(create_tenant(User.objects.create_user("prop@example.org"), name="Prop"))
        put_on(tenant, monthly_fee_nanousd=fee, included_tokens=included)
        events = []
        for number, (prompt, cached, completion, style) in enumerate(requests):
            one = make_event(
                tenant,
                admitted_at=OCTOBER,
                prompt_tokens=prompt,
                cached_tokens=cached,
                completion_tokens=completion,
                style_name=style,
            )
            if dearer and number % 2:  # a new price book in mid-month
                more = one.completion_tokens * 100
                one = replace(
                    one, output_nanousd=one.output_nanousd + 100, cost_nanousd=one.cost_nanousd + more
                )
            events.append(one)
        record_events(events)

        preview = invoices.preview_invoice(tenant, "2026-10")
        draft = invoices.draft_invoice(tenant, "2026-10")
        total = expected_total(events, fee=fee, included=included)
        assert preview.total_nanousd == total
        if draft is None:
            assert not preview.lines
            return
        invoice = invoices.finalize_invoice(draft, NOVEMBER)
        lines = list(invoice.lines.all())
        assert sum(line.amount_nanousd for line in lines) == invoice.total_nanousd == total
        booked = LedgerEntry.objects.filter(tenant=tenant, period="2026-10")
        assert booked.aggregate(total=Sum("amount_nanousd", default=0))["total"] == total
        by_style = defaultdict(int)
        for one in events:
            by_style[one.style_name] += one.prompt_tokens + one.completion_tokens
        for style, tokens in by_style.items():
            for shown in (lines, preview.lines):
                assert sum(line.quantity for line in shown if line.style_name == style) == tokens


def usage_of(lines):
    return [line.quantity for line in lines if line.kind == "usage"]


def test_usage_that_comes_after_the_draft_counts_in_the_month_in_which_it_arrives(spring_acme, monkeypatch):
    put_on(spring_acme, included_tokens=150_000)
    use(spring_acme, 100_000)
    invoices.draft_invoice(spring_acme, "2026-10")
    monkeypatch.setattr(months, "current", lambda: "2026-12")
    late = use(spring_acme, 100_000)
    assert record_events([late]) == 0, "it is one request, whatever its month"
    assert usage_of(bill(spring_acme).lines.all()) == [100_000]
    use(spring_acme, 150_000, datetime(2026, 12, 9, tzinfo=UTC))
    preview = invoices.preview_invoice(spring_acme, "2026-12")
    assert sum(usage_of(preview.lines)) == 250_000
    assert preview.total_nanousd == 100_000 * 400, "December's tokens include it, October's did not"
    assert invoices.preview_invoice(spring_acme, "2026-11").lines == []
    december = bill(spring_acme, "2026-12", datetime(2027, 1, 2, tzinfo=UTC))
    assert december.total_nanousd == preview.total_nanousd
    total = Invoice.objects.aggregate(total=Sum("total_nanousd"))["total"]
    assert total == LedgerEntry.objects.aggregate(total=Sum("amount_nanousd"))["total"]
    for period in ("2026-10", "2026-12"):
        assert compare_usage(period) == []


def test_usage_of_a_month_without_an_invoice_counts_there_however_late(spring_acme, monkeypatch):
    monkeypatch.setattr(months, "current", lambda: "2026-12")
    use(spring_acme, 50_000)
    assert usage_of(invoices.preview_invoice(spring_acme, "2026-10").lines) == [50_000]


@pytest.mark.django_db(transaction=True)
def test_usage_that_comes_while_the_draft_is_made_is_billed_once(spring_acme, monkeypatch):
    put_on(spring_acme, included_tokens=0)
    monkeypatch.setattr(months, "current", lambda: "2026-12")
    use(spring_acme, 1_000)
    events = [make_event(spring_acme, admitted_at=OCTOBER, completion_tokens=1_000) for _ in range(20)]
    together = Barrier(3)

    def record(some):
        together.wait(timeout=60)
        for event in some:
            record_events([event])

    def draft():
        together.wait(timeout=60)
        invoices.draft_invoice(spring_acme, "2026-10")

    race(lambda: record(events), lambda: record(events[::-1]), draft)
    invoiced = sum(usage_of(bill(spring_acme).lines.all()))
    later = sum(usage_of(invoices.preview_invoice(spring_acme, "2026-12").lines))
    assert invoiced + later == 1_000 + sum(event.tokens for event in events)
    for period in ("2026-10", "2026-12"):
        assert compare_usage(period) == []


def test_a_fee_ends_with_its_plan_and_no_change_makes_usage_dearer(spring_acme, event):
    put_on(spring_acme, included_tokens=150_000, monthly_fee_nanousd=5 * NANO)
    record_events([event(spring_acme, admitted_at=OCTOBER, completion_tokens=100_000)])
    free = newest_plan_version("free")
    Subscription.objects.filter(tenant=spring_acme, ends_at=None).update(ends_at=OCTOBER)
    Subscription.objects.create(tenant=spring_acme, plan_version=free, starts_at=OCTOBER)
    twelve_days = 5 * NANO * 12 // 31 // CENT * CENT
    assert invoices.preview_invoice(spring_acme, "2026-10").total_nanousd == twelve_days
    assert invoices.preview_invoice(spring_acme, "2026-11").total_nanousd == 0


def test_a_plan_that_was_left_in_the_month_is_invoiced_also_without_usage(owing):
    Subscription.objects.filter(tenant=owing, ends_at=None).update(ends_at=OCTOBER)
    assert invoices.draft_month("2026-10") == 1
    assert invoices.draft_month("2026-11") == 0


def test_one_draft_that_cannot_be_finalized_holds_up_no_other(spring_acme, charlies, event, caplog):
    for tenant in (spring_acme, backdate(charlies)):
        put_on(tenant, included_tokens=0, monthly_fee_nanousd=5 * NANO)
        record_events([event(tenant, admitted_at=OCTOBER)])
    assert invoices.draft_month("2026-10") == 2
    UsageEvent.objects.filter(tenant=spring_acme).update(completion_tokens=1)
    assert invoices.finalize_due(timezone.now() + timedelta(days=60)) == 1
    assert "stays a draft" in caplog.text


def test_while_the_draft_waits_its_usage_is_not_on_the_next_one_too(spring_acme, event):
    put_on(spring_acme, included_tokens=0)
    record_events([event(spring_acme, admitted_at=OCTOBER, completion_tokens=90_000)])
    invoices.draft_invoice(spring_acme, "2026-10")
    assert invoices.preview_invoice(spring_acme, "2026-11").lines == []


def test_a_crash_while_finalizing_leaves_a_draft_and_no_number(owing, monkeypatch):
    draft = invoices.draft_invoice(owing, "2026-10")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_book_line", "record_event"):
        with monkeypatch.context() as patch:
            patch.setattr(invoices, step, crash)
            with pytest.raises(KeyboardInterrupt):
                invoices.finalize_invoice(draft, NOVEMBER)
        assert Invoice.objects.get().state == "draft"
        assert not LedgerEntry.objects.exists()
    first = invoices.finalize_invoice(draft, NOVEMBER)
    again = invoices.finalize_invoice(draft, NOVEMBER)
    assert first.number == again.number == 1
    assert LedgerEntry.objects.count() == 1
    assert OutboxEvent.objects.filter(type="invoice.finalized").count() == 1


def test_a_month_is_finalized_only_when_it_is_over(owing):
    draft = invoices.draft_invoice(owing, "2026-10")
    with pytest.raises(invoices.MonthNotOver):
        invoices.finalize_invoice(draft, OCTOBER)


def test_the_database_refuses_to_change_a_finalized_invoice(owing):
    invoice = bill(owing)
    stray = Invoice.objects.create(tenant=owing, period="2026-11", plan="Free v1", total_nanousd=0)
    stray.lines.create(position=9, kind="fee", text="x", amount_nanousd=1)
    changes = (
        lambda: Invoice.objects.update(total_nanousd=1),
        lambda: Invoice.objects.update(state="draft", number=None),
        lambda: invoice.lines.update(amount_nanousd=1),
        lambda: invoice.lines.all().delete(),
        lambda: stray.lines.update(invoice=invoice),
        lambda: invoice.lines.create(position=9, kind="fee", text="x", amount_nanousd=1),
    )
    for change in changes:
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_an_invoice_is_paid_or_void_once(owing):
    invoice = bill(owing)
    assert invoices.balance_nanousd(owing.pk) == 5 * NANO
    invoices.pay_invoice(invoice, actor="op@example.org", reason="bank transfer 77")
    assert invoices.balance_nanousd(owing.pk) == 0
    for again in (invoices.pay_invoice, invoices.void_invoice):
        with pytest.raises(invoices.NotThisState):
            again(invoice, actor="op@example.org", reason="twice")
    assert LedgerEntry.objects.aggregate(total=Sum("amount_nanousd"))["total"] == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_give_each_invoice_one_number_without_gaps(acme, charlies):
    tenants = [backdate(acme), backdate(charlies)]
    for tenant in tenants:
        put_on(tenant, monthly_fee_nanousd=5 * NANO)

    def close() -> None:
        invoices.draft_month("2026-10")
        for draft in Invoice.objects.order_by("pk"):
            invoices.finalize_invoice(draft, NOVEMBER)

    race(*[close] * 4)
    assert sorted(Invoice.objects.values_list("number", flat=True)) == [1, 2]
    assert LedgerEntry.objects.filter(kind="fee").count() == 2


def test_beat_waits_a_day_before_it_finalizes(owing):
    assert invoices.draft_month("2026-10") == 1
    assert invoices.draft_month("2026-10") == 0
    drafted_at = Invoice.objects.get().created_at
    assert invoices.finalize_due(drafted_at + timedelta(hours=23)) == 0
    assert invoices.finalize_due(drafted_at + timedelta(hours=25)) == 1


def test_an_event_that_the_ledger_has_otherwise_makes_no_invoice(spring_acme, event, caplog):
    put_on(spring_acme, included_tokens=0)
    record_events([event(spring_acme, admitted_at=OCTOBER)])
    UsageEvent.objects.update(completion_tokens=1)
    with pytest.raises(invoices.UsageMismatch):
        invoices.draft_invoice(spring_acme, "2026-10")
    assert invoices.draft_month("2026-10") == 0
    assert "no invoice of 2026-10 could be made" in caplog.text


def fees_of(fee: int) -> list[FeeShare]:
    """Return the whole fee of one plan."""
    version = PlanVersion(plan=Plan(name="Writer"), monthly_fee_nanousd=fee)
    return [FeeShare(version, 31, 31)]


@given(
    tokens=st.lists(st.integers(1, 10**12), min_size=1, max_size=6),
    unit=st.integers(1, 10**6),
    included=st.integers(0, 10**13),
    fee=st.integers(0, 10**15),
)
def test_lines_are_whole_cents_and_never_below_the_fee(tokens, unit, included, fee):
    usage = [
        Metered(f"style-{number}", amount, amount * unit, "output", unit, 1, 2)
        for number, amount in enumerate(tokens)
    ]
    cost = sum(metered.cost_nanousd for metered in usage)
    allowance = Allowance("Writer", included, sum(tokens), cost)
    lines = invoice_lines(Month("2026-10", fees_of(fee), usage, allowance))
    total = sum_lines(lines)
    assert total % CENT == 0
    assert total + CENT > fee
    assert abs(sum(line.amount_nanousd for line in lines if line.kind == "rounding")) <= CENT // 2
