"""Which share of a text would be repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer.repeats import repeat_score

texts = st.lists(st.lists(st.booleans(), max_size=40), max_size=5)


def score_by_slices(predictions: list[list[bool]]) -> float:
    """Return the score as its definition says it, run by run."""
    shares = []
    for order in (4, 5, 6):
        runs = [all(text[at : at + order]) for text in predictions for at in range(len(text) - order + 1)]
        shares.append(sum(runs) / len(runs) if runs else 0.0)
    return sum(shares) / 3


@given(texts)
def test_it_is_the_share_of_runs_that_are_right_as_a_whole(predictions):
    assert repeat_score(predictions) == pytest.approx(score_by_slices(predictions))


@pytest.mark.parametrize(
    ("predictions", "score"),
    [
        ([[True] * 20], 1.0),
        ([[True, True, True, False] * 10], 0.0),
        ([[True] * 3, [True] * 3], 0.0),  # no run goes from one text into the next
    ],
)
def test_right_tokens_count_only_in_runs(predictions, score):
    assert repeat_score(predictions) == score
