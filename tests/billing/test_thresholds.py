"""A workspace hears once a month of each share of a limit that is used."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.workspaces import playground_key
from billing import thresholds
from events.models import OutboxEvent, ReachedThreshold
from metering.ledger import record_events
from metering.models import PlanVersion
from operations.retention import delete_old
from tenants.models import Tenant
from tests.billing.builders import grant, put_on
from tests.racing import race

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def presented(settings) -> None:
    settings.EVENT_PRESENTERS = {
        "tenants.tenant": lambda tenant: {"id": str(tenant.pk)},
        "metering.creditgrant": lambda grant: {"id": grant.pk},
    }


@pytest.fixture
def a_thousand_tokens(acme) -> None:
    """Acme may use a thousand tokens a month, of which none is included."""
    put_on(acme, monthly_tokens=1_000, included_tokens=0)


@pytest.fixture
def use(event, acme):
    """Records tokens that Acme used, and looks at the thresholds."""

    def record(tokens: int, at: datetime = NOW) -> list[int]:
        facts = {"prompt_tokens": tokens, "completion_tokens": 0, "admitted_at": at}
        record_events([event(acme, playground_key(acme), **facts)])
        thresholds.check_thresholds(at)
        return reached()

    return record


def reached(measure: str = "tokens") -> list[int]:
    events = OutboxEvent.objects.filter(facts__measure=measure).order_by("created_at")
    return [event.facts["percent"] for event in events]


def test_each_threshold_is_told_once_a_month(a_thousand_tokens, use, acme):
    assert use(499) == []
    assert use(1) == [50]
    assert use(10) == [50]
    assert use(300) == [50, 80]
    assert use(900) == [50, 80, 100]
    assert thresholds.check_thresholds(NOW) == 0
    told = OutboxEvent.objects.filter(facts__measure="tokens").earliest("created_at")
    assert (told.tenant, told.type) == (acme, "usage.threshold_reached")
    reached_half = {"measure": "tokens", "percent": 50, "used_tokens": 500, "limit_tokens": 1000}
    allowance = {"max_tokens": 1000, "overage": "credits"}
    assert told.facts == {"period": "2026-11", **reached_half, **allowance}


def test_tokens_are_the_included_ones_and_the_cap_is_told_too(a_thousand_tokens, use):
    PlanVersion.objects.filter(plan="trial").update(included_tokens=200)
    assert use(100) == [50]
    assert use(100) == [50, 80, 100]
    assert use(599) == [50, 80, 100]
    assert reached("cap") == []
    use(1)
    assert reached("cap") == [80]
    use(200)
    assert reached("cap") == [80, 100]
    told = OutboxEvent.objects.get(facts__measure="tokens", facts__percent=100)
    assert (told.facts["used_tokens"], told.facts["limit_tokens"]) == (200, 200)
    assert (told.facts["max_tokens"], told.facts["overage"]) == (1000, "credits")


def test_a_new_month_begins_anew_and_one_leap_passes_several(a_thousand_tokens, use):
    assert use(500) == [50]
    assert use(400, at=NOW + timedelta(days=30)) == [50]
    assert use(100, at=NOW + timedelta(days=30)) == [50, 50]
    assert use(850, at=NOW + timedelta(days=60)) == [50, 50, 50, 80]


def test_the_budget_counts_what_was_spent_and_none_is_no_limit(use, acme, charlies):
    use(1_000)
    assert reached("budget") == []
    spent = acme.usage_days.get().cost_nanousd
    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=spent * 2)
    assert thresholds.check_thresholds(NOW) == 1
    told = OutboxEvent.objects.get(facts__measure="budget")
    assert (told.facts["used_nanousd"], told.facts["limit_nanousd"]) == (spent, spent * 2)
    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=spent)
    assert thresholds.check_thresholds(NOW) == 2
    assert not OutboxEvent.objects.exclude(tenant=acme).exists()


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_tell_it_once(a_thousand_tokens, event, acme):
    facts = {"prompt_tokens": 1_000, "completion_tokens": 0, "admitted_at": NOW}
    record_events([event(acme, playground_key(acme), **facts)])
    race(*[lambda: thresholds.check_thresholds(NOW)] * 4)
    assert sorted(reached()) == [50, 80, 100]


def test_many_workspaces_take_a_few_queries(event, acme, charlies, django_assert_max_num_queries):
    for tenant in (acme, charlies):
        record_events([event(tenant, playground_key(tenant))])
    with django_assert_max_num_queries(7):
        thresholds.check_thresholds(NOW)


def test_what_is_known_of_months_long_over_is_deleted(a_thousand_tokens, use):
    use(500)
    ReachedThreshold.objects.update(created_at=NOW - timedelta(days=365))
    delete_old("ReachedThreshold", NOW)
    assert not ReachedThreshold.objects.exists()


def test_credits_have_thresholds_too(a_thousand_tokens, use, acme, monkeypatch):
    grant(acme, 100_000, now=NOW)
    use(490)  # at 100 nano-USD, 20 of them cached at 25; none is included
    assert reached("credits") == []
    use(10)
    use(400)
    assert reached("credits") == [50, 80]
    event = OutboxEvent.objects.get(facts__measure="credits", facts__percent=80)
    assert (event.facts["used_nanousd"], event.facts["limit_nanousd"]) == (86_250, 100_000)
    grant(acme, 100_000, now=NOW)
    use(100)  # half of what is there now: told before
    assert reached("credits") == [50, 80]
