"""A place between a floor and a ceiling: its interval holds it, repeats, and is narrower with more briefs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.verifier import CeilingTooLow, place_between

SCORES = st.floats(-2, 2, allow_nan=False)


def test_a_place_is_the_share_of_the_way():
    place = place_between([0.4, 0.6], [0.0, 0.2], [1.0, 1.2], seed=1)
    assert place.share == pytest.approx(0.4)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=30), st.integers(0, 9))
def test_an_interval_holds_its_point_and_repeats(pairs, seed):
    answers, floor = zip(*pairs, strict=True)
    ceiling = [3.0, 3.5, 4.0]
    place = place_between(answers, floor, ceiling, seed=seed)
    assert place.low <= place.share <= place.high
    assert place == place_between(answers, floor, ceiling, seed=seed)


def test_more_briefs_narrow_the_interval():
    few = place_between([0.2, 0.8] * 3, [0.0, 0.1] * 3, [1.0, 1.1], seed=3)
    many = place_between([0.2, 0.8] * 30, [0.0, 0.1] * 30, [1.0, 1.1], seed=3)
    assert many.high - many.low < (few.high - few.low) / 2


def test_pairs_are_drawn_together():
    """Briefs that raise answer and floor alike leave no doubt about the gain."""
    floor = [0.0, 1.0] * 10
    place = place_between([score + 0.5 for score in floor], floor, [2.5] * 5, seed=4)
    assert place.low > 0


def test_what_makes_no_pairs_is_refused():
    for answers, floor, ceiling in (([], [], [1.0]), ([1.0], [0.0, 0.0], [1.0]), ([1.0], [0.0], [])):
        with pytest.raises(ValueError, match="pairs"):
            place_between(answers, floor, ceiling, seed=1)


def test_without_a_way_from_floor_to_ceiling_there_is_no_place():
    with pytest.raises(CeilingTooLow):
        place_between([0.5, 0.6], [0.0, 1.0], [0.9, 0.2], seed=1)
