"""Renaming: other names for the people and places of a corpus, which stay the same within a passage."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles import examples
from tests.training.corpus.corpora import make_text
from training.corpus import Passage
from training.corpus.names import COMMON_NAMES, Cast, Kind, NameIndex
from training.text import count_words

ENGLISH = """
"Nobody rows to Pettigrew's boat," said Marian Holm to Mr. Pettigrew; but Marian's brother laughed. She had
been in Harwich, and now to Harwich she went, but never in _Harwich_ alone. Even so Mr. Pettigrew said to
Marian that she would go. "The King," said MARIAN, "and the Queen are English." In the end the Holms came with
Mrs. Holm on Sunday. They knew that Marian'd gone, and so did Mr. Holm.
"""
GERMAN = """
„Das Wasser ist kalt“, sagte Marianne, und Frau Pettersen nickte. Da ging Marianne, als sie rief, denn in
Mariannes Haus, so meinte Marianne, stand das Wasser. „Mit Wasser“, sagte Frau Pettersen, „ist nicht zu
spaßen, Marianne!“ Und so ging Frau Pettersen mit den großen Augen, mit den Augen der Mutter und mit Mühe.
"""
# Names that no list has, with what may follow them, and words of any kind between.
NAMES = [f"{first}{last}" for first in ("Bru", "Kel", "Tov") for last in ("dan", "mir", "wick", "ys")]
ENDINGS = ["", "", ", ", "'s", "\u2019s", "s", "'d", ". ", "\n\n"]


def passage(text: str, language: str = "en", name: str = "p") -> Passage:
    return Passage(name, "d", text.strip(), count_words(text), language)


def rename(text: str, language: str) -> str:
    about = passage(text, language)
    others = [passage(make_text(number, 40), language, str(number)) for number in range(20)]
    return Cast([about], NameIndex([*others, about])).rename(about).text


def kinds_of(text: str, language: str) -> dict[str, Kind]:
    """Return the common names in a text, each with its kind."""
    lists = COMMON_NAMES[language]
    return {word: kind for word in re.findall(r"\w+", text) for kind in Kind if word in lists[kind]}


def test_english_names_keep_their_endings_and_titles_stay():
    renamed = rename(ENGLISH, "en")
    assert not re.search("marian|pettigrew|holm|harwich", renamed, re.IGNORECASE)
    found = re.search(
        r"to (\w+)'s boat,\" said (\w+) (\w+) to Mr\. (\w+); but (\w+)'s .+ in\s+(\w+),", renamed, re.DOTALL
    )
    assert found
    family, woman, holm, again, possessive, place = found.groups()
    assert (again, possessive) == (family, woman)
    assert len({family, woman, holm, place}) == 4
    assert f'said {woman.upper()}, "and the Queen are English."' in renamed
    assert f"the {holm}s came with\nMrs. {holm} on Sunday" in renamed
    assert f"that {woman}'d gone" in renamed
    assert f"never in _{place}_ alone" in renamed
    assert kinds_of(renamed, "en") == {
        family: Kind.FAMILY,
        woman: Kind.WOMAN,
        holm: Kind.FAMILY,
        place: Kind.PLACE,
    }


def test_german_names_keep_their_genitive_and_nouns_stay():
    renamed = rename(GERMAN, "de")
    found = re.search(r"sagte (\w+), und Frau (\w+) nickte", renamed)
    assert found
    woman, family = found.groups()
    assert f"in\n{woman}s Haus, so meinte {woman}, stand" in renamed
    assert renamed.replace(woman, "Marianne").replace(family, "Pettersen") == GERMAN.strip()
    assert kinds_of(renamed, "de") == {woman: Kind.WOMAN, family: Kind.FAMILY}


def test_other_languages_keep_their_names():
    french = "Puis Mariette chanta, et Mariette rit; alors Mariette partit avec Mariette. " * 3
    assert rename(french, "fr") == french.strip()


def test_another_passage_has_another_name():
    texts = [passage("So then Marian sang, and Marian rowed.", name=str(number)) for number in range(30)]
    cast = Cast(texts, NameIndex(texts))
    assert len({cast.rename(one).text for one in texts}) > 10


def test_people_of_a_passage_never_share_a_name_nor_take_one_that_is_there():
    crowd = ", ".join(f"then {name} and {name}" for name in NAMES)
    about = passage(f"There was Robert, and so {crowd}, {crowd}, and so on.")
    renamed = Cast([about], NameIndex([about])).rename(about).text
    words = renamed.removeprefix("There was Robert")
    assert "Robert" not in words
    assert len(kinds_of(words, "en")) == len(NAMES)


@pytest.mark.parametrize("language", ["en", "de"])
@settings(max_examples=examples(40))
@given(data=st.data())
def test_no_name_that_was_counted_is_left_and_nothing_else_changes(language, data):
    words = st.sampled_from(
        [*NAMES, "said", "sagte", "Herr", "Mr.", "in", "the", "der", "and", "sie", "Brot,"]
    )
    drawn = data.draw(st.lists(st.tuples(words, st.sampled_from(ENDINGS)), min_size=20, max_size=120))
    texts = ["".join(f"{word}{ending} " for word, ending in drawn[part::2]) for part in range(2)]
    passages = [passage(text, language, str(number)) for number, text in enumerate(texts)]
    names = NameIndex(passages)
    renamed = [Cast(passages, names).rename(one) for one in passages]
    assert renamed == [Cast(passages, names).rename(one) for one in passages]
    for before, after in zip(passages, renamed, strict=True):
        assert names.find(after.text, language) == []
        assert [count_words(part) for part in after.text.split("\n\n")] == [
            count_words(part) for part in before.text.split("\n\n")
        ]
        assert (after.id, after.words) == (before.id, before.words)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_common_name_can_have_an_ending_and_is_of_one_kind(language):
    names = [name for common in COMMON_NAMES[language].values() for name in common]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name[-1] in "sxzß" or count_words(name) != 1]
