"""Old usage events are deleted once their month is closed; what is shown stays and says the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.urls import reverse

from billing import public
from billing.invoices import invoices
from core import months
from metering import partitions
from metering.ledger import record_events, usage_of
from metering.models import AuthorEarning, Invoice, LedgerEntry, Subscription, UsageDaily, UsageEvent
from metering.reconciliation import compare_earnings, compare_invoices, compare_usage
from metering.usage_report import UsageDeleted, UsageFilter, sum_usage, usage_events
from operations.retention import delete_old
from tenants.models import Tenant
from tests.billing.builders import STYLE, bill, put_on, share
from tests.racing import race
from tests.tenants.builders import make_event

MONTH, NEXT = "2026-04", "2026-05"
APRIL, MAY = (datetime(2026, month, 12, 12, tzinfo=UTC) for month in (4, 5))
NOW = datetime(2026, 11, 26, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


class Crash(BaseException):
    """Like a SIGKILL: nothing of ours catches it."""


@pytest.fixture(autouse=True)
def spring(transactional_db, settings, monkeypatch):
    """The partitions of April and of two later months; it is November."""
    monkeypatch.setattr(months, "current", lambda: "2026-11")
    settings.USAGE_EVENTS_KEPT_MONTHS = 12
    for period in (MONTH, NEXT, "2026-06"):
        partitions.make_partition(period)
    yield
    with connection.cursor() as cursor:
        for period in (MONTH, NEXT, "2026-06"):
            cursor.execute(f"DROP TABLE IF EXISTS {partitions.partition_name(period)}")


@pytest.fixture
def used(acme):
    """Acme's usage of April, on no invoice yet; one request failed."""
    Tenant.objects.filter(pk=acme.pk).update(created_at=APRIL - timedelta(days=30))
    put_on(acme, included_tokens=500, overage_allowed=True)
    Subscription.objects.filter(tenant=acme).update(starts_at=APRIL - timedelta(days=30))
    events = [make_event(acme, admitted_at=APRIL, style_name=name) for name in ("poetry", "legal")]
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "cost_nanousd": 0}
    events.append(make_event(acme, admitted_at=APRIL, **nothing, outcome="upstream_error"))
    record_events(events)
    return events


@pytest.fixture
def old(acme, used, settings):
    """April is invoiced, and older than is kept: May is the first month of which events are."""
    bill(acme, MONTH, NOW)
    settings.USAGE_EVENTS_KEPT_MONTHS = 6
    return used


def kept_rows() -> list[list[dict]]:
    return [list(model.objects.order_by("pk").values()) for model in (LedgerEntry, UsageDaily, Invoice)]


def test_an_old_month_goes_and_everything_that_is_shown_stays(acme, old):
    before = (usage_of(acme.pk, MONTH), kept_rows())
    delete_old("UsageEvent", NOW)
    assert not UsageEvent.objects.exists()
    assert partitions.oldest_month() == NEXT
    assert (usage_of(acme.pk, MONTH), kept_rows()) == before
    assert compare_usage(MONTH) == []
    assert compare_invoices(MONTH) == []
    assert public.drop_old_months() == []


def test_the_days_of_a_deleted_month_are_still_compared_with_the_ledger(acme, old):
    public.drop_old_months()
    UsageDaily.objects.update(completion_tokens=1)
    [found] = compare_usage(MONTH)
    assert found.places == ("ledger", "days")


@pytest.mark.parametrize("kept", [0, 7, 12])
def test_what_is_kept_stays(acme, old, settings, kept):
    settings.USAGE_EVENTS_KEPT_MONTHS = kept
    assert public.drop_old_months() == []
    assert UsageEvent.objects.count() == len(old)


def test_the_months_whose_invoices_may_be_drafted_are_kept_whatever_is_set(settings):
    settings.USAGE_EVENTS_KEPT_MONTHS = 1
    assert partitions.first_kept_month() == "2026-08"


@pytest.mark.parametrize("is_drafted", [False, True])
def test_a_month_that_is_not_invoiced_stays_with_those_after_it(acme, used, settings, caplog, is_drafted):
    record_events([make_event(acme, admitted_at=MAY)])
    bill(acme, NEXT, NOW)
    if is_drafted:
        invoices.draft_invoice(acme, MONTH)
    settings.USAGE_EVENTS_KEPT_MONTHS = 3
    assert public.drop_old_months() == []
    assert "usage events of 2026-04 are kept: acme: " in caplog.text
    assert UsageEvent.objects.count() == len(used) + 1
    bill(acme, MONTH, NOW)
    assert public.drop_old_months() == [MONTH, NEXT, "2026-06"]


