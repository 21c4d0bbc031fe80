"""Holds of trainings: within budget and credits, one a training, charged once, never more than was held."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest
import redis
from django.utils import timezone

from core import months
from core.money import NANO
from core.valkey import account_key, limits_key
from metering import credits, plans, trainings
from metering.ledger import record_events, usage_of
from metering.models import Invoice, LedgerEntry, Plan, PriceBook, TrainingHold
from metering.quota_sync import snapshot, training_holds
from metering.quota_sync.training_holds import (
    BudgetUnknown,
    HeldByRequests,
    NothingLeft,
    OverBudget,
    OverCredits,
    hold_training,
    require_anything_left,
    settle_training,
)
from tenants.models import Tenant
from tests.billing.builders import put_on
from tests.racing import race

PRICE = 3_000  # nano-USD a trained token: what the first price book asks
MILLION = 1_000_000
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


@pytest.fixture
def owing(acme) -> Tenant:
    """Acme on a plan that invoices what credits don't cover, with a budget of $10."""
    put_on(acme, overage_allowed=True, included_tokens=0)
    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=10 * NANO)
    acme.refresh_from_db()
    return acme


@pytest.fixture
def prepaid(acme) -> Tenant:
    """Acme on a plan without overage that includes nothing, with $10 of credits."""
    put_on(acme, overage_allowed=False, included_tokens=0, monthly_tokens=10**9)
    grant(acme, 10 * NANO)
    return acme


def grant(tenant, nanousd, **facts) -> None:
    usual = {"source": "top_up", "source_id": str(uuid4()), "reason": "", "actor": ""}
    credits.grant_credit(tenant, nanousd, **usual | facts)


