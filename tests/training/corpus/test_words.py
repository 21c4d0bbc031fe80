"""What counts as a word, in scripts with and without spaces."""

import pytest

from training.corpus import count_words
from training.corpus.pieces import Border, cut_pieces, sentence_ends
from training.corpus.words import hash_shingles, normalize_words, shares_shingle


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("* * *", 0),
        ("— … !", 0),
        ("Don't stop, well-known friend.", 4),
        ("home--and away—again", 4),
        ("Straßenbahn im Café, naïve", 4),
        ("cafe\u0301 nai\u0308ve", 2),
        ("吾輩は猫である。", 7),
        ("ESP32という部品", 6),
        ("हिन्दी में लिखना", 3),
        ("สวัสดีครับ", 2),
        ("안녕하세요 세계", 2),
        ("مرحبا بالعالم", 2),
        ("a" * 400, 10),
        ("." * 400, 10),
        (". " * 400, 10),
    ],
)
def test_words_are_what_a_writer_would_count(text, words):
    assert count_words(text) == words


def test_words_are_compared_without_case_apostrophes_and_composition():
    assert normalize_words("DON\u2019T Cafe\u0301 STRASSE") == normalize_words("don't caf\u00e9 straße")


def test_shingles_depend_on_all_eight_words_and_their_order():
    numbers = list(range(20))
    changed = [*numbers[:9], 99, *numbers[10:]]
    hashes = hash_shingles(numbers)
    changed_hashes = hash_shingles(changed)
    differing = [position for position in range(13) if hashes[position] != changed_hashes[position]]
    assert differing == list(range(2, 10))
    assert set(hash_shingles(numbers[::-1])).isdisjoint(hashes)
    assert hash_shingles(numbers[:7]) == []


def test_a_shared_run_of_eight_words_is_found_whatever_its_punctuation():
    passage = "It was a bright cold day in April, and the clocks were striking thirteen."
    assert shares_shingle("He says it was a BRIGHT, cold day... in april. Then he left.", passage)
    assert not shares_shingle("It was a bright cold day in May, and the clocks were striking six.", passage)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four…", 4),
        ("“Stop!” he said. She stopped.", 2),
        ("Dr. Brown met Mr. J. Smith in St. Ives. He waved.", 2),
        ("Das gilt z. B. für Hrn. Meier, d. h. immer. Nie sonst.", 2),
        ("„Halt!“, rief er. „Nein.“ Dann ging er.", 3),
        ("吾輩は猫である。名前はまだ無い。", 2),
        ("Version 3.5 costs 2.50 euros", 1),
    ],
)
def test_sentences_end_at_their_marks_and_not_at_abbreviations(text, sentences):
    ends = [end for end in sentence_ends(text) if text[end:].strip()]
    assert len(ends) + 1 == sentences


@pytest.mark.parametrize(
    ("text", "borders"),
    [
        ("One paragraph.\n\nAnother.", {Border.PARAGRAPH}),
        ("The Chapter in Which It Begins\n\nIt began on the fifth day.", {Border.HEADING, Border.PARAGRAPH}),
        ("This is a sentence of six words. " * 40, {Border.SENTENCE, Border.PARAGRAPH}),
        ("a clause of five words, " * 60 + "end.", {Border.CLAUSE, Border.PARAGRAPH}),
        ("* * *\n\nYes.\n\nChapter II\n\nIt began on the fifth day.", {Border.PARAGRAPH}),
        ("word " * 500 + "end.", {Border.WORD, Border.PARAGRAPH}),
        ("猫" * 1_000 + "。", {Border.WORD, Border.PARAGRAPH}),
        ("x" * 100_000 + ".", {Border.WORD, Border.PARAGRAPH}),
    ],
)
def test_a_piece_ends_where_a_reader_would_pause_and_has_at_most_100_words(text, borders):
    pieces = cut_pieces(text)
    assert {piece.border for piece in pieces} == borders
    assert max(count_words(text[piece.start : piece.end]) for piece in pieces) <= 100
    together = "".join(text[piece.start : piece.end] for piece in pieces)
    assert "".join(together.split()) == "".join(text.split())
