"""What a workspace wrote in one style this month."""

from datetime import UTC, date, datetime

import pytest

from accounts.workspaces import playground_key
from metering.models import UsageDaily
from metering.style_usage import style_usage

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_only_this_months_days_of_the_workspace_and_the_style_count(
    acme, charlies, django_assert_num_queries
):
    for tenant, style, day in (
        (acme, "poetry", date(2026, 11, 1)),
        (acme, "poetry", date(2026, 11, 26)),
        (acme, "poetry", date(2026, 10, 31)),
        (acme, "acme/poetry", date(2026, 11, 2)),
        (charlies, "poetry", date(2026, 11, 3)),
    ):
        UsageDaily.objects.create(
            tenant=tenant, key=playground_key(tenant), style_name=style, day=day,
            requests=2, prompt_tokens=3, completion_tokens=4, cost_nanousd=5_000_000_000,
        )  # fmt: skip
    with django_assert_num_queries(1):
        usage = style_usage(acme, "poetry", NOW)
    assert [row.day for row in usage.days] == [date(2026, 11, 26), date(2026, 11, 1)]
    assert (usage.month, usage.requests, usage.tokens, usage.cost) == ("November", 4, 14, "$10.00")
    assert style_usage(charlies, "acme/poetry", NOW).days == []
