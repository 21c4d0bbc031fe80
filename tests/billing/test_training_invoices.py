"""A month with trainings: its invoice, credits and pages, and everything else that sums it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.workspaces import create_tenant
from billing import month_report, thresholds
from billing.invoices import invoices
from billing.public import used_nanousd
from billing.tasks import batches_to_draft
from core import months
from core.money import NANO
from events.models import OutboxEvent
from metering import credits
from metering.ledger import record_events
from metering.models import LedgerEntry, TrainingHold
from metering.reconciliation import compare_credits, compare_invoices, compare_trainings
from tenants.models import Tenant, User
from tests.billing.builders import NOVEMBER, OCTOBER, api_client, backdate, bill, grant, put_on, use
from tests.profiles import examples

PRICE = 3_000  # nano-USD a trained token
PERIOD = "2026-10"


def train(tenant, tokens, at=OCTOBER, *, price=PRICE, most=None):
    """Leave a training as its end does: its hold is settled, its charge in the ledger."""
    most = most or tokens
    month = {"tenant": tenant, "period": months.period_of(at)}
    held = {"token_nanousd": price, "most_tokens": most, "nanousd": most * price}
    hold = TrainingHold.objects.create(**month, **held, training=uuid4(), confirmed_at=at, settled_at=at)
    charged = {"amount_nanousd": tokens * price, "tokens": tokens}
    LedgerEntry.objects.create(**month, **charged, kind="training", source_id=str(hold.training))
    return hold


@pytest.fixture
def october(acme):
    """Acme on a plan of $5 that includes 200,000 tokens and invoices the rest."""
    put_on(backdate(acme), monthly_fee_nanousd=5 * NANO, overage_allowed=True)
    return acme


def test_a_months_invoice_has_its_trainings_which_no_plan_includes(october, event):
    record_events([event(october, admitted_at=OCTOBER, prompt_tokens=1_000, completion_tokens=1_000)])
    train(october, 400_000)
    train(october, 100_001)
    train(october, 7, price=5_000)
    train(october, 1_000, price=0)
    preview = invoices.preview_invoice(october, PERIOD)
    final = bill(october)
    lines = final.lines.filter(kind="training")
    entries = LedgerEntry.objects.filter(kind="training").order_by("pk").values_list("pk", flat=True)
    assert list(lines.values_list("quantity", "unit_nanousd", "amount_nanousd", "text")) == [
        (500_001, PRICE, 500_001 * PRICE, "Training of styles"),
        (7, 5_000, 35_000, "Training of styles"),
    ]
    assert (lines[0].first_entry, lines[0].last_entry) == (entries[0], entries[1])
    [included] = final.lines.filter(kind="included")
    [*usage] = final.lines.filter(kind="usage")
    assert included.amount_nanousd == -sum(line.amount_nanousd for line in usage)
    assert preview.total_nanousd == final.total_nanousd == 6_500_000_000
    total = LedgerEntry.objects.aggregate(total=Sum("amount_nanousd"))["total"]
    assert total == final.total_nanousd
    assert compare_trainings(PERIOD) == compare_credits(PERIOD) == compare_invoices(PERIOD) == []


def test_a_workspace_that_only_trained_gets_an_invoice(acme):
    backdate(acme)
    train(acme, 1_000_000)
    assert batches_to_draft(PERIOD) == [(acme.pk,)]
    assert invoices.draft_month(PERIOD) == 1
    assert acme.invoices.get().total_nanousd == 3 * NANO


def test_credits_pay_for_trainings_before_the_invoice_does(october):
    grant(october, 2 * NANO, last_period=PERIOD, now=OCTOBER)
    grant(october, 500_000_000, now=OCTOBER)
    train(october, 1_000_000)
    assert credits.month_credits(october, PERIOD) == (2_500_000_000, 2_500_000_000)
    assert credits.expire_credits(october, PERIOD) == 0, "its invoice burns of them"
    final = bill(october)
    burned = final.credit_burns.order_by("pk").values_list("amount_nanousd", flat=True)
    assert list(burned) == [2 * NANO, 500_000_000]
    assert final.total_nanousd == 5_500_000_000
    assert credits.credits_left(october, "2026-11") == 0
    assert compare_credits(PERIOD) == []


def test_reconcile_names_a_training_that_is_charged_beyond_its_hold_or_its_invoice(october):
    over = train(october, 2_000, most=1_000)
    bill(october)
    assert [str(over.training) in line for line in compare_trainings(PERIOD)] == [True]
    lost = train(october, 5)
    TrainingHold.objects.filter(pk=lost.pk).delete()
    found = compare_trainings(PERIOD)
    assert any(str(lost.training) in line and "no hold" in line for line in found)
    assert any("6,000,000 nano-USD of trainings, the ledger 6,015,000" in line for line in found)


def test_reconcile_names_a_training_that_no_credit_covers_unless_it_was_held_in_a_month_before(acme):
    put_on(backdate(acme), monthly_fee_nanousd=0)
    train(acme, 1_000_000)
    assert compare_credits(PERIOD) == ["acme: 3,000,000,000 nano-USD more than its credits"]
    TrainingHold.objects.update(period="2026-09")
    assert compare_credits(PERIOD) == []


def test_operators_see_what_was_held_for_a_training(october, operator_client):
    train(october, 1_000_000)
    holds = operator_client.get(reverse("admin:metering_traininghold_changelist"))
    assert "$3.00" in holds.text


def test_the_budget_counts_trainings_on_pages_and_in_thresholds(october, monkeypatch):
    now = timezone.now()
    Tenant.objects.filter(pk=october.pk).update(monthly_nanousd=4 * NANO)
    october.refresh_from_db()
    train(october, 1_000_000, now)
    report = month_report.monthly_report(october, now)
    assert report["budget"]["percent"] == 75
    assert "$3.00 of" in report["budget"]["sentence"]
    assert report["budget"]["held"] == ""
    assert thresholds.check_thresholds(now) == 1
    event = OutboxEvent.objects.get(type="usage.threshold_reached")
    assert (event.facts["measure"], event.facts["percent"]) == ("budget", 50)
    assert event.facts["used_nanousd"] == 3 * NANO
    assert used_nanousd(now.date(), now.date()) == 3 * NANO
    assert used_nanousd(now.date() - timedelta(days=9), now.date() - timedelta(days=1)) == 0
    TrainingHold.objects.update(settled_at=None)
    assert month_report.monthly_report(october, now)["budget"]["held"] == (
        "Up to $3.00 more is reserved for trainings in progress."
    )


def test_the_usage_page_lists_trainings_with_their_ledger_entries(october, alice_client):
    now = timezone.now()
    usage = reverse("billing:usage")
    assert "Training of styles" not in alice_client.get(usage).text
    train(october, 1_234_567, now)
    train(october, 10_000, OCTOBER)
    entry = LedgerEntry.objects.get(tokens=1_234_567)
    page = alice_client.get(usage)
    assert "1 training with 1,234,567 trained tokens" in page.text
    assert 'title="$3.703701">$3.70</data> in total.' in page.text
    assert f"Ledger entry {entry.pk}" in page.text
    earlier = alice_client.get(usage, {"month": PERIOD})
    assert "10,000 trained tokens" in earlier.text
    assert (PERIOD, "October 2026") in page.context["periods"]


def test_prices_and_limits_of_trainings_are_public_and_in_the_api(october, client, alice_client):
    page = client.get(reverse("billing:prices")).text
    assert "Per million trained tokens" in page
    assert "$3.00" in page
    plan = alice_client.get(reverse("billing:plan"))
    assert "50,000" in str(dict(plan.context["comparison"])["Words per training"])
    train(october, 1_000, timezone.now())
    program = api_client(october, "billing:read")
    billing = program.get("/api/v1/billing").json()
    assert billing["trained_token_nanousd"] == PRICE
    assert billing["limits"]["monthly_trainings"] == 3
    month = billing["month"]
    assert (month["trained_tokens"], month["trainings_nanousd"]) == (1_000, 1_000 * PRICE)
    assert (month["tokens"], month["trainings_held_nanousd"]) == (0, 0)
    [writer] = [one for one in program.get("/api/v1/billing/plans").json()["data"] if one["code"] == "writer"]
    assert (writer["parallel_trainings"], writer["training_words"]) == (2, 200_000)


MONTHS = ["2026-09", "2026-10", "2026-11"]
trained_tokens = st.lists(st.sampled_from([1, 70, 4_000]), max_size=3)
granted = st.tuples(
    st.integers(0, 2),
    st.sampled_from([1, 300_000, 3_000_000, 50_000_000]),
    st.sampled_from([1, 100]),
    st.sampled_from([None, 0, 1]),  # months until it ends
)


class TestMonths(TestCase):
    @settings(max_examples=examples(15))
    @given(
        trained=st.lists(trained_tokens, min_size=3, max_size=3),
        used=st.lists(st.sampled_from([0, 900, 5_000]), min_size=3, max_size=3),
        grants=st.lists(granted, max_size=4),
    )
    def test_credits_burn_exactly_what_usage_and_trainings_cost(self, trained, used, grants):
        tenant = create_tenant(User.objects.create_user("prop@example.org"), name="Prop")
        long_ago = datetime(2026, 8, 1, tzinfo=UTC)
        put_on(tenant, included_tokens=1_000, monthly_fee_nanousd=0)
        tenant.subscriptions.filter(ends_at=None).update(starts_at=long_ago)
        tenant.subscriptions.exclude(ends_at=None).update(starts_at=long_ago, ends_at=long_ago)
        Tenant.objects.filter(pk=tenant.pk).update(created_at=long_ago)
        tenant.refresh_from_db()
        left: dict[int, list] = {}  # grant → [priority, last month, first month, nano-USD]
        for number, period in enumerate(MONTHS):
            at = months.bounds(period)[0] + timedelta(days=11)
            for first, nanousd, priority, lasts in grants:
                if first == number:
                    ends = min(2, number + lasts) if lasts is not None else 9
                    last_period = MONTHS[ends] if lasts is not None else ""
                    row = grant(tenant, nanousd, now=at, priority=priority, last_period=last_period)
                    left[row.pk] = [priority, ends, number, nanousd]
            owed = 0
            if used[number]:
                use(tenant, 0, at, prompt_tokens=used[number], cached_tokens=0)
                cost = used[number] * 100
                owed = cost - cost * 1_000 // used[number] if used[number] > 1_000 else 0
            for tokens in trained[number]:
                train(tenant, tokens, at)
                owed += tokens * PRICE
            self.burn(left, number, owed)
            reach = sum(one[3] for one in left.values() if one[2] <= number <= one[1])
            assert credits.credits_left(tenant, period) == reach
        for period in MONTHS:
            draft = invoices.draft_invoice(tenant, period)
            if draft:
                invoices.finalize_invoice(draft, NOVEMBER + timedelta(days=60))
            credits.expire_credits(tenant, period)
            assert compare_invoices(period) == compare_trainings(period) == []
        found = {credit.grant_id: credit.left_nanousd for credit in credits.open_credits(tenant.pk)}
        assert found == {pk: one[3] for pk, one in left.items() if one[3] and one[1] == 9}

    @staticmethod
    def burn(left, number, owed) -> None:
        for one in sorted(left.items(), key=lambda item: (item[1][0], item[1][1], item[0])):
            grant_left = one[1]
            if grant_left[2] <= number <= grant_left[1]:
                paid = min(owed, grant_left[3])
                grant_left[3] -= paid
                owed -= paid
