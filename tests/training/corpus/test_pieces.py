"""Where a document can be cut."""

import pytest

from core.sentences import sentence_ends
from training.corpus.pieces import Border, cut_pieces
from training.text import count_words


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
