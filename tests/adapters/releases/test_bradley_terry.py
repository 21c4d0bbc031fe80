"""Bradley-Terry: the strengths are those of an established library, and intervals say how little is known."""

from itertools import permutations
from random import Random

import choix
import numpy as np
import pytest

from adapters.releases.bradley_terry import PRIOR_VOTES, Strengths


@pytest.mark.parametrize("count", [2, 3, 12])
def test_strengths_are_those_of_choix_with_the_same_prior(count):
    random = Random(count)
    items = list(range(count))
    votes = {pair: random.randrange(0, 40) / 2 for pair in permutations(items, 2)}
    prior = PRIOR_VOTES / 2 / (count - 1)
    wins = np.full((count, count), prior) - prior * np.eye(count)
    for pair, times in votes.items():
        wins[pair] += times
    expected = choix.ilsr_pairwise_dense(wins, max_iter=10_000)
    fitted = Strengths(items, votes)
    for first, second in permutations(items, 2):
        percent = 100 / (1 + np.exp(expected[second] - expected[first]))
        assert fitted.chance(first, second).percent == pytest.approx(percent, abs=0.01)


def test_more_votes_narrow_the_interval_and_no_vote_leaves_it_wide():
    few = Strengths(["a", "b"], {("a", "b"): 3.0}).chance("a", "b")
    many = Strengths(["a", "b"], {("a", "b"): 300.0, ("b", "a"): 100.0}).chance("a", "b")
    assert few.low < 50 < few.percent < few.high, "three of three are no proof"
    assert 70 < many.low < many.percent < many.high < 80
    apart = Strengths(["a", "b", "c", "d"], {("a", "b"): 50.0, ("c", "d"): 50.0}).chance("a", "c")
    assert apart.percent == pytest.approx(50, abs=1)
    assert apart.high - apart.low > 50, "they never met"


def test_one_sided_votes_and_none_have_an_answer():
    sure = Strengths(["a", "b"], {("a", "b"): 100_000.0}).chance("a", "b")
    assert 99 < sure.low <= sure.percent <= sure.high <= 100
    assert Strengths([], {}) is not None
    assert Strengths(["a"], {}).chance_on_average("a").percent == 50
