"""What the data plane hears of a plan's overage and of credits."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.subscriptions import subscribe_tenant
from core import months
from metering import credits
from metering.credits import grant_credit
from metering.ledger import record_events
from metering.models import CreditBurn, LedgerEntry, PlanVersion, Subscription, TrainingHold
from metering.plans import newest_plan_version
from metering.quota_sync.credit_field import MonthCount, credit_fields, credits_beside, take_off
from tests.tenants.builders import make_event

SEPTEMBER = datetime(2026, 9, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 12, tzinfo=UTC)


@pytest.fixture
def bounded(acme):
    """Acme, since August on a plan that includes 100 of its 1,000 tokens and allows no overage."""
    free = newest_plan_version("free")
    copied = ("requests_per_minute", "tokens_per_minute", "parallel_requests", "max_output_tokens")
    limits = {name: getattr(free, name) for name in copied}
    version = PlanVersion.objects.create(
        plan=free.plan, number=9, monthly_tokens=1_000_000, included_tokens=100, private_styles=3, **limits
    )
    subscribe_tenant(acme, version)
    august = datetime(2026, 8, 1, tzinfo=UTC)
    Subscription.objects.filter(tenant=acme, ends_at=None).update(starts_at=august)
    Subscription.objects.filter(tenant=acme).exclude(ends_at=None).update(starts_at=august, ends_at=august)
    return version


def grant(tenant, amount, at, **facts):
    number = tenant.credit_grants.count()
    usual = {"source": "promotion", "source_id": f"{number}", "reason": "", "actor": "op", "now": at}
    return grant_credit(tenant, amount, **usual | facts)


def use(tenant, at, tokens):
    record_events([make_event(tenant, admitted_at=at, prompt_tokens=0, completion_tokens=tokens)])


def test_with_overage_and_within_the_included_tokens_credits_bound_nothing(acme, bounded):
    grant(acme, 5, NOVEMBER)
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 5:c"
    bounded.overage_allowed = True
    bounded.plan.is_offered = False  # by arrangement
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == ""
    assert credit_fields(acme, bounded, NOVEMBER)["wallet"] == "2026-11 2026-10 100 100 5:c"
    bounded.overage_allowed = False
    bounded.monthly_tokens = 100
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == ""


def test_until_the_first_invoice_is_paid_usage_on_invoice_is_lent_up_to_a_cap(acme, bounded, settings):
    settings.MAX_UNPAID_USD = 1
    bounded.overage_allowed = True
    bounded.plan.is_offered = True
    grant(acme, 5, SEPTEMBER)
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 5:b 1000000000:u"
    assert credit_fields(acme, bounded, NOVEMBER)["wallet"] == "2026-11 2026-10 100 100 5:b"
    acme.unpaid_cap_nanousd = 90
    acme.invoices.create(period="2026-09", plan="Studio", total_nanousd=30, number=1, state="finalized")
    acme.invoices.create(period="2026-10", plan="Studio", total_nanousd=7, number=2, state="finalized")
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 5:b 60:u"
    acme.unpaid_cap_nanousd = 0
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 5:b 0:u"
    acme.invoices.update(state="paid")
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == ""


def test_trainings_are_paid_by_what_is_lent_after_the_credits(acme, bounded):
    bounded.overage_allowed = bounded.plan.is_offered = True
    acme.unpaid_cap_nanousd = 1_000
    grant(acme, 100, SEPTEMBER)
    at_most = {"used": MonthCount(0, 0), "before": MonthCount(0, 0)}
    assert credits_beside(acme, NOVEMBER, **at_most, unpaid_cap=1_000) == 1_100
    charge = {"kind": "training", "amount_nanousd": 300, "reason": "", "actor": ""}
    LedgerEntry.objects.create(tenant=acme, period="2026-10", source_id="1", **charge)
    assert credits_beside(acme, NOVEMBER, **at_most, unpaid_cap=1_000) == 800
    LedgerEntry.objects.create(tenant=acme, period="2026-11", source_id="2", **charge)
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 0:b 500:u"


def test_a_dearer_plan_earlier_in_the_month_leaves_the_next_month_bounded(acme, bounded):
    dearer = PlanVersion.objects.get(pk=bounded.pk)
    dearer.pk, dearer.number, dearer.monthly_fee_nanousd = None, 10, 1
    dearer.included_tokens = dearer.monthly_tokens
    dearer.save()
    subscribe_tenant(acme, dearer, at=datetime(2026, 11, 1, tzinfo=UTC))
    subscribe_tenant(acme, bounded, at=datetime(2026, 11, 9, tzinfo=UTC))
    assert credit_fields(acme, dearer, NOVEMBER)["credits"] == ""
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 1000000 100"


def test_neighbours_that_pay_the_same_months_are_one_amount(acme, bounded):
    grant(acme, 1, SEPTEMBER)
    grant(acme, 2, OCTOBER)
    grant(acme, 4, OCTOBER, last_period="2026-10")
    grant(acme, 8, NOVEMBER, priority=1)
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 8:c 4:p 3:b"
    assert credit_fields(acme, bounded, OCTOBER)["credits"] == "2026-10 2026-09 100 100 4:c 1:b 2:c"


def test_months_before_the_last_two_have_burned_final_or_not(acme, bounded):
    one = grant(acme, 1_000_000, SEPTEMBER)
    use(acme, SEPTEMBER, 600)  # 500 of 600 tokens at 400 nano-USD are not included
    use(acme, OCTOBER, 600)
    use(acme, NOVEMBER, 600)
    assert credit_fields(acme, bounded, OCTOBER)["credits"] == "2026-10 2026-09 100 100 1000000:b"
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 800000:b"
    CreditBurn.objects.create(grant=one, period="2026-10", amount_nanousd=200_000, invoice=invoice_of(acme))
    # Final or not is the same: admission lets October burn by its account.
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 800000:b"


def invoice_of(tenant):
    return tenant.invoices.create(period="2026-10", plan="Free v9", total_nanousd=0)


def test_what_is_left_follows_usage_by_the_share_formula(acme, bounded):
    grant(acme, 1_000_000, SEPTEMBER)
    use(acme, OCTOBER, 600)
    assert credits.credits_left(acme, "2026-10") == 1_000_000 - 200_000
    use(acme, OCTOBER, 100)
    assert credits.credits_left(acme, "2026-10") == 1_000_000 - 240_000


entries = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("bcp")), max_size=6)


def left_after(amounts, owed):
    """Return what admission.lua finds for this month, once the month before burned what it owes."""
    left = 0
    for amount, covered in amounts:
        burned = 0 if covered == "c" else min(owed, amount)
        owed -= burned
        if covered != "p":
            left += amount - burned
    return left


@given(entries, st.integers(0, 60), st.integers(0, 90))
def test_trainings_leave_what_would_be_left_if_they_burned_after_the_month_before(amounts, trained, owed):
    taken = take_off(amounts, trained)
    assert left_after(taken, owed) == max(0, left_after(amounts, owed) - trained)
    assert all(0 <= amount <= before for (amount, _), (before, _) in zip(taken, amounts, strict=True))


def train(tenant, at, nanousd):
    LedgerEntry.objects.create(
        tenant=tenant,
        kind="training",
        source_id=str(uuid4()),
        period=months.period_of(at),
        amount_nanousd=nanousd,
        tokens=1,
    )


def test_trainings_of_both_months_and_holds_are_taken_off(acme, bounded):
    grant(acme, 1_000, OCTOBER)
    grant(acme, 100, NOVEMBER)
    train(acme, OCTOBER, 300)
    train(acme, NOVEMBER, 150)
    assert credit_fields(acme, bounded, NOVEMBER)["credits"] == "2026-11 2026-10 100 100 650:b 0:c"
    TrainingHold.objects.create(
        training=uuid4(), tenant=acme, token_nanousd=1, most_tokens=50, nanousd=50, period="2026-10"
    )
    assert credit_fields(acme, bounded, NOVEMBER)["wallet"] == "2026-11 2026-10 100 100 600:b 0:c"
    # In December what October was charged has burned: it is a month before the last two.
    december = datetime(2026, 12, 3, tzinfo=UTC)
    assert credit_fields(acme, bounded, december)["credits"] == "2026-12 2026-11 100 100 600:b"