def hold(tenant, dollars: float) -> TrainingHold:
    """Hold what a training of so many dollars needs."""
    return hold_training(tenant, uuid4(), round(dollars * NANO) // PRICE, timezone.now())


def published(valkey, tenant) -> dict[str, str]:
    return valkey.hgetall(limits_key(tenant.pk))


def test_a_hold_is_one_a_training_at_the_price_of_its_start(owing):
    training = uuid4()
    first = hold_training(owing, training, MILLION, timezone.now())
    assert (first.token_nanousd, first.nanousd) == (PRICE, MILLION * PRICE)
    assert first.confirmed_at
    PriceBook.objects.create(effective_from=timezone.now(), trained_token_nanousd=9)
    assert hold_training(owing, training, 5 * MILLION, timezone.now()) == first
    assert trainings.open_holds_nanousd(owing.pk) == first.nanousd
    # The price of its start counts at its end, too.
    assert settle_training(training, 7, timezone.now()) == 7 * PRICE


def test_no_hold_exceeds_the_budget_beside_others_and_what_was_charged(owing):
    first = hold(owing, 6)
    with pytest.raises(OverBudget) as refused:
        hold(owing, 5)
    facts = refused.value.facts
    assert facts["needed_nanousd"] == 5 * NANO // PRICE * PRICE
    assert facts["left_nanousd"] == 10 * NANO - first.nanousd
    assert facts["budget"] == "$10.00"
    # It ends at half of what was held: the rest is free again.
    settle_training(first.training, first.most_tokens // 2, timezone.now())
    hold(owing, 5)
    with pytest.raises(OverBudget):
        hold(owing, 3)
    assert TrainingHold.objects.count() == 2


def test_without_overage_credits_bound_a_training(prepaid):
    first = hold(prepaid, 6)
    with pytest.raises(OverCredits) as refused:
        hold(prepaid, 5)
    assert refused.value.facts["left_nanousd"] == 10 * NANO - first.nanousd
    grant(prepaid, 2 * NANO)
    second = hold(prepaid, 5)
    for one in (first, second):
        settle_training(one.training, one.most_tokens, timezone.now())
    left = credits.credits_left(prepaid, months.current())
    assert left == 12 * NANO - first.nanousd - second.nanousd


def test_advice_names_no_plan_that_the_workspace_can_not_have_yet(prepaid):
    """A plan on invoice helps once an invoice was paid, or by an operator's word that covers the training."""

    def refuse(dollars: float = 20) -> str:
        with pytest.raises(OverCredits) as refused:
            hold(prepaid, dollars)
        return refused.value.message

    assert "Add credits. You can also train on less text." in refuse()
    Tenant.objects.filter(pk=prepaid.pk).update(unpaid_cap_nanousd=30 * NANO)
    assert "Add credits, or upgrade to a plan that invoices usage." in refuse()
    assert "plan" not in refuse(40)
    Invoice.objects.create(
        tenant=prepaid, period="2026-08", number=7, state="paid", plan="Trial v1", total_nanousd=NANO
    )
    assert "plan that invoices" in refuse(40)


def test_on_a_plan_on_invoice_the_first_invoice_ends_the_cap(owing):
    """It has such a plan already, so no other one helps."""
    Tenant.objects.filter(pk=owing.pk).update(monthly_nanousd=None)
    Plan.objects.filter(code="trial").update(is_offered=True)
    with pytest.raises(OverCredits, match=r"or pay your first invoice once it's issued\."):
        hold(owing, 1_000)


def test_with_nothing_left_no_training_can_start(owing, prepaid):
    now = timezone.now()
    require_anything_left(owing, now)
    Tenant.objects.filter(pk=prepaid.pk).update(monthly_nanousd=None)
    grant(prepaid, 2_000)  # then they are a multiple of the price
    hold_training(prepaid, uuid4(), (10 * NANO + 2_000) // PRICE, now)
    with pytest.raises(NothingLeft, match=r"Add credits\."):
        require_anything_left(prepaid, now)
    PriceBook.objects.update(trained_token_nanousd=0)
    require_anything_left(prepaid, now)


def test_trained_tokens_are_never_included_and_no_usage(acme):
    """The free plan includes all tokens of a month, and none of a training."""
    with pytest.raises(OverCredits):
        hold(acme, 1)
    grant(acme, NANO)
    held = hold(acme, 1)
    settle_training(held.training, held.most_tokens, timezone.now())
    assert usage_of(acme.pk, months.current()).tokens == 0
    assert trainings.charged_nanousd(acme.pk, months.current()) == held.nanousd


def test_the_first_party_and_a_price_of_nothing_hold_nothing(acme, owing):
    Tenant.objects.filter(pk=owing.pk).update(monthly_nanousd=1)
    PriceBook.objects.update(trained_token_nanousd=0)
    assert hold(owing, 100).nanousd == 0
    PriceBook.objects.update(trained_token_nanousd=PRICE)
    Tenant.objects.filter(pk=owing.pk).update(is_first_party=True)
    owing.refresh_from_db()
    free = hold(owing, 100)
    assert settle_training(free.training, 5, timezone.now()) == 0
    assert LedgerEntry.objects.get(kind="training").tokens == 5


@pytest.mark.parametrize("trained", [0, 1, MILLION, MILLION + 1, 10**12])
def test_a_charge_is_never_more_than_its_hold_and_nothing_for_nothing(owing, trained):
    held = hold_training(owing, uuid4(), MILLION, timezone.now())
    charge = settle_training(held.training, trained, timezone.now())
    assert charge == min(trained, MILLION) * PRICE <= held.nanousd
    assert LedgerEntry.objects.filter(kind="training").count() == (trained > 0)
    assert trainings.open_holds_nanousd(owing.pk) == 0
    # Later calls change nothing, whatever they count.
    assert settle_training(held.training, 3, timezone.now()) == charge
    assert hold_training(owing, held.training, 9, timezone.now()).settled_at


def test_two_workers_settle_a_training_once(owing):
    held = hold_training(owing, uuid4(), MILLION, timezone.now())
    counts = iter([500, 700])
    charges = race(*[lambda: settle_training(held.training, next(counts), timezone.now())] * 2)
    entry = LedgerEntry.objects.get(kind="training")
    assert charges == [entry.amount_nanousd, entry.amount_nanousd]
    assert entry.amount_nanousd in (500 * PRICE, 700 * PRICE)
    assert entry.source_id == str(held.training)


def test_many_at_once_hold_no_more_than_there_is(owing, prepaid):
    """Acme has a budget and credits of $10; each of eight trainings needs $3."""
    Tenant.objects.filter(pk=prepaid.pk).update(monthly_nanousd=10 * NANO)

    def try_to_hold() -> bool:
        try:
            hold(prepaid, 3)
        except training_holds.TrainingNotCovered:
            return False
        return True

    assert sum(race(*[try_to_hold] * 8)) == 3
    assert TrainingHold.objects.filter(confirmed_at=None).count() == 0


def test_what_never_had_a_hold_costs_nothing_and_must_not_have_trained(acme):
    assert settle_training(uuid4(), 0, timezone.now()) == 0
    with pytest.raises(TrainingHold.DoesNotExist):
        settle_training(uuid4(), 1, timezone.now())


def test_valkey_has_the_budget_less_what_is_held_and_charged(owing, valkey):
    held = hold(owing, 6)
    assert int(published(valkey, owing)["monthly_nanousd"]) == 10 * NANO - held.nanousd
    settle_training(held.training, held.most_tokens // 3, timezone.now())
    charged = trainings.charged_nanousd(owing.pk, months.current())
    assert int(published(valkey, owing)["monthly_nanousd"]) == 10 * NANO - charged
    Tenant.objects.filter(pk=owing.pk).update(monthly_nanousd=charged - 1)
    snapshot.publish_snapshot(owing.pk)
    assert published(valkey, owing)["monthly_nanousd"] == "0"


def test_valkey_has_the_credits_less_what_is_held_and_charged(prepaid, valkey):
    held = hold(prepaid, 6)
    *_, left = published(valkey, prepaid)["credits"].split()
    assert left == f"{10 * NANO - held.nanousd}:c"
    settle_training(held.training, held.most_tokens // 3, timezone.now())
    charged = trainings.charged_nanousd(prepaid.pk, months.current())
    *_, left = published(valkey, prepaid)["credits"].split()
    assert left == f"{10 * NANO - charged}:c"
    assert credits.credits_left(prepaid, months.current()) == 10 * NANO - charged


def test_a_budget_that_trainings_lowered_is_whole_again_next_month(owing, valkey, monkeypatch):
    held = hold(owing, 6)
    _, month_ends = months.bounds(months.current())
    assert valkey.pexpiretime(limits_key(owing.pk)) == -1, "a hold counts in the next month, too"
    settle_training(held.training, held.most_tokens, timezone.now())
    if timezone.now() < month_ends - snapshot.COMING_KNOWN_BEFORE:
        assert valkey.pexpiretime(limits_key(owing.pk)) == int(month_ends.timestamp() * 1000)
    soon = month_ends - timedelta(hours=1)
    monkeypatch.setattr(timezone, "now", lambda: soon)
    monkeypatch.setattr(snapshot, "valkey_now", lambda: soon)
    snapshot.publish_snapshot(owing.pk)
    fields = published(valkey, owing)
    assert int(fields["monthly_nanousd"]) == 10 * NANO - held.nanousd
    assert f'"monthly_nanousd": "{10 * NANO}"' in fields["coming"]


def test_requests_in_flight_keep_their_part_and_the_hold_is_taken_back(owing, prepaid, valkey):
    Tenant.objects.filter(pk=prepaid.pk).update(monthly_nanousd=None)
    account = account_key(prepaid.pk, months.current())
    valkey.hset(account, mapping={"used": 10, "spent": NANO, "held": 1000, "reserved": 5 * NANO})
    with pytest.raises(HeldByRequests, match=r"credits.*\$4\.00 is free") as refused:
        hold(prepaid, 6)
    assert refused.value.code == "training_waits_for_requests"
    assert not TrainingHold.objects.exists()
    *_, left = published(valkey, prepaid)["credits"].split()
    assert left == f"{10 * NANO}:c"
    hold(prepaid, 4)
    valkey.hset(account, mapping={"held": 0, "reserved": 0})
    hold(prepaid, 4)


def test_credits_that_the_month_before_still_owes_are_no_trainings(prepaid, valkey):
    """The month before has used more than the ledger knows, of credits that pay both months."""
    now = timezone.now()
    before = months.before(months.current())
    [row] = credits.open_credits(prepaid.pk)
    earlier = months.bounds(before)[0] + timedelta(days=1)
    grant(prepaid, 5 * NANO, now=earlier)
    valkey.hset(account_key(prepaid.pk, before), mapping={"used": 100, "spent": 3 * NANO})
    with pytest.raises(HeldByRequests):
        hold_training(prepaid, uuid4(), 13 * NANO // PRICE, now)
    assert hold_training(prepaid, uuid4(), 12 * NANO // PRICE, now).confirmed_at
    assert row.left_nanousd == 10 * NANO


def test_without_valkey_nothing_is_held(owing, monkeypatch):
    monkeypatch.setattr(training_holds, "publish_snapshot", Mock(side_effect=redis.ConnectionError))
    with pytest.raises(BudgetUnknown):
        hold(owing, 1)
    assert not TrainingHold.objects.exists()


def test_a_hold_whose_process_died_is_confirmed_by_the_next_call(owing, monkeypatch):
    """Until then it counts: the budget is bound by it, and nothing has started."""

    class Killed(BaseException):
        pass

    training = uuid4()
    with monkeypatch.context() as patch:
        patch.setattr(training_holds, "publish_snapshot", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            hold_training(owing, training, MILLION, timezone.now())
    assert TrainingHold.objects.get().confirmed_at is None
    assert trainings.open_holds_nanousd(owing.pk) == MILLION * PRICE
    assert hold_training(owing, training, MILLION, timezone.now()).confirmed_at
    assert TrainingHold.objects.count() == 1


def test_two_calls_for_one_training_end_with_one_hold_or_none(owing):
    training = uuid4()
    found = race(*[lambda: hold_training(owing, training, MILLION, timezone.now())] * 4)
    assert {one.pk for one in found} == {training}
    assert all(one.confirmed_at for one in found)


def test_what_ends_after_its_months_invoice_is_final_is_charged_in_the_next_month(owing):
    held = hold(owing, 1)
    stale = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    Invoice.objects.create(
        tenant=owing, period="2026-10", number=7, state="paid", plan="Trial v1", total_nanousd=0
    )
    settle_training(held.training, 1, stale)
    assert LedgerEntry.objects.get(kind="training").period == "2026-11"


def test_a_training_is_charged_in_the_month_in_which_it_ends(owing):
    held = hold_training(owing, uuid4(), 1000, datetime(2026, 9, 30, 23, tzinfo=UTC))
    assert held.period == "2026-09"
    settle_training(held.training, 10, datetime(2026, 10, 1, 1, tzinfo=UTC))
    assert trainings.read_costs(owing.pk, "2026-09", "2026-10").charged_nanousd == {"2026-10": 10 * PRICE}


def test_usage_and_trainings_share_the_budget_as_the_ledger_has_them(owing, event):
    usage = event(owing, admitted_at=timezone.now(), prompt_tokens=0, completion_tokens=20_000_000)
    record_events([usage])
    left = 10 * NANO - usage.cost_nanousd
    assert 0 < left < 3 * NANO
    with pytest.raises(OverBudget) as refused:
        hold(owing, 3)
    assert refused.value.facts["left_nanousd"] == left


def test_limits_of_a_workspace_name_those_of_trainings(acme):
    limits = plans.limits_of(acme, timezone.now())
    assert (limits.parallel_trainings, limits.monthly_trainings, limits.training_words) == (1, 3, 50_000)
