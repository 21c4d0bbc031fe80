"""What goes out is leased by one worker, tried again later and later, and given up at last."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payments import providers
from core.outgoing import RetrySchedule, work_off
from events.models import WebhookEndpoint
from events.notices import sending
from events.webhooks import delivery
from tests.racing import race

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LASTS = timedelta(seconds=60)


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=5), st.integers(1, 20))
def test_waits_follow_the_schedule_and_the_last_one_is_repeated(after_s, failures):
    wait = RetrySchedule(tuple(after_s)).next_attempt_at(NOW, failures) - NOW
    assert wait.total_seconds() == (after_s + [after_s[-1]] * 20)[failures - 1]


def test_it_is_given_up_after_its_time_and_without_one_never():
    bounded = RetrySchedule((5,), give_up_after=timedelta(days=1))
    assert not bounded.is_over(NOW, NOW - timedelta(hours=23))
    assert bounded.is_over(NOW, NOW - timedelta(days=1))
    assert not RetrySchedule((5,)).is_over(NOW, NOW - timedelta(days=1_000))


def test_the_schedules_are_those_that_the_documents_promise():
    assert delivery.RETRIES.after_s == (5, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200)
    assert delivery.RETRIES.give_up_after == timedelta(days=3)
    assert sending.RETRIES.after_s == (60, 300, 900, 1_800, 3_600)
    assert sending.RETRIES.give_up_after == timedelta(days=1)
    assert providers.RETRIES.after_s == (3_600, 21_600, 86_400, 259_200)


@pytest.fixture
def endpoints(acme) -> None:
    for number in range(6):
        WebhookEndpoint.objects.create(tenant=acme, url=f"https://{number}.example.org")


@pytest.mark.django_db
def test_a_lease_ends_by_itself_and_a_late_worker_has_none(endpoints):
    rows = WebhookEndpoint.objects.order_by("pk")
    leased = [rows.lease_first(NOW, LASTS) for _ in range(6)]
    assert len({endpoint.pk for endpoint in leased}) == 6
    assert rows.lease_first(NOW, LASTS) is None
    assert rows.leased(NOW).count() == 6
    late = leased[0]
    later = NOW + LASTS + timedelta(seconds=1)
    again = rows.filter(pk=late.pk).lease_first(later, LASTS)
    assert again == late
    assert not rows.held(late).exists()
    assert rows.held(again).exists()


@pytest.mark.django_db
def test_what_came_of_a_row_is_noted_by_the_worker_that_has_it_and_by_no_late_one(endpoints):
    rows = WebhookEndpoint.objects.order_by("pk")
    late = rows.lease_first(NOW, LASTS)
    again = rows.filter(pk=late.pk).lease_first(NOW + LASTS + timedelta(seconds=1), LASTS)
    assert not rows.release(late, description="late")
    assert rows.release(again, description="in time")
    row = rows.get(pk=late.pk)
    assert (row.description, row.leased_until) == ("in time", None)
    assert not rows.release(again, description="twice")


@given(st.lists(st.integers(1, 9)), st.booleans())
def test_a_run_handles_what_is_free_until_its_time_is_over(counts, has_time):
    free = list(counts)
    lasts = timedelta(hours=1) if has_time else timedelta()
    done = work_off(lambda: free.pop(0) if free else None, lambda count: count, lasts)
    assert (done, free) == ((sum(counts), []) if has_time else (0, counts))


@pytest.mark.django_db(transaction=True)
def test_workers_that_lease_at_one_moment_never_get_the_same_row(endpoints):
    def work() -> list[object]:
        taken = []
        while row := WebhookEndpoint.objects.order_by("pk").lease_first(NOW, LASTS):
            taken.append(row.pk)
        return taken

    taken = [row for of_one in race(*[work] * 4) for row in of_one]
    # A worker that finds only locked rows stops early: the others have them.
    assert len(taken) == len(set(taken)) == 6
