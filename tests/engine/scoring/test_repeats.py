"""Which runs of a text would be repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring.repeats import find_longest_run, is_extracted


@given(st.lists(st.booleans(), max_size=60))
def test_no_run_is_longer_than_the_longest(predictions):
    run = find_longest_run(predictions)
    assert all(predictions[run.first : run.end])
    shown = "".join("x" if is_correct else " " for is_correct in predictions)
    assert run.tokens == max(map(len, shown.split()), default=0)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([False] * 32 + [True] * 32, True),  # the beginning itself is given
        ([False] * 32 + [True] * 31 + [False], False),
        ([True] * 63, False),  # too short to have a beginning and what follows
    ],
)
def test_a_passage_is_extracted_if_its_beginning_is_continued_verbatim(predictions, expected):
    assert is_extracted(predictions) is expected
