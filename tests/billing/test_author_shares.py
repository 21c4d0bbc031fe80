"""Authors' shares against an independent sum, repeats, two at once, and what people see of them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models import Sum
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.workspaces import create_tenant
from billing import author_shares
from metering.earnings import decide_shares
from metering.ledger import record_events
from metering.models import AuthorEarning, CreditGrant, Invoice, LedgerEntry
from metering.reconciliation import compare_earnings
from tenants.models import User
from tests.billing.builders import OCTOBER, PAYDAY, STYLE, api_client, include, share
from tests.profiles import examples
from tests.racing import race
from tests.tenants.builders import make_event


@pytest.fixture
def charlies(charlies):
    include(charlies, 0)  # all of its usage is paid
    return charlies


def paid_to(tenant):
    grants = CreditGrant.objects.filter(tenant=tenant, source="author_share")
    return grants.aggregate(total=Sum("amount_nanousd", default=0))["total"]


class SharesAreExact(TestCase):
    """Whatever is recorded in whichever batches, an author has the sum of each request's share."""

    @given(
        percents=st.lists(st.integers(0, 100), min_size=1, max_size=4),
        requests=st.lists(
            st.tuples(
                st.integers(0, 6 * 24 - 1),  # hours after the first price, each of which lasts a day
                st.integers(1, 997),  # completion tokens
                st.sampled_from(["acme", "charlies"]),
                st.sampled_from(["shared", "other", "base"]),
            ),
            max_size=25,
        ),
        cut=st.integers(0, 25),
    )
    @settings(max_examples=examples(40))
    def test_in_any_batches(self, percents, requests, cut):
        tenants = {}
        for name in ("acme", "charlies"):
            user = User.objects.create_user(f"{name}@example.net")
            tenants[name] = create_tenant(user, name=name)
        include(tenants["charlies"], 0)
        for day, percent in enumerate(percents):
            share(tenants["acme"], percent, OCTOBER + timedelta(days=day))
        styles = {"shared": STYLE, "other": uuid4(), "base": None}
        events = []
        expected = defaultdict(int)
        for hours, completion, who, which in requests:
            event = make_event(
                tenants[who],
                admitted_at=OCTOBER + timedelta(hours=hours),
                completion_tokens=completion,
                style=styles[which],
            )
            events.append(event)
            percent = percents[min(hours // 24, len(percents) - 1)]
            if who == "charlies" and which == "shared" and percent:
                expected[event.admitted_at.date()] += event.cost_nanousd * percent // 100
        record_events(events[:cut])
        record_events(events)  # those before the cut for the second time
        earned = AuthorEarning.objects.filter(author=tenants["acme"]).order_by("day")
        assert dict(earned.values_list("day").annotate(Sum("share_nanousd"))) == expected
        assert not AuthorEarning.objects.exclude(author=tenants["acme"], tenant=tenants["charlies"]).exists()

        assert author_shares.pay_due(PAYDAY) == bool(sum(expected.values()))
        assert author_shares.pay_due(PAYDAY) == 0
        assert paid_to(tenants["acme"]) == sum(expected.values())


def test_what_comes_late_is_paid_with_the_next_month_and_drafts_hold_payment_up(acme, charlies, event):
    share(acme, 20, OCTOBER - timedelta(days=1))

    def use(at):
        record_events([event(charlies, style=STYLE, admitted_at=at, prompt_tokens=0, completion_tokens=10)])

    use(OCTOBER)
    draft = Invoice.objects.create(tenant=charlies, period="2026-10", plan="Free v1", total_nanousd=0)
    assert author_shares.pay_due(PAYDAY) == 0
    draft.delete()
    assert author_shares.pay_due(datetime(2026, 11, 1, 12, tzinfo=UTC)) == 0, "drafts may still come"
    assert author_shares.pay_due(PAYDAY) == 1
    assert paid_to(acme) == 10 * 400 * 20 // 100
    use(OCTOBER)
    use(PAYDAY)
    assert author_shares.pay_due(PAYDAY) == 0
    decide_shares(PAYDAY)
    assert author_shares.unpaid_nanousd(acme.pk, until="2026-10") == 800
    assert author_shares.pay_due(datetime(2026, 12, 3, tzinfo=UTC)) == 1
    assert paid_to(acme) == 3 * 800
    booked = LedgerEntry.objects.filter(tenant=acme, kind="grant")
    assert booked.aggregate(total=Sum("amount_nanousd"))["total"] == -3 * 800


def test_a_stuck_draft_holds_payment_up_for_three_days_at_most(acme, charlies, event, caplog):
    share(acme, 20, OCTOBER - timedelta(days=1))
    record_events([event(charlies, style=STYLE, admitted_at=OCTOBER)])
    Invoice.objects.create(tenant=charlies, period="2026-10", plan="Free v1", total_nanousd=0)
    drafts_end = datetime(2026, 11, 2, tzinfo=UTC)
    assert author_shares.pay_due(drafts_end + timedelta(days=3, seconds=-1)) == 0
    assert "are waiting for 1 draft" in caplog.text
    assert author_shares.pay_due(drafts_end + timedelta(days=3)) == 1
    assert "paid although 1 invoices are drafts" in caplog.text
    assert paid_to(acme) > 0


@pytest.mark.django_db(transaction=True)
def test_two_payers_at_once_pay_once(acme, charlies, event, valkey):
    share(acme, 50, OCTOBER - timedelta(days=1))
    record_events([event(charlies, style=STYLE, admitted_at=OCTOBER)])

    assert sorted(race(*[lambda: author_shares.pay_due(PAYDAY)] * 2)) == [0, 1]
    assert paid_to(acme) == AuthorEarning.objects.get().share_nanousd


def test_the_author_reads_what_it_earned_and_nobody_else_does(
    acme, charlies, event, alice_client, charlie_client
):
    share(acme, 20, OCTOBER - timedelta(days=1))
    record_events([event(charlies, style=STYLE, style_name="acme/noir", admitted_at=OCTOBER)])
    author_shares.pay_due(PAYDAY)
    page = alice_client.get(reverse("billing:earnings")).text
    for text in ("acme/noir", "October 2026", "Paid as credits", "$0.00 in pending earnings"):
        assert text in page
    assert "acme/noir" not in charlie_client.get(reverse("billing:earnings")).text


def test_programs_read_earnings_by_month_and_style(acme, charlies):
    share(acme, 10, OCTOBER)
    for moment in (OCTOBER, OCTOBER + timedelta(days=30)):
        record_events([make_event(charlies, style=STYLE, admitted_at=moment, completion_tokens=50)])
    decide_shares(PAYDAY)
    program = api_client(acme, "billing:read")

    def read(first, last="2026-11"):
        span = {"first_period": first, "last_period": last}
        return program.get("/api/v1/earnings", span).json()

    earned = read("2026-09")
    assert [row["period"] for row in earned["data"]] == ["2026-11", "2026-10"]
    booked = AuthorEarning.objects.aggregate(total=Sum("share_nanousd"))["total"]
    assert earned["total"]["share_nanousd"] == earned["unpaid_nanousd"] == booked > 0
    assert {row["style_id"] for row in earned["data"]} == {str(STYLE)}
    assert earned["payouts"] == []
    october = read("2026-10", "2026-10")
    assert october["data"] == earned["data"][1:]
    author_shares.pay_due(PAYDAY)
    assert read("2026-09")["unpaid_nanousd"] == booked - october["total"]["share_nanousd"]
    paid_in = f"{CreditGrant.objects.get().created_at:%Y-%m}"
    [payout] = read(paid_in, paid_in)["payouts"]
    assert payout["amount_nanousd"] == october["total"]["share_nanousd"]


@pytest.mark.parametrize(
    "query",
    [
        "first_period=2026-13",
        "last_period=soon",
        "last_period=0001-01",
        "first_period=9999-12&last_period=9999-12",
        "first_period=2026-11&last_period=2026-10",
        "first_period=2020-01&last_period=2026-10",
        "month=2026-10",
    ],
)
def test_a_span_that_makes_no_sense_is_refused(alice_client, query):
    assert alice_client.get(f"/api/v1/earnings?{query}").status_code == 400


def test_a_key_without_the_scope_reads_no_earnings(acme):
    assert api_client(acme, "inference").get("/api/v1/earnings").status_code == 403


def test_reconciling_finds_shares_that_are_not_what_the_events_make(acme, charlies):
    share(acme, 10, OCTOBER)
    share(acme, 33, OCTOBER + timedelta(days=2))
    share(acme, 0, OCTOBER + timedelta(days=4))
    for days in range(6):
        at = OCTOBER + timedelta(days=days)
        for user in (charlies, acme):
            record_events([make_event(user, style=STYLE, admitted_at=at, completion_tokens=7 + days)])
    assert compare_earnings("2026-10") == []
    row = AuthorEarning.objects.order_by("day").first()
    AuthorEarning.objects.filter(pk=row.pk).update(share_nanousd=row.share_nanousd + 1)
    [wrong] = compare_earnings("2026-10")
    assert wrong.startswith(f"acme: share of charlies-prose's usage of style {STYLE}: events ")
    AuthorEarning.objects.all().delete()
    [wrong] = compare_earnings("2026-10")
    assert wrong.endswith("booked 0")
