"""The console's series: differences of totals, kept by the minute for a day and by the hour for a month."""

from datetime import UTC, datetime, timedelta

import pytest

from core.charts import SPANS
from core.valkey import metrics_key
from inference.metrics import FIRST_BYTE, PREFIX, SUM, name_total
from operations.models import ServiceSample
from operations.monitoring import series
from operations.monitoring.series import Interval
from operations.retention import delete_old

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR, DAY, MONTH = SPANS
pytestmark = pytest.mark.django_db


def sample(at: datetime, **totals: int) -> None:
    ServiceSample.objects.create(at=at, totals=totals)


def test_a_sample_adds_up_what_all_gateways_counted(valkey):
    written = {
        name_total(f"{PREFIX}requests", "/v1/chat/completions", "200"): 7,
        name_total(f"{PREFIX}requests", "/v1/models", "200"): 3,
        name_total(f"{PREFIX}tokens", "prompt"): 100,
        name_total(f"{PREFIX}tokens", "completion"): 40,
        name_total(f"{PREFIX}refusals", "rate_limited"): 2,
        name_total(FIRST_BYTE.name, "warm", "3"): 5,
        name_total(FIRST_BYTE.name, "disk", "3"): 1,
        name_total(FIRST_BYTE.name, "warm", SUM): 123456,
        name_total(f"{PREFIX}circuits_opened", "cpu"): 9,
    }
    valkey.hset(metrics_key(), mapping=written)
    for _ in range(2):  # a minute has one sample
        series.take_sample(valkey, NOON + timedelta(seconds=20))
    one = ServiceSample.objects.get()
    assert one.at == NOON
    assert one.totals == {
        "requests": 10,
        "prompt": 100,
        "completion": 40,
        "r:rate_limited": 2,
        "b:3": 6,
    }


def test_an_interval_is_the_difference_of_two_samples_and_begins_anew_after_a_flush():
    totals = [100, 160, 30, 90]  # Valkey was emptied between the second and the third
    for minute, requests in enumerate(totals):
        sample(NOON + timedelta(minutes=minute), requests=requests, prompt=requests)
    intervals = series.read_series(HOUR, NOON + timedelta(minutes=4))
    assert [one.counts["requests"] for one in intervals] == [60, 30, 60]
    assert [one.requests_per_s for one in intervals] == [1.0, 0.5, 1.0]
    latest = series.read_latest(NOON + timedelta(minutes=4))
    assert (latest.seconds, latest.ends_at) == (180, NOON + timedelta(minutes=3))


def test_a_missing_sample_makes_a_longer_interval_and_no_wrong_rate():
    sample(NOON, requests=0)
    sample(NOON + timedelta(minutes=5), requests=300)
    [interval] = series.read_series(HOUR, NOON + timedelta(minutes=6))
    assert interval.requests_per_s == 1.0


def test_old_samples_are_thinned_out_to_one_an_hour_and_end_after_a_month(valkey):
    for minutes in range(0, 180, 20):
        sample(NOON - timedelta(days=2) + timedelta(minutes=minutes), requests=minutes)
    sample(NOON - timedelta(days=40), requests=1)
    sample(NOON - timedelta(hours=1), requests=2)
    sample(NOON - timedelta(minutes=59), requests=3)
    series.take_sample(valkey, NOON)
    delete_old("ServiceSample", NOON)
    kept = list(ServiceSample.objects.order_by("at").values_list("at", flat=True))
    hours = [NOON - timedelta(days=2) + timedelta(hours=hour) for hour in range(3)]
    assert kept == [*hours, NOON - timedelta(hours=1), NOON - timedelta(minutes=59), NOON]


def test_a_span_has_as_many_points_as_its_steps():
    for hour in range(24 * 31):
        sample(NOON - timedelta(hours=hour), requests=10_000 - hour)
    for minute in range(1, 60):
        sample(NOON - timedelta(minutes=minute), requests=10_000)
    assert len(series.read_series(HOUR, NOON)) in (59, 60)
    assert len(series.read_series(DAY, NOON)) < 40  # of hours, and of quarters of the last one
    assert len(series.read_series(MONTH, NOON)) in (120, 121)


def test_times_to_the_first_token_are_read_off_the_buckets():
    bounds = FIRST_BYTE.bounds_s
    interval = Interval(NOON, 60, {"b:1": 50, "b:4": 45, f"b:{len(bounds)}": 5})
    assert interval.first_byte_s(0.5) == bounds[1]
    assert bounds[3] < interval.first_byte_s(0.7) < bounds[4]
    assert interval.first_byte_s(0.99) == bounds[-1]
    assert Interval(NOON, 60, {}).first_byte_s(0.5) is None


def test_refusals_are_told_by_their_code():
    interval = Interval(NOON, 60, {"r:a": 1, "r:b": 3, "r:c": 0, "requests": 9})
    assert list(interval.refusals.items()) == [("b", 3), ("a", 1)]
