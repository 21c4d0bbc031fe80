from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import month_report
from core import months
from core.money import NANO, usd
from metering.allowance import Allowance, allowance_of, describe_overage, month_limits, usage_sentence
from metering.credits import grant_credit
from metering.ledger import record_events, usage_of
from metering.models import Subscription, TokenPrices
from metering.plans import newest_plan_version
from tests.tenants.builders import issue_key

START, END = months.bounds("2026-11")


def test_the_usage_page_says_what_the_ledger_says(
    alice_client, acme, charlies, event, django_assert_max_num_queries
):
    now = timezone.now()
    laptop, _ = issue_key(acme, name="laptop", by=None)
    record_events(
        [event(acme, admitted_at=now, key=laptop, style_name="legal", completion_tokens=7) for _ in range(60)]
    )
    record_events([event(acme, admitted_at=now) for _ in range(3)])
    record_events(
        [event(charlies, admitted_at=now), event(acme, admitted_at=datetime(2026, 1, 1, tzinfo=UTC))]
    )
    ledger = usage_of(acme.pk, months.period_of(now))
    with django_assert_max_num_queries(14):
        page = alice_client.get(reverse("billing:usage"))
    shown = page.context
    assert shown["month"]["used_tokens"] == ledger.tokens
    assert shown["month"]["cost_nanousd"] == ledger.nanousd
    assert shown["most_used"] == ["legal", "poetry"]
    assert shown["today"] == {"requests": 63, "tokens": ledger.tokens, "cost_nanousd": ledger.nanousd}
    assert [row.name for row in shown["sums"].rows] == ["legal", "poetry"]
    assert len(month_report.latest_requests(acme, now, 50)) == 50
    assert shown["sums"].total.tokens == ledger.tokens
    assert usd(ledger.nanousd) in page.text


def test_an_empty_month_has_no_numbers(acme):
    shown = month_report.monthly_report(acme, datetime(2026, 2, 3, tzinfo=UTC))
    assert (shown["most_used"], shown["today"]["requests"]) == ([], 0)
    assert shown["month"]["sentence"] == "You haven't used any of your 200,000 tokens for February yet."
    assert shown["month"]["cost_nanousd"] == 0


@pytest.mark.parametrize(
    ("spent", "budget", "said"),
    [
        (0, None, "$0.00 spent in November (no budget set)"),
        (
            4_200,
            None,
            '<data value="0.0000042" title="$0.0000042">&lt; $0.01</data> spent in November (no budget set)',
        ),
        (
            670_075_999,
            2 * NANO,
            '<data value="0.670075999" title="$0.670075999">$0.67</data> of November\'s $2.00 budget spent',
        ),
        (NANO, 2 * NANO, "$1.00 of November's $2.00 budget spent"),
        (2 * NANO, 2 * NANO, "November's $2.00 budget is fully spent. It resets on 1 December."),
    ],
)
def test_the_budgets_sentence_is_in_cents_and_exact_on_hover(spent, budget, said):
    assert month_report.budget_sentence(spent=spent, budget=budget, start=START, end=END) == said


ALL_INCLUDED = Allowance(1000, 1000, is_overage_allowed=False)
PREPAID = Allowance(1000, 5000, is_overage_allowed=False)
WITH_OVERAGE = Allowance(1000, 5000, is_overage_allowed=True)
PRICES = TokenPrices(100, 25, 400)
COST = "$0.10 per million input tokens and $0.40 per million output tokens"


@pytest.mark.parametrize(
    ("used", "day", "said"),
    [
        (0, 12, "You haven't used any of your 1,000 tokens for November yet."),
        (5, 12, "You've used less than 1% of November's tokens. They should last the month."),
        (410, 11, "You've used 41% of November's tokens. At this rate you'll reach the cap on the 25th."),
        (410, 20, "You've used 41% of November's tokens. They should last the month."),
        (410, 1, "You've used 41% of November's tokens."),
        (1000, 30, "You've used all 1,000 tokens for November. Your tokens reset on 1 December."),
    ],
)
def test_the_sentence_tells_the_share_and_the_pace(used, day, said):
    now = datetime(2026, 11, day, tzinfo=UTC)
    assert usage_sentence(used=used, allowance=ALL_INCLUDED, now=now) == said


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (0, "You haven't used any of your 1,000 included tokens for November yet."),
        (410, "You've used 41% of November's included tokens. At this rate they'll run out on the 25th."),
        (1000, "You've used all 1,000 included tokens for November."),
        (1300, "You've used all 1,000 included tokens for November, and 300 more."),
        (5000, "You've used all 5,000 tokens for November. Your tokens reset on 1 December."),
    ],
)
def test_where_further_tokens_can_be_paid_the_sentence_counts_the_included_ones(used, said):
    assert usage_sentence(used=used, allowance=PREPAID, now=datetime(2026, 11, 11, tzinfo=UTC)) == said


