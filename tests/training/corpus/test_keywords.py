"""Keywords: what a passage is about, against everything else in its corpus."""

import pytest

from tests.training.corpus.corpora import make_text
from training.corpus import Passage
from training.corpus.names import KeywordIndex
from training.text import count_words, stop_words

ENGLISH_PASSAGE = """
"Nobody rows to the lighthouse in March," said Marian. The ferry lay on the slip with her planks open, and
the keeper's dog was barking across the water. Marian counted the lamps. There had been four lamps at the
lighthouse last night, and now there were three lamps. Inscrutable as ever, old Pettigrew went on mending
his nets. "The ferry goes on Monday," he said, "and the dogs will keep until then, and so will the
keeper."
"""
GERMAN_PASSAGE = """
Der Fährmann hatte den Kahn schon losgemacht, als Marianne über die Wiese kam. „Im März fährt niemand zum
Leuchtturm“, sagte er, und sah zu den Laternen hinüber. Gestern hatten dort vier Laternen gebrannt, und
jetzt waren es nur noch drei Laternen. Marianne zählte sie noch einmal. Der Kahn schwankte, der Hund des
Wärters bellte, und der Fährmann sagte nichts mehr über den Leuchtturm.
"""
COMMON = "The water was cold and the night went on across the slip. Nobody said a thing about it."


def passage(text: str, language: str = "en") -> Passage:
    return Passage(str(hash(text)), "d", text, count_words(text), language)


def index_with(*passages: Passage) -> KeywordIndex:
    others = [passage(f"{COMMON} {make_text(number, 40)}") for number in range(40)]
    return KeywordIndex([*others, *passages])


def test_keywords_are_what_the_passage_is_about_in_its_order_without_names():
    about = passage(ENGLISH_PASSAGE)
    index = index_with(about)
    assert index.find_keywords(about) == ("lighthouse", "ferry", "keeper", "lamps", "Inscrutable")


def test_german_nouns_keep_their_capital_and_names_are_no_keywords():
    about = passage(f"{GERMAN_PASSAGE} Da rief ihn Marianne. Wieder zählte Marianne.", "de")
    keywords = index_with(about).find_keywords(about)
    assert {"Fährmann", "Kahn", "Leuchtturm", "Laternen"} <= set(keywords)
    assert "Marianne" not in keywords


@pytest.mark.parametrize(("text", "language"), [(ENGLISH_PASSAGE, "en"), (GERMAN_PASSAGE, "de")])
def test_there_are_five_to_eight_and_no_stop_words(text, language):
    for factor in (1, 2, 6):
        about = passage(text * factor, language)
        keywords = index_with(about).find_keywords(about)
        assert 5 <= len(keywords) <= 8
        assert len(set(keywords)) == len(keywords)
        assert not {word.lower() for word in keywords} & stop_words(language)


def test_a_word_that_every_passage_has_says_less_than_one_that_only_this_has():
    about = passage(f"{COMMON} {COMMON} The harpsichord stood open, and on the harpsichord lay gloves.")
    keywords = index_with(about).find_keywords(about)
    assert {"harpsichord", "gloves"} <= set(keywords)


def test_a_capital_that_only_begins_sentences_is_dropped():
    about = passage("Herring again. We ate herring. Herring smells. The smell of herring stays with Ulrich.")
    keywords = index_with(about).find_keywords(about)
    assert "herring" in keywords
    assert "Ulrich" not in keywords


def test_a_passage_without_telling_words_has_no_keywords():
    nothing = passage("It was what it was, and that is all there was to it.")
    assert index_with(nothing).find_keywords(nothing) == ()


def test_text_without_spaces_has_keywords_of_two_characters():
    about = passage("灯台の灯台守は灯台に住む。渡船は月曜日に来る。渡船を待つ。", "ja")
    assert {"灯台", "渡船"} <= set(index_with(about).find_keywords(about))


def test_function_words_of_other_languages_are_no_keywords():
    about = passage(
        "Elle était avec les marins dans cette auberge, mais elle ne savait plus comme eux.", "fr"
    )
    keywords = index_with(about).find_keywords(about)
    assert {"marins", "auberge", "savait"} <= set(keywords)
    common = "Elle elle était avec les dans cette mais plus comme".split()  # noqa: SIM905
    assert not set(keywords) & set(common)
