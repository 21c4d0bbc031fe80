"""A month's usage on its page: the sums are the ledger's, the pictures are to scale."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import usage_sums
from billing.usage_sums import HEIGHT, SEGMENTS, WIDTH, days_span, month_span, sum_usage
from core import months
from metering.ledger import record_events, usage_of
from tests.tenants.builders import issue_key

NOON = datetime(2026, 11, 11, 12, tzinfo=UTC)
NOVEMBER = month_span("2026-11", NOON)

pytestmark = pytest.mark.django_db


@pytest.fixture
def november(acme, event):
    """Eight styles on two days, two versions of the first, two keys."""
    laptop, _ = issue_key(acme, name="laptop", by=None)
    phone, _ = issue_key(acme, name="phone", by=None)
    events = []
    for number in range(8):
        facts = {"style_name": f"style-{number}", "prompt_tokens": 10, "cached_tokens": 0}
        facts |= {"completion_tokens": 100 - number, "version_number": 1 + number % 2}
        events.append(event(acme, admitted_at=NOON, key=laptop, **facts))
        events.append(event(acme, admitted_at=NOON - timedelta(days=2), key=phone, **facts))
    facts = {"style_name": "style-0", "version_number": 2, "prompt_tokens": 1, "cached_tokens": 0}
    events.append(event(acme, admitted_at=NOON, key=phone, completion_tokens=1, **facts))
    record_events(events)
    return acme


@pytest.mark.parametrize("by", ["style", "key"])
def test_the_sums_are_the_ledgers(november, by):
    ledger = usage_of(november.pk, "2026-11")
    sums = sum_usage(november, NOVEMBER, by, cap=None, now=NOON)
    assert (sums.total.tokens, sums.total.cost_nanousd) == (ledger.tokens, ledger.nanousd)
    assert sum(row.sums.tokens for row in sums.rows) == ledger.tokens
    assert sum(bar.sums.tokens for bar in sums.bars) == ledger.tokens
    assert len(sums.bars) == 30


def test_a_bar_is_to_scale_and_what_is_left_is_one_part(november):
    sums = sum_usage(november, NOVEMBER, "style", cap=None, now=NOON)
    bar = sums.bars[NOON.day - 1]
    assert [part.colour for part in bar.segments] == list(range(SEGMENTS + 1))
    assert bar.segments[-1].name == usage_sums.OTHER
    assert sum(part.tokens for part in bar.segments) == bar.sums.tokens
    assert sum(part.height for part in bar.segments) == pytest.approx(
        HEIGHT * bar.sums.tokens / sums.top, abs=0.01
    )
    assert 0 <= bar.segments[-1].y <= HEIGHT
    assert bar.x + bar.width <= WIDTH
    assert sums.rows[0].name == "style-0"


def test_keys_are_read_by_their_names(november):
    names = {row.name.split(" ")[0] for row in sum_usage(november, NOVEMBER, "key", cap=None, now=NOON).rows}
    assert names == {"laptop", "phone"}


def test_versions_of_one_style(november, monkeypatch):
    sums = sum_usage(november, NOVEMBER, "version", style="style-0", cap=None, now=NOON)
    assert [(row.name, row.sums.requests) for row in sums.rows] == [("version 1", 2), ("version 2", 1)]
    monkeypatch.setattr(usage_sums, "MAX_EVENTS", 2)
    with pytest.raises(usage_sums.TooManyToSum, match="3 requests"):
        sum_usage(november, NOVEMBER, "version", style="style-0", cap=None, now=NOON)


def test_the_forecast_goes_on_at_the_months_pace(november):
    running = sum_usage(november, NOVEMBER, "style", cap=10_000, now=NOON).running
    used = usage_of(november.pk, "2026-11").tokens
    assert running.expected_tokens == round(used * 30 / 10.5)
    assert running.cap_y is not None
    assert running.forecast.split(" ")[0] == running.line.split(" ")[-1]
    past = sum_usage(november, NOVEMBER, "style", cap=None, now=NOON + timedelta(days=60)).running
    assert (past.expected_tokens, past.forecast) == (None, "")
    assert past.line.split(" ")[-1].startswith(f"{WIDTH}.00,")


@pytest.mark.parametrize("count", [7, 30, 90])
def test_the_latest_days_are_compared_with_as_many_before(acme, event, count):
    first, now = NOON - timedelta(days=count - 1), NOON
    facts = {"prompt_tokens": 0, "cached_tokens": 0, "key": None}
    record_events(
        [
            event(acme, admitted_at=now, completion_tokens=1, **facts),
            event(acme, admitted_at=first, completion_tokens=150, **facts),
            event(acme, admitted_at=first - timedelta(days=1), completion_tokens=100, **facts),
            event(acme, admitted_at=first - timedelta(days=count - 1), completion_tokens=20, **facts),
            event(acme, admitted_at=first - timedelta(days=count), completion_tokens=7, **facts),
        ]
    )
    acme.created_at = first - timedelta(days=count)
    sums = sum_usage(acme, days_span(count, now), "style", cap=None, now=now)
    assert (sums.total.tokens, len(sums.bars)) == (151, count)
    assert sums.changes["completion_tokens"] == pytest.approx(25)
    assert "prompt_tokens" not in sums.changes
    acme.created_at = first
    assert sum_usage(acme, days_span(count, now), "style", cap=None, now=now).changes == {}


def test_a_month_that_runs_is_compared_with_as_many_whole_days():
    march = month_span("2026-03", datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert (march.before_end - march.before_start).days == 28
    assert NOVEMBER.last_day_before == date(2026, 10, 10)
    assert month_span("2026-09", NOON).last_day_before == date(2026, 8, 31)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (41, 100), (1_000_001, 2_000_000)]
)
def test_an_axis_ends_at_a_round_number(highest, top):
    assert usage_sums.nice_top(highest) == top


def test_the_page_of_an_earlier_month_shows_that_month(alice_client, acme, event):
    now = timezone.now()
    earlier = months.bounds(months.before(months.period_of(now)))[0] + timedelta(days=3)
    record_events([event(acme, admitted_at=earlier, style_name="legal"), event(acme, admitted_at=now)])
    page = alice_client.get(reverse("billing:usage"), {"month": f"{earlier:%Y-%m}"})
    assert [row.name for row in page.context["sums"].rows] == ["legal"]
    assert f"in {earlier:%B %Y}" in page.text
    assert f"{earlier:%Y-%m}" in dict(page.context["periods"])


def test_the_page_needs_few_queries(alice_client, november, django_assert_max_num_queries):
    with django_assert_max_num_queries(18):
        alice_client.get(reverse("billing:usage"), {"month": "2026-11", "by": "key"})


def test_too_many_requests_for_versions_are_said_on_the_page(alice_client, november, monkeypatch):
    monkeypatch.setattr(usage_sums, "MAX_EVENTS", 1)
    address = {"month": "2026-11", "by": "version", "style": "style-0"}
    page = alice_client.get(reverse("billing:usage"), address)
    assert "too many to sum by version" in page.text


def test_a_month_goes_before_the_latest_days(alice_client, november):
    page = alice_client.get(reverse("billing:usage"), {"days": "30", "month": ""})
    assert "Last 30 days" in page.text
    assert page.context["sums"].running is None
    page = alice_client.get(reverse("billing:usage"), {"days": "30", "month": "2026-11"})
    assert page.context["days"] is None