@pytest.mark.parametrize(
    ("allowance", "used", "credits_nanousd", "said"),
    [
        (ALL_INCLUDED, 9, NANO, "When they run out, requests are refused until 1 December."),
        (
            PREPAID,
            5000,
            NANO,
            "Requests are refused until 1 December. A larger plan takes effect immediately.",
        ),
        (
            PREPAID,
            9,
            12 * NANO,
            (
                f"Additional tokens cost {COST}, paid from your $12.00 in credits, up to 5,000 tokens "
                "this month."
            ),
        ),
        (
            PREPAID,
            9,
            0,
            "When they run out, requests are refused unless you have credits. Additional tokens cost "
            f"{COST}, up to 5,000 tokens this month.",
        ),
        (
            PREPAID,
            1000,
            0,
            "You have no credits left, so requests are refused until 1 December. With credits, "
            f"additional tokens cost {COST}, up to 5,000 tokens this month.",
        ),
        (
            WITH_OVERAGE,
            9,
            0,
            f"Additional tokens cost {COST} and are added to your invoice, up to 5,000 tokens this month.",
        ),
        (
            WITH_OVERAGE,
            9,
            2 * NANO,
            f"Additional tokens cost {COST}. Your $2.00 in credits are used first; the rest is added to "
            "your invoice, up to 5,000 tokens this month.",
        ),
    ],
)
def test_what_comes_after_the_included_tokens_is_said(allowance, used, credits_nanousd, said):
    now = datetime(2026, 11, 11, tzinfo=UTC)
    sentence = describe_overage(
        used=used, allowance=allowance, prices=PRICES, credits_nanousd=credits_nanousd, now=now
    )
    assert sentence == said


def test_a_pace_that_would_last_for_ages_is_told_too():
    now = datetime(2026, 11, 29, tzinfo=UTC)
    said = usage_sentence(used=1, allowance=Allowance(0, 10**15, is_overage_allowed=False), now=now)
    assert said.endswith("They should last the month.")


def test_the_month_includes_what_its_dearest_plan_includes(acme):
    """As its invoice does, although the plan of now caps it."""
    now = timezone.now()
    start, _ = months.bounds(months.period_of(now))
    studio = newest_plan_version("studio")
    Subscription.objects.filter(tenant=acme).update(plan_version=studio, starts_at=start, ends_at=now)
    writer = newest_plan_version("writer")
    Subscription.objects.create(tenant=acme, plan_version=writer, starts_at=now)
    allowance = allowance_of(acme, timezone.now())
    assert (allowance.included_tokens, allowance.max_tokens) == (
        studio.included_tokens,
        writer.monthly_tokens,
    )
    assert month_limits([acme.pk], timezone.now())[acme.pk].allowance == allowance


@pytest.mark.parametrize("code", ["writer", "studio"])
def test_credits_count_on_the_plans_as_shipped(acme, code):
    shipped = newest_plan_version(code)
    allowance = Allowance(shipped.included_tokens, shipped.monthly_tokens, shipped.overage_allowed)
    assert allowance.counts_included


def test_pages_and_api_count_to_the_included_tokens(alice_client, acme, event):
    Subscription.objects.filter(tenant=acme).update(
        plan_version=newest_plan_version("writer"), starts_at=months.bounds(months.current())[0]
    )
    grant_credit(acme, 12 * NANO, source="promotion", source_id="1", reason="", actor="")
    record_events([event(acme, admitted_at=timezone.now(), prompt_tokens=0, completion_tokens=50_000)])
    for name in ("billing:usage", "billing:plan"):
        page = alice_client.get(reverse(name))
        assert page.context["month"]["percent"] == 1
        assert "50,000 of 5,000,000 included tokens" in page.text
        assert "paid from your $12.00 in credits, up to 20,000,000 tokens this month." in page.text
    month = alice_client.get("/api/v1/billing").json()["month"]
    facts = (month["included_tokens"], month["included_tokens_left"], month["max_tokens"], month["overage"])
    assert facts == (5_000_000, 4_950_000, 20_000_000, "credits")
