"""Markdown: `.md`. The syntax is removed, the text stays; code isn't prose."""

import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from training.reading.cleaning import decode
from training.reading.drafts import Draft, Paragraph
from training.reading.formats.plain import check_size
from training.reading.limits import ReadingLimits

# As Jekyll, Hugo and Obsidian have it: YAML or TOML before the text.
FRONT_MATTER = re.compile(
    r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?\r?\n(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
LONGEST_FRONT_MATTER = 20_000  # characters
INLINE_TEXTS = {"softbreak": " ", "hardbreak": "\n"}
# An endless row of one mark is an attack on parsers; a writer's rule is shorter.
MARKS = re.compile(r"([`*_\[\]<>~!])\1{2000,}")


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of a Markdown file: headings, items and cells are some. Raises Refused."""
    text = _drop_front_matter(decode(check_size(content, limits)))
    parser = MarkdownIt("commonmark").enable("table")
    return _collect(parser.parse(MARKS.sub("", text)))


def _drop_front_matter(text: str) -> str:
    head = FRONT_MATTER.match(text[:LONGEST_FRONT_MATTER])
    return text[head.end() :] if head else text


def _collect(tokens: Iterable[Token]) -> Draft:
    draft = Draft()
    quoted_depth = 0
    for token in tokens:
        if token.type == "blockquote_open":
            quoted_depth += 1
        elif token.type == "blockquote_close":
            quoted_depth -= 1
        elif token.type == "inline":
            draft.paragraphs.append(Paragraph(_inline_text(token.children or []), quoted_depth > 0))
    return draft


def _inline_text(tokens: Iterable[Token]) -> str:
    """Return the text of a paragraph without its markup; pictures and raw HTML are left out."""
    pieces = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            pieces.append(token.content)
        else:
            pieces.append(INLINE_TEXTS.get(token.type, ""))
    return "".join(pieces)
