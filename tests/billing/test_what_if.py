"""What if: a month under other prices, against the same sum made from the raw events."""

from dataclasses import replace

import pytest
from django.urls import reverse

from billing.invoices import invoices
from billing.what_if import compare_prices
from core.money import usd
from tenants.metering.ledger import record_events
from tenants.models import LedgerEntry, Price, PriceBook
from tests.billing.builders import OCTOBER, backdate

PERIOD = "2026-10"
NEW = (300, 30, 900)


@pytest.fixture
def october(acme, charlies, event):
    """Two workspaces' usage of October: a style, one with a price of its own, and the base model."""
    price = {"input_nanousd": 500, "cached_input_nanousd": 50, "output_nanousd": 5000}
    book = PriceBook.objects.get()
    for tenant in (acme, charlies):
        backdate(tenant)
    events = []
    for number in range(12):
        facts = {"admitted_at": OCTOBER, "prompt_tokens": 40_000 + number, "completion_tokens": 900 * number}
        one = event((acme, charlies)[number % 2], style_name=("poetry", "legal", "base")[number % 3], **facts)
        if one.style_name == "legal":
            fresh = one.prompt_tokens - one.cached_tokens
            cost = fresh * 500 + one.cached_tokens * 50 + one.completion_tokens * 5000
            one = replace(one, **price, cost_nanousd=cost)
        events.append(one)
    Price.objects.create(book=book, style=events[1].style, style_name="legal", **price)
    record_events(events)
    return events


def cost_of(events, prices, names):
    """What events cost if those of some names had other prices."""
    total = 0
    for one in events:
        fresh = one.prompt_tokens - one.cached_tokens
        if one.style_name in names:
            total += fresh * prices[0] + one.cached_tokens * prices[1] + one.completion_tokens * prices[2]
        else:
            total += one.cost_nanousd
    return total


def test_a_month_under_other_prices_is_the_sum_of_its_events_under_them(october, acme, charlies):
    before_drafts = compare_prices(PERIOD, NEW)
    assert before_drafts.before_nanousd == 0
    assert before_drafts.missing_tokens == sum(one.prompt_tokens + one.completion_tokens for one in october)
    assert invoices.draft_month(PERIOD) == 2
    ledger = LedgerEntry.objects.count()

    every = compare_prices(PERIOD, NEW)
    assert every.missing_tokens == 0
    assert every.before_nanousd == sum(one.cost_nanousd for one in october)
    assert every.after_nanousd == cost_of(october, NEW, {"poetry", "base"}), "legal has a price of its own"
    assert sum(row.after_nanousd for row in every.rows) == every.after_nanousd
    assert {row.meter for row in every.rows} == {"input", "cached input", "output"}
    legal = compare_prices(PERIOD, NEW, style_name="legal")
    assert legal.after_nanousd == cost_of(october, NEW, {"legal"})
    assert LedgerEntry.objects.count() == ledger

    after, before = 0, 0
    for tenant in (acme, charlies):
        own = [one for one in october if one.tenant_id == tenant.pk]
        tokens = sum(one.prompt_tokens + one.completion_tokens for one in own)
        included = 200_000
        assert tokens > included, "else nobody would pay anything"
        old, new = sum(one.cost_nanousd for one in own), cost_of(own, NEW, {"poetry", "base"})
        before += old - old * included // tokens
        after += new - new * included // tokens
    assert (every.payable_before_nanousd, every.payable_after_nanousd) == (before, after)


def test_operators_see_it_in_dollars_and_strangers_do_not(
    october, operator_client, alice_client, monkeypatch
):
    invoices.draft_month(PERIOD)
    monkeypatch.setattr("core.months.current", lambda: "2026-11")
    page = reverse("admin:tenants_pricebook_what_if")
    assert 'value="0.4' in operator_client.get(page).text
    asked = {"period": PERIOD, "model": "", "input": "0.3", "cached_input": "0.03", "output": "0.9"}
    answer = operator_client.get(page, asked)
    assert usd(compare_prices(PERIOD, NEW).after_nanousd) in answer.text
    assert "three decimal places" in operator_client.get(page, asked | {"input": "0.0001"}).text
    assert alice_client.get(page).status_code == 302
