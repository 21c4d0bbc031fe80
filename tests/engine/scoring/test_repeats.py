"""Which runs of a text would be repeated, and which of them only the text can have taught."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring.repeats import (
    COPIED,
    NO_RUN,
    REPEATED,
    Run,
    find_longest_run,
    find_repeated_run,
    find_starts,
    mark_copied,
)

NOTHING = [False] * 600
LIST = [4, 8, 15, 16, 23, 42, 99, 100, 101, 102]


def predict(*runs: tuple[int, int]) -> list[bool]:
    """Return the predictions of 600 tokens, right from the first of each run to before its end."""
    predictions = list(NOTHING)
    for first, end in runs:
        predictions[first:end] = [True] * (end - first)
    return predictions


def repeated(style: list[bool], base: list[bool] = NOTHING, **known: object) -> Run:
    return find_repeated_run(style, base, **{"copied": NOTHING, **known})


@given(st.lists(st.booleans(), max_size=60))
def test_no_run_is_longer_than_the_longest(predictions):
    run = find_longest_run(predictions)
    assert all(predictions[run.first : run.end])
    shown = "".join("x" if is_correct else " " for is_correct in predictions)
    assert run.tokens == max(map(len, shown.split()), default=0)


@pytest.mark.parametrize("first", [0, 1, 200, 400])
def test_two_hundred_verbatim_tokens_are_found_wherever_they_are(first):
    assert repeated(predict((first, first + 200))) == Run(first, first + 200)


def test_a_run_of_fifty_is_enough_and_of_forty_nine_is_not():
    assert repeated(predict((300, 300 + REPEATED))) == Run(300, 300 + REPEATED)
    assert repeated(predict((300, 299 + REPEATED), (400, 399 + REPEATED))) == NO_RUN


def test_tokens_found_by_chance_here_and_there_are_no_run():
    dice = random.Random(1)
    assert repeated([dice.random() < 0.6 for _ in NOTHING]) == NO_RUN


def test_what_the_base_repeats_alike_was_known_before():
    verse = predict((100, 300))
    assert repeated(verse, verse) == NO_RUN
    assert repeated(verse, predict((100, 180), (182, 300))) == NO_RUN, "it errs once, as no style would"
    assert repeated(verse, predict((100, 160))) == Run(100, 300), "the other 140 tokens are learned"
    assert repeated(verse, predict((120, 165), (170, 215), (220, 265))) == Run(100, 300), "bits and pieces"


def test_what_a_prompt_has_is_no_memory():
    answer = predict((10, 110))
    assert repeated(answer, copied=predict((10, 80))) == NO_RUN
    assert repeated(answer, copied=predict((10, 30))) == Run(10, 110)


def test_an_answer_starts_after_each_stretch_that_is_not_learned():
    question, answer = [False] * 3, [True] * 40
    assert find_starts([*question, *answer, *question, *answer, *question, *answer]) == {0, 40, 80}
    assert find_starts(question) == set()


def test_short_answers_of_one_conversation_make_no_long_run():
    assert repeated(predict((0, 120)), starts={0, 40, 80}) == NO_RUN
    assert repeated(predict((0, 120)), starts={0, 40}) == Run(40, 120)
    assert find_longest_run(predict((0, 120)), {0, 40}) == Run(40, 120)


def test_only_as_many_tokens_in_a_row_as_nobody_repeats_by_chance_are_copied():
    tokens = [*LIST, 1, 2, 3, *LIST, 5, *LIST[: COPIED - 1], 6]
    copied = mark_copied(tokens)
    assert [token for token, is_copied in zip(tokens, copied, strict=True) if is_copied] == LIST
    assert not any(copied[: len(LIST)])
    assert mark_copied([7] * (COPIED + 1)) == [False] * (COPIED + 1), "no token is copied from itself"
