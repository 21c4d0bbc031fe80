"""The search in the guides: SQLite's full-text index, kept in memory for each process and language."""

import re
import sqlite3
from dataclasses import dataclass
from functools import cache

from website.guide_markdown import Section
from website.guides import Guide, active_language, list_guides

MAX_HITS = 30
MAX_TERMS = 8
WORD = re.compile(r"[^\W_]+")
# Accents don't count. A word of a title weighs eight of the text. A snippet has 28 words of the text.
CREATE = "CREATE VIRTUAL TABLE section USING fts5(title, text, tokenize = 'unicode61 remove_diacritics 2')"
INSERT = "INSERT INTO section (rowid, title, text) VALUES (?, ?, ?)"
SEARCH = """
    SELECT rowid, snippet(section, 1, '', '', ' … ', 28) FROM section
    WHERE section MATCH ? ORDER BY bm25(section, 8.0, 1.0), rowid LIMIT ?
"""


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
    """Return the sections that have every word of a question, or words that begin so; the best first."""
    terms = WORD.findall(question)[:MAX_TERMS]
    if not terms:
        return []
    index = _index(active_language())
    match = " ".join(f'"{term}"*' for term in terms)
    found = []
    for number, snippet in index.connection.execute(SEARCH, (match, MAX_HITS)).fetchall():
        guide, section = index.places[number]
        found.append(Hit(guide, section, snippet))
    return found


@cache
def _index(language: str) -> Index:
    places: list[tuple[Guide, Section]] = []
    rows = []
    for guide in list_guides(language):
        for section in guide.sections:
            title = f"{guide.title} {section.title}" if section.anchor else guide.title
            rows.append((len(places), title, section.text))
            places.append((guide, section))
    connection = sqlite3.connect(":memory:", check_same_thread=False)  # threads only read it
    connection.execute(CREATE)
    connection.executemany(INSERT, rows)
    connection.commit()
    return Index(places, connection)
