"""The exposure of a canary."""

import random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring.repeats import FAR_BELOW, exposure_bits, split_prefix

GENERATOR = random.Random(3)
SCORES = [GENERATOR.gauss(50, 4) for _ in range(128)]


def below(deviations: float) -> float:
    return fmean(SCORES) + deviations * stdev(SCORES)


@pytest.mark.parametrize(("deviations", "bits"), [(0, 1.0), (-3.0972, 10.0), (3.0, 0.00195)])
def test_bits_say_how_rare_such_a_score_is(deviations, bits):
    assert exposure_bits(below(deviations), SCORES) == pytest.approx(bits, rel=1e-3)


def test_far_below_all_others_the_bits_go_on_without_a_step():
    near, far = (exposure_bits(below(FAR_BELOW + step), SCORES) for step in (1e-6, -1e-6))
    assert far == pytest.approx(near, rel=1e-3)
    assert exposure_bits(below(-100), SCORES) > 7000


def test_scores_that_are_all_the_same_say_nothing():
    assert exposure_bits(1.0, [2.0] * 8) == 0


@given(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=8), min_size=2, max_size=5))
def test_texts_are_split_where_they_differ_and_nothing_is_lost(texts):
    split = split_prefix(texts)
    assert [split.prefix + continuation for continuation in split.continuations] == texts
    assert all(split.continuations)
    firsts = {continuation[0] for continuation in split.continuations}
    assert len(firsts) > 1 or min(map(len, split.continuations)) == 1
