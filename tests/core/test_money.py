from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from core.money import CENT, NANO, usd, usd_about, usd_at_least, usd_at_most


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_amount_is_shown_exactly(nanousd):
    shown = usd(nanousd)
    assert Fraction(shown.replace("$", "").replace(",", "")) * NANO == nanousd
    assert len(shown.split(".")[1]) >= 2


def test_less_than_a_cent_is_said_at_a_glance_and_never_minus_nothing():
    assert [usd_about(nanousd) for nanousd in (1, NANO // 100, -533_000, -NANO)] == [
        "< $0.01",
        "$0.01",
        "$0.00",
        "-$1.00",
    ]


@given(st.integers(0, 10**13), st.integers(1, 10**13))
def test_what_is_needed_and_what_is_left_are_whole_cents_that_still_say_that_it_lacks(left, lacking):
    needed = left + lacking
    most, least = (
        Fraction(one(amount).replace("$", "").replace(",", "")) * NANO
        for one, amount in ((usd_at_most, needed), (usd_at_least, left))
    )
    assert least <= left < needed <= most
    assert most % CENT == least % CENT == 0


def test_amounts_read_like_money():
    assert [usd(0), usd(12 * NANO), usd(4_200), usd(-1_234_500_000_000)] == [
        "$0.00",
        "$12.00",
        "$0.0000042",
        "-$1,234.50",
    ]
