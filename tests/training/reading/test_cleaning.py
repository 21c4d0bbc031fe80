"""What cleaning takes out of a text, and that it leaves prose as it is."""

import re
import textwrap

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from training.reading.cleaning import clean
from training.reading.drafts import Draft, Paragraph
from training.reading.formats.plain import read_text
from training.text import WORD

MEEM = "\N{ARABIC LETTER MEEM}"
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéèçñøåž"
words = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.sampled_from(
        [
            "the",
            "I",
            "well-known",
            "don't",
            "Über",
            "œuvre",
            "1912",
            "o\N{RIGHT SINGLE QUOTATION MARK}clock",
            "—",
            "\N{EN DASH}",
            "&",
        ]
    ),
)
marks = st.sampled_from(["", "", "", ",", ".", "!", "?", ";", ":", "…", "”", ")"])
sentences = st.lists(st.builds(lambda word, mark: word + mark, words, marks), min_size=1, max_size=60).map(
    " ".join
)
# Not "I." or "1912": a paragraph of numerals and capitals alone may be a heading.
prose = st.lists(
    sentences.filter(lambda text: re.match(r"[^\W\d]?[a-zœ]", text) is not None), min_size=1, max_size=8
)


def clean_text(text: str) -> str:
    return "\n\n".join(paragraph.text for paragraph in clean(read_text(text)).paragraphs)


def cleaned(text: str) -> Draft:
    return clean(read_text(text))


@given(prose, st.integers(45, 110))
def test_no_word_of_ordinary_prose_is_lost(paragraphs, width):
    wrapped = [
        textwrap.fill(text, width, break_long_words=False, break_on_hyphens=True) for text in paragraphs
    ]
    assert WORD.findall(clean_text("\n\n".join(wrapped))) == WORD.findall("\n\n".join(paragraphs))


@example(["it was not", "ill.", "civil"])  # small letters are no Roman numeral
@given(prose)
def test_paragraphs_without_line_breaks_stay_as_they_are(paragraphs):
    assert clean_text("\n\n".join(paragraphs)) == "\n\n".join(paragraphs)


@example("0\r>")
@example("0\n \xad>")
@given(st.one_of(st.text(), prose.map("\n".join), st.text("ab -\n\t>*\f\u200d\xad“\r", max_size=200)))
def test_a_text_that_was_cleaned_is_clean(text):
    once = clean_text(text)
    assert clean_text(once) == once


@given(st.text())
def test_no_control_character_is_left_and_one_blank_line_is_between_paragraphs(text):
    result = clean_text(text)
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\ufeff]|\n{3}|^\s|\s$| \n|\n ", result
    )


def test_wrapped_lines_become_paragraphs_and_verse_keeps_its_lines():
    prose_text = (
        "The road ran along the river for a mile or two, and then it turned away to the hills and was gone. "
    )
    verse = "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or eye,"
    text = f"{textwrap.fill(prose_text * 3, 70)}\n\n{verse}\n"
    assert clean_text(text) == f"{(prose_text * 3).strip()}\n\n{verse}"


def test_indented_lines_begin_paragraphs_where_no_blank_line_does():
    first, second = "She said nothing for a while. " * 8, "Then the door opened again, and he came in. " * 6
    wrapped = [textwrap.fill(text.strip(), 66, initial_indent="   ") for text in (first, second)]
    assert clean_text("\n".join(wrapped)) == f"{first.strip()}\n\n{second.strip()}"


def test_each_long_line_is_a_paragraph():
    lines = [
        "One paragraph in one line, as many editors save it. " * 4,
        "“Yes,” he said.",
        "And another one. " * 9,
    ]
    assert clean_text("\n".join(lines)) == "\n\n".join(line.strip() for line in lines)


def test_a_divided_word_is_joined_if_the_document_knows_it():
    text = (
        "They walked slowly, hand in hand, along the shore to the old light-\n"
        "house, and the lighthouse was as dark as it had been in those years.\n\n"
        "It was already late in the afternoon when she told him the well-\nknown story."
    )
    draft = cleaned(text)
    assert "the old lighthouse, and" in draft.paragraphs[0].text
    assert "the well-known story" in draft.paragraphs[1].text
    assert draft.hyphens == 1