def test_a_month_whose_events_are_not_the_ledger_stays(acme, old, caplog):
    UsageEvent.objects.filter(request_id=old[0].request_id).update(completion_tokens=1)
    assert public.drop_old_months() == []
    assert "acme: ledger" in caplog.text
    assert UsageEvent.objects.count() == len(old)


def test_authors_shares_are_compared_before_their_events_go(acme, charlies, used, settings, caplog):
    share(charlies, 20, APRIL - timedelta(days=3))
    record_events([make_event(acme, style=STYLE, admitted_at=APRIL, completion_tokens=77)])
    bill(acme, MONTH, NOW)
    settings.USAGE_EVENTS_KEPT_MONTHS = 6
    booked = AuthorEarning.objects.get()
    AuthorEarning.objects.update(share_nanousd=booked.share_nanousd + 1)
    assert public.drop_old_months() == []
    assert "charlies-prose: share of acme's usage" in caplog.text
    AuthorEarning.objects.update(share_nanousd=booked.share_nanousd)
    assert public.drop_old_months() == [MONTH]
    assert compare_earnings(MONTH) == []
    assert AuthorEarning.objects.get() == booked


def test_a_crash_before_the_drop_changes_nothing(acme, old, monkeypatch):
    def crash(_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(public, "compare_earnings", crash)
        with pytest.raises(Crash):
            public.drop_old_months()
    assert UsageEvent.objects.count() == len(old)
    assert public.drop_old_months() == [MONTH]


def test_a_replay_of_a_deleted_request_is_not_recorded_and_late_usage_counts_now(acme, charlies, old):
    public.drop_old_months()
    before = usage_of(acme.pk, MONTH)
    late = make_event(charlies, admitted_at=APRIL, completion_tokens=9)  # charlie has no invoice of April
    failed = replace(old[-1], request_id="another")
    assert record_events([*old[:2], late, failed]) == 2
    assert record_events([late]) == 0
    assert usage_of(acme.pk, MONTH) == before
    assert usage_of(charlies.pk, MONTH).tokens == 0
    assert usage_of(charlies.pk, "2026-11").tokens == late.tokens
    assert set(UsageEvent.objects.values_list("period", flat=True)) == {"2026-11"}
    for period in (MONTH, "2026-11"):
        assert compare_usage(period) == []


def test_drains_write_while_a_month_goes(acme, old):
    events = [make_event(acme, admitted_at=APRIL) for _ in range(50)]
    waiting = iter(events)

    def drain() -> int:
        return sum(record_events([event]) for event in waiting)

    dropped, again, *recorded = race(*[public.drop_old_months] * 2, *[drain] * 3)
    assert sorted([*dropped, *again])[0] == MONTH
    assert sum(recorded) == len(events)
    assert usage_of(acme.pk, "2026-11").tokens == sum(event.tokens for event in events)
    for period in (MONTH, "2026-11"):
        assert compare_usage(period) == []


def test_pages_and_api_say_that_a_month_is_no_longer_there(acme, old, alice_client):
    def invoice_page() -> str:
        return alice_client.get(reverse("billing:invoice", args=[Invoice.objects.get().pk])).text

    assert reverse("api:usage.events") in invoice_page()
    public.drop_old_months()
    assert "request log. The totals here come from the ledger" in invoice_page()
    assert reverse("api:usage.events") not in invoice_page()
    with pytest.raises(UsageDeleted, match="up to 2026-04-30 were deleted"):
        usage_events(acme, start=APRIL, end=None)
    assert usage_events(acme, start=datetime(2026, 5, 1, tzinfo=UTC), end=None).count() == 0
    assert usage_events(acme, start=None, end=datetime(2026, 4, 1, tzinfo=UTC)).count() == 0
    with pytest.raises(UsageDeleted):
        usage_events(acme, start=None, end=None)
    chosen = UsageFilter(acme, start=APRIL.date(), end=APRIL.date() + timedelta(days=9))
    with pytest.raises(UsageDeleted):
        sum_usage(chosen, ["version"])
    log = alice_client.get(reverse("billing:requests"), {"month": MONTH}).text
    assert "We no longer keep the single requests of April 2026" in log
    assert "No requests this month" not in log
    by_version = {"month": MONTH, "by": "version", "style": "poetry"}
    assert (
        "Requests up to 2026-04-30 were deleted"
        in alice_client.get(reverse("billing:usage"), by_version).text
    )
    rows = sum_usage(chosen, ["style"])
    assert sum(row["cost_sum"] for row in rows) == sum(event.cost_nanousd for event in old)
