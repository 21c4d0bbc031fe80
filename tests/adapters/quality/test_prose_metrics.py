"""What is counted in prose, and what is told of two versions' answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.errors import TooManyPrompts
from adapters.quality.prose_metrics import (
    count_syllables,
    measure_prose,
    sentences,
    telling_phrases,
    words_a_sentence,
)
from adapters.releases import diff

TEXTS = some.text(some.sampled_from("ab e.!?'\n\u2019”é1 "), max_size=80)


def test_a_sentence_ends_at_its_mark_or_with_its_paragraph_but_not_in_a_number_or_a_verse():
    assert sentences("It cost 3.50, he said. “Why?” she asked!") == [
        "It cost 3.50, he said.",
        "“Why?",
        "she asked!",
    ]
    assert sentences("The sun\nis low.\n\nA heading\n\nThen night.") == [
        "The sun\nis low.",
        "A heading",
        "Then night.",
    ]


def test_an_unfinished_last_sentence_does_not_count_unless_it_is_the_only_one():
    assert words_a_sentence(["One two three. Four five six. And then"]) == 3
    assert words_a_sentence(["And then there was"]) == 4


def test_reading_ease_is_flesch_s():
    # 1 sentence, 6 words, 6 syllables: 206.835 - 1.015 · 6 - 84.6
    assert measure_prose(["The cat sat on the mat."]).reading_ease == pytest.approx(116.145)
    hard = measure_prose(["Notwithstanding aforementioned considerations, obligations are irrevocable."])
    assert hard.reading_ease < 0


def test_syllables_are_groups_of_vowels():
    counts = {"rain": 1, "table": 2, "make": 1, "morning": 2, "b": 1}
    assert {word: count_syllables(word) for word in counts} == counts


def test_a_telling_phrase_comes_back_in_several_answers_and_not_in_the_base_s():
    style = ["The sky is blue, no cap.", "Rain falls, no cap. It is in the sky.", "The sky, lowkey, is it."]
    base = ["The sky is blue.", "The sky falls.", "A sky."]
    assert telling_phrases(style, against=base) == ["no cap"]


@given(some.lists(TEXTS, max_size=4), some.lists(TEXTS, max_size=4))
def test_any_text_can_be_measured_and_nothing_written_measures_nothing(answers, others):
    found = measure_prose(answers, against=others)
    has_words = any(sentences(answer) for answer in answers)
    assert (found.words_a_sentence is not None) == (found.reading_ease is not None) == has_words
    assert not telling_phrases(answers, against=answers)


@given(TEXTS, TEXTS)
def test_the_pieces_of_a_difference_are_the_text_and_equal_texts_have_none(one, other):
    for pieces, text in zip(diff.differences(one, other), (one, other), strict=True):
        assert "".join(piece.text for piece in pieces) == text.lstrip()
    for pieces in diff.differences(one, one):
        assert not any(piece.is_own for piece in pieces)


def test_two_versions_are_told_apart_in_words():
    before = [
        "The morning is grey and it rains on the old town.",
        "Nobody is there to see what it brings us now.",
    ]
    after = ["Rain. It falls on us.", "Nobody is there. We left."]
    told = diff.compare_answers(["a", "b"], before, after, numbers=(2, 3))
    assert told.sentences == [
        "Version 3 writes 76% shorter sentences (2.5 words, compared to 10.5).",
        "1 of 2 answers starts differently.",
    ]
    same = diff.compare_answers(["a", "b"], before, before, numbers=(2, 3))
    assert same.sentences == [
        "Both average about 10 words per sentence.",
        "All 2 answers are identical.",
    ]


def test_one_answer_is_told_of_in_the_singular():
    for before, after, told in (
        ("Rain falls.", "Rain falls.", "The answers are identical."),
        ("It rains on us all.", "It rains on us, now.", "The answers start the same way, then diverge."),
        ("Rain falls.", "Snow falls.", "The answers start differently."),
    ):
        assert diff.compare_answers(["a"], [before], [after], numbers=(2, 3)).sentences[-1] == told


def test_prompts_are_written_one_a_line_and_are_at_most_eight():
    assert diff.parse_prompts(" Why?\n\n  How? \r\nWhy?") == ["Why?", "How?"]
    with pytest.raises(TooManyPrompts, match="Use at most 8 prompts, one per line; you have 9"):
        diff.parse_prompts("\n".join("abcdefghi"))