def test_heads_and_numbers_of_printed_pages_go_and_scene_breaks_stay():
    pages = []
    for number in range(11, 19):
        head = "THE LONG WAY HOME" if number % 2 else "Ann Author"
        lines = [f"and so it went on for {word * 3}" for word in ["one", "two", "three"]]
        pages.append(
            "\n".join(
                [
                    f"{head} {number}",
                    "",
                    chr(number + 54) + lines[0],
                    "* * *",
                    chr(number + 54) + lines[2],
                    "",
                    str(number),
                ]
            )
        )
    draft = cleaned("\f".join(pages))
    text = "\n".join(paragraph.text for paragraph in draft.paragraphs)
    assert draft.running_heads == 8
    assert draft.page_numbers == 8
    assert text.count("* * *") == 8
    assert text.count("went on") == 16
    assert "LONG WAY" not in text
    assert not re.search(r"\d", text)


def test_a_number_that_does_not_count_pages_stays():
    assert "1984" in clean_text(
        "\f".join(["1984\n\nIt was a bright cold day.", "The clocks were striking.", "End."])
    )


def test_a_licence_goes_and_the_book_stays():
    text = (
        "The Project Gutenberg eBook of Something\n\nThis ebook is for the use of anyone anywhere\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK SOMETHING ***\n\n"
        "Produced by A. Volunteer and www.pgdp.net\n\nIt began in May.\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK SOMETHING ***\n\nSection 1. General Terms"
    )
    draft = cleaned(text)
    assert [paragraph.text for paragraph in draft.paragraphs] == ["It began in May."]
    assert draft.licence == 6


PROSE = ["It began in May.", "Ann came.", "Yes"]


@pytest.mark.parametrize(
    "headings",
    [
        ["CHAPTER I", "The Ferry at Low Water"],
        ["THE FERRY", "Chapter Twenty-One. Of the Ferry"],
        ["3", "4. Das Warten"],
        ["Fünftes Kapitel"],
        ["IV. The Blue Cross"],
        ["THE END"],
        ["Copyright, 1908, by A. Publisher", "First published in 1908"],
    ],
)
def test_headings_and_imprints_go_and_sentences_stay(headings):
    draft = cleaned("\n\n".join([PROSE[0], *headings, *PROSE[1:]]))
    assert [paragraph.text for paragraph in draft.paragraphs] == PROSE
    assert draft.headings + draft.licence == len(headings)


@pytest.mark.parametrize(
    "text",
    ["I rowed.", "Part of it was mine.", "First he rowed, then he sang", "Ende gut", "NO!", "Dear Ann,"],
)
def test_short_lines_that_only_begin_like_headings_stay(text):
    assert clean_text(f"It began in May.\n\n{text}\n\nAnn came.").count("\n\n") == 2


def test_a_text_of_nothing_but_headings_stays():
    assert clean_text("CHAPTER I\n\nCHAPTER II") == "CHAPTER I\n\nCHAPTER II"


@pytest.mark.parametrize(
    "attribution",
    [
        "On Mon, 3 Nov 2025 at 10:12, Ann <ann@example.com> wrote:",
        "Am 3. November 2025 um 10:12 schrieb Anna:",
    ],
)
def test_a_quoted_reply_goes_with_the_line_above_it(attribution):
    text = f"Dear Ann,\n\nyes, gladly.\n\n{attribution}\n> Would you come\n> to dinner?\n\nYours\nBob"
    draft = cleaned(text)
    assert [paragraph.text for paragraph in draft.paragraphs] == ["Dear Ann,", "yes, gladly.", "Yours\nBob"]
    assert draft.quoted_replies == 2


def test_a_sentence_that_only_sounds_like_a_reply_stays():
    text = "On the wall somebody wrote:\n\nNobody knows the way."
    assert clean_text(text) == text


def test_what_only_a_typesetter_needs_is_spelt_out():
    draft = clean(Draft([Paragraph("The ﬁrst o\xadﬀer\u00a0was\u2009ﬂat\u200b.  Cafe\u0301 \ufeff")]))
    assert draft.paragraphs == [Paragraph("The first offer was flat. Café")]
    assert draft.hyphens == 1


def test_scripts_that_join_letters_keep_their_joiners():
    assert clean_text(f"{MEEM}\u200c{MEEM}") == f"{MEEM}\u200c{MEEM}"
    assert clean_text("sec\u200cret") == "secret"
