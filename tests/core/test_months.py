from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from core import months

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(1970, 1, 2), datetime(2999, 12, 30)  # noqa: DTZ001 (Hypothesis adds the zone)
MOMENTS = st.datetimes(FIRST, LAST, timezones=ZONES)


@given(MOMENTS)
def test_every_moment_lies_in_exactly_its_own_month(moment):
    period = months.period_of(moment)
    start, end = months.bounds(period)
    assert start <= moment < end
    assert months.period_of(end) != period == months.period_of(end - timedelta(microseconds=1))


@given(MOMENTS)
def test_months_follow_each_other_without_gap_or_overlap(moment):
    _, end = months.bounds(months.period_of(moment))
    assert months.bounds(months.period_of(end))[0] == end


def test_the_month_is_that_of_utc_not_of_the_place():
    new_year_in_tokyo = datetime(2027, 1, 1, 8, 59, tzinfo=timezone(timedelta(hours=9)))
    assert months.period_of(new_year_in_tokyo) == "2026-12"
    assert months.bounds("2026-12")[1] == datetime(2027, 1, 1, tzinfo=UTC)
