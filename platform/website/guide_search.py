"""The search of the docs: SQLite's full-text index of all sections, made once in each process and language.

A question is a sentence as often as a word: "train on my own writing". Words that carry no meaning are left
out, others match by their stem, and sections with some of the words are found where none has them all.
"""

import re
import sqlite3
from dataclasses import dataclass
from functools import cache

from website.guide_markdown import Section
from website.guides import OPERATORS, Guide, active_language, list_guides

MAX_HITS = 30
FEW_HITS = 3
MAX_TERMS = 8
WORD = re.compile(r"[^\W_]+")
# Accents don't count. English words are cut to their stems by SQLite, which knows no other language.
TOKENIZERS = {"en": "porter unicode61 remove_diacritics 2"}
OTHER_TOKENIZER = "unicode61 remove_diacritics 2"
GERMAN_ENDING = re.compile(r"(ierung|ieren|ungen|ung|ern|em|en|er|es|e|n|s)$")
MIN_STEM = 4  # characters of a German word that stay
# A word of a title weighs eight of the text. A snippet has 28 words of the text. What is for operators, or
# is background, comes after what says how; bm25 is negative, so less of it is worse.
CREATE = "CREATE VIRTUAL TABLE section USING fts5(title, text, weight UNINDEXED, tokenize = '{tokenizer}')"
INSERT = "INSERT INTO section (rowid, title, text, weight) VALUES (?, ?, ?, ?)"
SEARCH = """
    SELECT rowid, snippet(section, 1, '', '', ' … ', 28) FROM section
    WHERE section MATCH ? ORDER BY bm25(section, 8.0, 1.0) * weight, rowid LIMIT ?
"""
BACKGROUND = (*OPERATORS, "evidence")
BACKGROUND_WEIGHT = 0.6
STOP_WORDS = {
    "en": """
        a an and any are as at be by can could do does for from get has have how i if in into is it its me my
        of on or our should so that the their them there these this those to us was we what when where which
        who why will with would you your
    """,
    "de": """
        aber als am an auf aus bei das dem den der des die dies diese dieser ein eine einem einen einer eines
        er es für hat ich ihr ihre ihrem ihren ihrer im in ist kann kein keine man mein meine meinem meinen
        meiner meines mich mir mit nach nicht oder sein sich sie sind so um und uns unser unsere von vom was
        welche wenn wer wie will wir wird wo zu zum zur
    """,
}


@dataclass(frozen=True)
class Hit:
    """A section that a search found, with the words around the first term."""

    guide: Guide
    section: Section
    snippet: str

    @property
    def url(self) -> str:
        """Return the section's address."""
        return f"{self.guide.url}#{self.section.anchor}" if self.section.anchor else self.guide.url


@dataclass(frozen=True)
class Index:
    """Every section of every guide in one language; a row's number is its place in `places`."""

    places: list[tuple[Guide, Section]]
    connection: sqlite3.Connection


def search(question: str) -> list[Hit]:
    """Return the sections that have every word of a question, the best first.

    Where these are few, sections with some of the words follow.
    """
    language = active_language()
    terms = [f'"{term}"*' for term in _read_terms(question, language)]
    if not terms:
        return []
    index = _index(language)
    rows = _find(index, " AND ".join(terms))
    if len(rows) < FEW_HITS:
        rows |= _find(index, " OR ".join(terms))
    found = []
    for number, snippet in rows.items():
        guide, section = index.places[number]
        found.append(Hit(guide, section, snippet))
    return found[:MAX_HITS]


def _find(index: Index, match: str) -> dict[int, str]:
    """Return the snippet of each section that matches, by number, the best first."""
    return dict(index.connection.execute(SEARCH, (match, MAX_HITS)).fetchall())


def _read_terms(question: str, language: str) -> list[str]:
    """Return the beginnings of words that a section must have; all words where none carries a meaning."""
    words = WORD.findall(question.lower())
    empty = STOP_WORDS.get(language, "").split()
    terms = [word for word in words if word not in empty] or words
    if language == "de":
        terms = [_cut_ending(term) for term in terms]
    return terms[:MAX_TERMS]


def _cut_ending(word: str) -> str:
    """Return a German word without its ending: its other forms begin the same."""
    stem = GERMAN_ENDING.sub("", word)
    return stem if len(stem) >= MIN_STEM else word


@cache
def _index(language: str) -> Index:
    places: list[tuple[Guide, Section]] = []
    rows = []
    for guide in list_guides(language):
        for section in guide.sections:
            title = f"{guide.title} {section.title}" if section.anchor else guide.title
            rows.append((len(places), title, section.text, _weigh(guide)))
            places.append((guide, section))
    connection = sqlite3.connect(":memory:", check_same_thread=False)  # threads only read it
    connection.execute(CREATE.format(tokenizer=TOKENIZERS.get(language, OTHER_TOKENIZER)))
    connection.executemany(INSERT, rows)
    connection.commit()
    return Index(places, connection)


def _weigh(guide: Guide) -> float:
    return BACKGROUND_WEIGHT if guide.slug in BACKGROUND else 1.0
