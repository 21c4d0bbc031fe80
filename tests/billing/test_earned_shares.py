"""What authors earn: the paid part of each month, and nothing of workspaces that share a member."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import members
from accounts.workspaces import create_tenant
from billing import author_shares
from billing.invoices import invoices
from metering.earnings import decide_shares
from metering.models import AuthorEarning, Invoice, LedgerEntry
from tenants.access import Access
from tenants.models import Membership, Tenant, User
from tests.billing.builders import OCTOBER, PAYDAY, STYLE, grant, include, share, use
from tests.profiles import examples

pytestmark = pytest.mark.django_db


def cost_of(tenant, tokens, *, at=OCTOBER, style=STYLE):
    """Return what a request cost that a tenant made."""
    return use(tenant, tokens, at, style=style).cost_nanousd


def bill_october(tenant, state="paid"):
    """Draft October's invoice, and bring it so far."""
    Tenant.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))  # who is newer owes nothing
    invoices.draft_month("2026-10", [tenant.pk])
    invoice = Invoice.objects.get(tenant=tenant)
    if state != "draft":
        invoices.finalize_invoice(invoice, PAYDAY)
        invoice.refresh_from_db()
    if state == "paid":
        invoices.pay_invoice(invoice, actor="op", reason="Transfer")
    elif state == "void":
        invoices.void_invoice(invoice, actor="op", reason="A mistake")
    return invoice


def earned():
    return list(AuthorEarning.objects.order_by("day", "pk").values_list("earned_nanousd", flat=True))


@pytest.fixture
def author(acme):
    share(acme, 20, OCTOBER - timedelta(days=9))
    return acme


@pytest.fixture
def customer(charlies):
    include(charlies, 600)
    return charlies


def test_free_tokens_earn_nothing(author, charlies):
    cost_of(charlies, 500)
    assert decide_shares(PAYDAY) == 1
    assert earned() == [0]
    assert author_shares.pay_due(PAYDAY) == 0


def test_only_the_paid_part_of_a_month_earns(author, customer):
    cost = cost_of(customer, 1000)
    cost_of(customer, 1000, style=uuid4())  # of 2,000 tokens 600 are included: 70 % is paid
    decide_shares(PAYDAY)
    assert earned() == [cost * 20 // 100 * 7 // 10]
    assert decide_shares(PAYDAY) == 0, "it was decided so"


@pytest.mark.parametrize(("state", "part"), [("finalized", 0), ("void", 0), ("paid", 7), ("draft", 7)])
def test_an_invoice_that_is_not_paid_earns_nothing_until_it_is(author, customer, state, part):
    cost = cost_of(customer, 2000)
    assert bill_october(customer, state).state == state
    decide_shares(PAYDAY)
    assert earned() == [cost * 20 // 100 * part // 10]


def test_a_late_payment_counts_with_the_next_payout(author, customer):
    cost_of(customer, 2000)
    invoice = bill_october(customer, "finalized")
    assert author_shares.pay_due(PAYDAY) == 0
    invoices.pay_invoice(invoice, actor="op", reason="Transfer")
    assert author_shares.pay_due(datetime(2026, 12, 3, tzinfo=UTC)) == 1


def test_promotional_credits_pay_no_author(author, customer):
    cost = cost_of(customer, 2000)
    grant(customer, cost // 10, source="promotion", now=OCTOBER)
    bill_october(customer)
    decide_shares(PAYDAY)
    assert earned() == [cost * 20 // 100 * 6 // 10]


def test_promotional_credits_that_pay_for_trainings_too_take_their_part_of_the_usage(author, customer):
    cost = cost_of(customer, 2000)  # 70 % is paid
    charged = {"amount_nanousd": cost * 7 // 10, "tokens": 1}
    LedgerEntry.objects.create(tenant=customer, kind="training", period="2026-10", **charged)
    grant(customer, cost // 5, source="promotion", now=OCTOBER)
    bill_october(customer)
    decide_shares(PAYDAY)
    assert earned() == [cost * 20 // 100 * 6 // 10]


@pytest.mark.parametrize("ending", ["still there", "left", "another spelling", "left before the month"])
def test_workspaces_that_had_a_member_in_common_within_the_month_earn_nothing(
    author, customer, alice, ending, time_machine_of_leaving
):
    address = "alice+second@example.org" if ending == "another spelling" else None
    friend = User.objects.create_user(address) if address else alice
    membership = Membership.objects.create(tenant=customer, user=friend)
    Membership.objects.update(created_at=datetime(2026, 9, 1, tzinfo=UTC))  # all of them
    if ending.startswith("left"):
        at = OCTOBER if ending == "left" else datetime(2026, 9, 20, tzinfo=UTC)
        time_machine_of_leaving(membership, at)
    cost = cost_of(customer, 1200)
    decide_shares(PAYDAY)
    expected = cost * 20 // 100 // 2 if ending == "left before the month" else 0
    assert earned() == [expected]
    Membership.objects.filter(tenant=customer, user=friend).delete()
    decide_shares(datetime(2026, 12, 3, tzinfo=UTC))
    assert earned() == [expected], "it stays, whoever leaves later"


@pytest.fixture
def time_machine_of_leaving(customer, charlie):
    """Lets an owner take a member out at a moment of the past."""

    def leave(membership, at):
        owner = Access(tenant=customer, user=charlie, role=Membership.Role.OWNER)
        members.remove_member(membership, by=owner)
        customer.former_members.update(left_at=at)

    return leave


class EarnedPartsAreExact(TestCase):
    """Whatever is used, an author earns of each day's share the part that the month's invoice asks for."""

    @given(
        requests=st.lists(
            st.tuples(st.integers(0, 25), st.integers(1, 10**6), st.booleans()), min_size=1, max_size=12
        ),
        included=st.integers(0, 3 * 10**6),
        percent=st.integers(1, 50),
    )
    @settings(max_examples=examples(30))
    def test_in_any_month(self, requests, included, percent):
        acme = create_tenant(User.objects.create_user("acme@example.net"), name="acme")
        other = create_tenant(User.objects.create_user("other@example.net"), name="other")
        include(other, included)
        share(acme, percent, OCTOBER - timedelta(days=12))
        cost = tokens = 0
        shares: dict[object, int] = {}
        for days, count, is_shared in requests:
            at = datetime(2026, 10, 2, tzinfo=UTC) + timedelta(days=days)
            one = cost_of(other, count, at=at, style=STYLE if is_shared else uuid4())
            cost, tokens = cost + one, tokens + count
            if is_shared:
                shares[at.date()] = shares.get(at.date(), 0) + one * percent // 100
        decide_shares(PAYDAY)
        paid = cost - cost * min(included, tokens) // tokens
        rows = AuthorEarning.objects.filter(author=acme).order_by("day")
        expected = {day: amount * paid // cost for day, amount in shares.items()}
        assert dict(rows.values_list("day", "earned_nanousd")) == expected
        assert author_shares.unpaid_nanousd(acme.pk, until="2026-10") == sum(expected.values())
