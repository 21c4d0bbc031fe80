"""Credits: granted once a source, burned in order, expired at a month's end, never below zero."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from core import valkey as valkey_names
from core.money import NANO
from events.models import OutboxEvent
from metering import credits
from metering.credits import Burn, Credit, burn_credits, grant_credit
from metering.models import CreditBurn, CreditGrant, LedgerEntry
from tests.racing import race

OCTOBER = datetime(2026, 10, 12, 12, tzinfo=UTC)


def grant(tenant, amount=10 * NANO, source_id="one", **facts):
    usual = {"source": "promotion", "reason": "Welcome", "actor": "op@example.org", "now": OCTOBER}
    return grant_credit(tenant, amount, source_id=source_id, **usual | facts)


def test_a_source_grants_once(acme):
    first = grant(acme, source="top_up")
    assert grant(acme, source="top_up") == first
    entry = LedgerEntry.objects.get(tenant=acme)
    assert (entry.kind, entry.source_id, entry.amount_nanousd) == ("payment", "top_up:one", -10 * NANO)
    assert OutboxEvent.objects.get(type="credit.granted").object["amount_usd"] == "10.00"
    grant(acme)  # another source has ids of its own
    assert credits.credits_left(acme, "2026-10") == 20 * NANO


def test_a_source_that_granted_something_else_is_refused(acme, charlies):
    grant(acme)
    with pytest.raises(credits.DifferentGrant):
        grant(charlies)
    with pytest.raises(credits.DifferentGrant):
        grant(acme, amount=11 * NANO)
    assert CreditGrant.objects.count() == 1


@pytest.mark.parametrize("facts", [{"amount": 0}, {"amount": -1}, {"last_period": "2026-09"}])
def test_impossible_credits_are_refused(acme, facts):
    with pytest.raises(credits.BadCredit):
        grant(acme, **facts)


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_hear_of_one_payment_grant_it_once(acme):
    race(*[lambda: grant(acme, source="top_up")] * 2)
    assert CreditGrant.objects.count() == LedgerEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_grant_counts_from_the_next_request_on(acme, valkey):
    generation = acme.generation
    grant(acme)
    acme.refresh_from_db()
    assert acme.generation == generation + 1
    assert valkey.get(valkey_names.published_key(acme.pk)) == str(acme.generation)


def test_the_database_refuses_to_change_credits_and_to_burn_more_than_there_is(acme):
    row = grant(acme)
    with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
        CreditGrant.objects.update(amount_nanousd=1)
    with pytest.raises(IntegrityError, match="would be"), transaction.atomic():
        CreditBurn.objects.create(grant=row, period="2026-10", amount_nanousd=10 * NANO + 1)
    CreditBurn.objects.create(grant=row, period="2026-10", amount_nanousd=10 * NANO)
    with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
        CreditBurn.objects.all().delete()


def test_credits_burn_by_priority_then_expiry_then_age(acme):
    oldest = grant(acme, source_id="oldest")
    ends_late = grant(acme, source_id="late", last_period="2026-12")
    ends_soon = grant(acme, source_id="soon", last_period="2026-10")
    youngest = grant(acme, source_id="youngest")
    first = grant(acme, source_id="first", priority=1)
    order = [credit.grant_id for credit in credits.open_credits(acme.pk)]
    assert order == [one.pk for one in (first, ends_soon, ends_late, oldest, youngest)]


def test_a_month_burns_only_what_covers_it():
    old = Credit(1, 10, "2026-09", "2026-10")
    new = Credit(2, 10, "2026-11", "")
    assert burn_credits([old, new], {"2026-11": 4, "2026-10": 15}) == [
        Burn(1, "2026-10", 10),
        Burn(2, "2026-11", 4),
    ]


PERIODS = ["2026-09", "2026-10", "2026-11"]
credit = st.tuples(st.integers(0, 20), st.sampled_from(PERIODS), st.sampled_from([*PERIODS, ""]))


@given(st.lists(credit, max_size=5), st.dictionaries(st.sampled_from(PERIODS), st.integers(0, 30)))
def test_burning_is_paying_cent_by_cent(drawn, charges):
    """One unit after the other: each month's next unit comes from the first credit that has one for it."""
    purses = [Credit(number, *facts) for number, facts in enumerate(drawn)]
    left = {purse.grant_id: purse.left_nanousd for purse in purses}
    paid: dict[tuple[int, str], int] = {}
    for period in sorted(charges):
        for _ in range(charges[period]):
            for purse in purses:
                ends = purse.last_period or "9999-12"
                if purse.first_period <= period <= ends and left[purse.grant_id]:
                    left[purse.grant_id] -= 1
                    paid[purse.grant_id, period] = paid.get((purse.grant_id, period), 0) + 1
                    break
    burns = burn_credits(purses, charges)
    assert {(burn.grant_id, burn.period): burn.amount_nanousd for burn in burns} == paid


def test_what_is_left_expires_once(acme):
    row = grant(acme, last_period="2026-10")
    grant(acme, source_id="stays")
    assert credits.expire_credits(acme, "2026-09") == 0
    assert credits.expire_credits(acme, "2026-10") == 10 * NANO
    assert credits.expire_credits(acme, "2026-10") == 0
    assert credits.credits_left(acme, "2026-10") == 10 * NANO
    entry = LedgerEntry.objects.get(source_id=f"expiry:{row.pk}")
    assert (entry.amount_nanousd, entry.period) == (10 * NANO, "2026-10")
    event = OutboxEvent.objects.get(type="credit.expired")
    assert event.facts == {"expired_nanousd": 10 * NANO}
