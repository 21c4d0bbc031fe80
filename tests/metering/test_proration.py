"""Fees and included tokens by day: what a month of several plans comes to."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from core import months
from metering.models import Plan, PlanVersion
from metering.plans import CENT, Stay, month_terms

START, END = months.bounds("2026-11")
USD = 10**9


def make_version(number: int, fee: int, included: int) -> PlanVersion:
    plan = Plan(code=f"plan-{number}", name=f"Plan {number}")
    return PlanVersion(
        pk=number,
        plan=plan,
        number=1,
        monthly_fee_nanousd=fee,
        included_tokens=included,
        monthly_tokens=10**9,
    )


FREE = make_version(0, 0, 200_000)
WRITER = make_version(1, 12 * USD, 5_000_000)
STUDIO = make_version(2, 49 * USD, 20_000_000)


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def terms_of(*changes: tuple[datetime, PlanVersion]):
    """Return the terms of November for changes that follow each other, the last one open."""
    ends = [moment for moment, _ in changes[1:]]
    stays = [
        Stay(version, begins, until) for (begins, version), until in zip(changes, [*ends, None], strict=True)
    ]
    return month_terms(stays, lambda: FREE, START, END)


def test_a_whole_month_has_the_whole_fee_and_all_its_tokens():
    terms = terms_of((at(1, 0) - timedelta(days=40), WRITER))
    assert [(share.days, share.amount_nanousd) for share in terms.fees] == [(30, 12 * USD)]
    assert terms.included_tokens == 5_000_000


def test_the_29th_costs_two_days():
    """What $12 for all of November was before."""
    terms = terms_of((at(1, 0), FREE), (at(29), WRITER))
    assert [(share.version, share.days) for share in terms.fees] == [(FREE, 28), (WRITER, 2)]
    assert terms.fee_nanousd == 80 * CENT
    assert terms.included_tokens == (200_000 * 28 + 5_000_000 * 2) // 30


def test_a_day_is_the_dearest_plans_and_the_old_fee_ends_with_the_day_before():
    terms = terms_of((at(1, 0), WRITER), (at(21, 23), STUDIO))
    assert [(share.days, share.amount_nanousd) for share in terms.fees] == [(20, 8 * USD), (10, 1633 * CENT)]
    within_a_day = terms_of((at(1, 0), FREE), (at(29, 8), WRITER), (at(29, 9), STUDIO))
    assert [share.version for share in within_a_day.fees] == [FREE, STUDIO]


def test_a_lower_plan_takes_no_included_tokens_away():
    """Operators may move a workspace down within the month."""
    before = terms_of((at(1, 0), STUDIO))
    after = terms_of((at(1, 0), STUDIO), (at(11), FREE))
    assert after.included_tokens == before.included_tokens
    assert after.fee_nanousd == 49 * USD * 11 // 30 // CENT * CENT


def moments_of(drawn):
    """Return hours of November and versions, in order of time and each version another one."""
    moments = []
    for number, (hour, version) in enumerate(sorted(drawn, key=lambda change: change[0])):
        own = make_version(10 + number, version.monthly_fee_nanousd, version.included_tokens)
        moments.append((START + timedelta(hours=hour), own))
    return moments


versions = st.builds(make_version, st.just(99), st.integers(0, 60 * USD), st.integers(0, 30_000_000))
changes = st.lists(
    st.tuples(st.integers(-40 * 24, 30 * 24 - 1), versions), max_size=6, unique_by=lambda change: change[0]
)


@example(drawn=[(0, make_version(1, 1201 * CENT, 0)), (15 * 24, make_version(2, 1201 * CENT, 0))])
@given(drawn=changes)
def test_whatever_the_changes_a_month_costs_no_more_than_its_highest_fee(drawn):
    moments = moments_of(drawn)
    terms = terms_of(*moments) if moments else month_terms([], lambda: FREE, START, END)
    assert sum(share.days for share in terms.fees) == 30
    assert 0 <= terms.fee_nanousd <= terms.dearest.monthly_fee_nanousd
    exact = sum(version.monthly_fee_nanousd for version in terms.days) / 30
    assert exact - CENT * len(terms.fees) <= terms.fee_nanousd <= exact + 1
    most = max(FREE.included_tokens, *(version.included_tokens for _, version in moments), 0)
    assert 0 <= terms.included_tokens <= most


@given(drawn=changes, hour=st.integers(1, 30 * 24 - 1), later=versions)
def test_no_change_makes_usage_dearer_that_came_before(drawn, hour, later):
    moments = [(at(1, 0) - timedelta(days=50), FREE)]
    moments += moments_of([change for change in drawn if change[0] < hour])
    without = terms_of(*moments)
    with_change = terms_of(*moments, (START + timedelta(hours=hour), later))
    assert with_change.included_tokens >= without.included_tokens
