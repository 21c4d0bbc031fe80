from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from foundation import months
from foundation.money import NANO, usd
from tenants.api_keys import lifecycle
from tenants.billing import report
from tenants.billing.ledger import record_events, usage_of

START, END = months.bounds("2026-11")


def test_the_usage_page_says_what_the_ledger_says(
    alice_client, acme, charlies, event, django_assert_max_num_queries
):
    now = timezone.now()
    laptop, _ = lifecycle.issue_key(acme, name="laptop", by=None)
    record_events(
        [event(acme, admitted_at=now, key=laptop, style_name="legal", completion_tokens=7) for _ in range(60)]
    )
    record_events([event(acme, admitted_at=now) for _ in range(3)])
    record_events(
        [event(charlies, admitted_at=now), event(acme, admitted_at=datetime(2026, 1, 1, tzinfo=UTC))]
    )
    ledger = usage_of(acme.pk, months.period_of(now))
    with django_assert_max_num_queries(12):
        page = alice_client.get(reverse("tenants:usage"))
    shown = page.context
    assert shown["month"]["used_tokens"] == ledger.tokens == sum(row["tokens"] for row in shown["days"])
    assert shown["month"]["cost"] == usd(ledger.nanousd)
    assert [row["name"] for row in shown["by_style"]] == ["legal", "poetry"]
    assert sum(row["prompt_tokens"] + row["completion_tokens"] for row in shown["by_style"]) == ledger.tokens
    assert sum(row["requests"] for row in shown["by_style"]) == 63
    assert len(shown["latest"]) == 50
    assert max(row["height_percent"] for row in shown["days"]) == 100
    assert usd(ledger.nanousd) in page.text


def test_an_empty_month_has_days_and_no_numbers(acme):
    shown = report.monthly_report(acme, datetime(2026, 2, 3, tzinfo=UTC))
    assert len(shown["days"]) == 28
    assert shown["month"]["sentence"] == "None of February's 200,000 tokens are used yet."
    assert shown["month"]["cost"] == "$0.00"


@pytest.mark.parametrize(
    ("spent", "budget", "said"),
    [
        (0, None, "$0.00 is spent in November; no budget bounds it."),
        (4_200, None, "$0.0000042 is spent in November; no budget bounds it."),
        (NANO, 2 * NANO, "$1.00 of November's budget of $2.00 is spent."),
        (2 * NANO, 2 * NANO, "All of November's budget of $2.00 is spent; a new one begins on 1 December."),
    ],
)
def test_the_budgets_sentence_is_exact(spent, budget, said):
    assert report.budget_sentence(spent=spent, budget=budget, start=START, end=END) == said


@pytest.mark.parametrize(
    ("used", "day", "said"),
    [
        (0, 12, "None of November's 1,000 tokens are used yet."),
        (5, 12, "You have used less than 1 % of November's tokens; at this pace they last the month."),
        (410, 11, "You have used 41 % of November's tokens; at this pace the cap comes on the 25th."),
        (410, 20, "You have used 41 % of November's tokens; at this pace they last the month."),
        (410, 1, "You have used 41 % of November's tokens."),
        (1000, 30, "All of November's 1,000 tokens are used; new ones come on 1 December."),
    ],
)
def test_the_sentence_tells_the_share_and_the_pace(used, day, said):
    now = datetime(2026, 11, day, tzinfo=UTC)
    assert report.usage_sentence(used=used, cap=1000, start=START, end=END, now=now) == said


def test_a_pace_that_would_last_for_ages_is_told_too():
    now = datetime(2026, 11, 29, tzinfo=UTC)
    said = report.usage_sentence(used=1, cap=10**15, start=START, end=END, now=now)
    assert said.endswith("at this pace they last the month.")
