"""Pairs of a draft and a passage: what they share, and which of them a style learns."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.examples import usable_draft
from training.corpus.pairs import cut_parts, join_parts, kept_share

PASSAGE = (
    "Marian rowed across the river before the lanterns of Hollow Ferry were lit, and nobody in the tavern "
    "had expected her until morning."
)
DRAFT = (
    "Before Hollow Ferry lit its lanterns, Marian crossed the river by boat; the tavern expected her next "
    "morning."
)


def test_content_is_words_and_names_and_not_how_they_are_joined():
    assert kept_share(PASSAGE, DRAFT, "en") == 9 / 10  # not "rowed"
    assert kept_share(PASSAGE, "It was the one that they had before her.", "en") == 0
    assert kept_share("It was so.", "Nothing else.", "en") == 1
    assert kept_share("gardens", "gardening", "en") == 1


@pytest.mark.parametrize(
    ("draft", "is_usable"),
    [
        (DRAFT, True),
        (f"Here it is in other words:\n\n{DRAFT}", True),
        (PASSAGE, False),
        (DRAFT.replace("Marian", "Susan").replace("river", "desert").replace("Hollow Ferry", "Paris"), False),
        (
            f"{DRAFT} Later the mayor bought seven horses, a carriage and new uniforms for his musicians.",
            False,
        ),
        ("Marian rowed.", False),
        (None, False),
    ],
    ids=["usable", "preamble", "copy", "other names", "invented", "short", "none"],
)
def test_a_draft_says_the_same_in_other_words(draft, is_usable):
    assert usable_draft(draft, PASSAGE, "en") == (DRAFT if is_usable else None)


def test_the_longest_run_of_usable_parts_is_a_pair():
    sentence = "Long " + " ".join(["word"] * 49) + "."
    passage = f"{sentence} {sentence}\n\n{sentence} {sentence} The end."
    parts = cut_parts(passage)
    assert [passage[start:end] for start, end in parts] == [sentence] * 3 + [f"{sentence} The end."]
    assert join_parts(passage, [None] * 4) is None
    assert join_parts(passage, ["a", None, "c", "d"]) == ("c d", f"{sentence} {sentence} The end.")
    assert join_parts(passage, ["a", "b", "c", None]) == ("a b\n\nc", f"{sentence} {sentence}\n\n{sentence}")


@given(st.text(alphabet="ab .!?\n", min_size=1))
def test_parts_are_all_of_a_passage(text):
    parts = cut_parts(text)
    assert "".join(text[start:end] for start, end in parts).split() == text.split()
    assert all(first[1] <= second[0] for first, second in pairwise(parts))
