"""The guides of docs/, rendered once a process and language: pages with anchors, links between, and a search.

The files are part of the release, so nothing here asks a database. Raw HTML in them is shown as text. A guide
without a translation is shown in English.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_lazy as _
from markdown_it import MarkdownIt
from markdown_it.token import Token

from website.guide_translations import original_of, translated_guides, translation_of

WRITERS = {
    "styles": "docs/styles.md",
    "adapters": "docs/adapters.md",
    "probing": "docs/probing.md",
    "sharing": "docs/sharing.md",
    "billing": "docs/billing.md",
    "team": "docs/team.md",
}
DEVELOPERS = {
    "writing-with-the-api": "docs/api.md",
    "command-line": "docs/cli.md",
    "security": "docs/security.md",
    "reporting-a-vulnerability": "SECURITY.md",
}
OPERATORS = {
    "running": "docs/running.md",
    "settings": "docs/settings.md",
    "watching": "docs/watching.md",
    "retention": "docs/retention.md",
    "architecture": "docs/architecture.md",
    "capacity": "docs/capacity.md",
    "scaling": "docs/scaling.md",
    "performance": "docs/performance.md",
    "benchmarks": "bench/README.md",
    "licences": "docs/licences.md",
}
DECISIONS = "docs/decisions"
SHELVES = ((_("For writers"), WRITERS), (_("For developers"), DEVELOPERS), (_("For operators"), OPERATORS))
MAX_HITS = 30
MAX_TERMS = 8
SNIPPET_WORDS = 28
TITLE_WEIGHT = 8
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Heading:
    """A heading of the second or third level, and where it stands on its page."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Section:
    """What stands under one heading, as plain text for the search."""

    guide: "Guide"
    heading: str
    anchor: str
    text: str
    words: tuple[str, ...]
    title_words: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"{self.guide.url}#{self.anchor}" if self.anchor else self.guide.url


@dataclass(frozen=True)
class Guide:
    """One page of the docs, in one language."""

    slug: str
    path: str
    language: str
    title: str
    summary: str
    html: SafeString
    headings: tuple[Heading, ...]

    @property
    def url(self) -> str:
        return reverse("guide", args=[self.slug])

    @property
    def is_foreign(self) -> bool:
        """Whether its language is not the active one."""
        return self.language != _language()


@dataclass(frozen=True)
class Shelf:
    """The guides for one kind of reader."""

    title: str | Promise
    guides: tuple[Guide, ...]
    has_reference: bool  # whether the API reference stands beside them


@dataclass(frozen=True)
class Hit:
    """A section that a search found, with the words around the first term."""

    section: Section
    snippet: str


@cache
def guide_paths() -> dict[str, str]:
    """Return slug → path from the project's root of every guide and decision."""
    paths: dict[str, str] = {}
    for _title, shelf in SHELVES:
        paths |= shelf
    for file in sorted((settings.BASE_DIR / DECISIONS).glob("*.md")):
        paths[f"decision-{file.stem}"] = f"{DECISIONS}/{file.name}"
    return paths


def load_guide(slug: str) -> Guide | None:
    """Return a guide in the active language, else in English; None where there is none by this name."""
    return _load_guide(slug, _language()) if slug in guide_paths() else None


def shelves() -> list[Shelf]:
    """Return the guides by whom they are for. Decisions are reached by links and the search."""
    return [Shelf(title, _load_all(shelf), has_reference=shelf is DEVELOPERS) for title, shelf in SHELVES]


def search(question: str) -> list[Hit]:
    """Return the sections that have every word of a question, or words that begin so; the best first."""
    terms = _split_words(question)[:MAX_TERMS]
    if not terms:
        return []
    scored = []
    for number, section in enumerate(_sections(_language())):
        score = _score(section, terms)
        if score:
            scored.append((-score, number, section))
    scored.sort(key=lambda one: one[:2])
    return [Hit(section, _snippet(section, terms)) for _, _, section in scored[:MAX_HITS]]


def _language() -> str:
    return get_language() or settings.LANGUAGE_CODE


def _load_all(slugs: Iterable[str]) -> tuple[Guide, ...]:
    return tuple(_load_guide(slug, _language()) for slug in slugs)


@cache
def _load_guide(slug: str, language: str) -> Guide:
    """Return a guide in a language, else in English. Guides change only with a release."""
    path = guide_paths()[slug]
    if path in translated_guides(language):
        return _read_guide(slug, translation_of(path, language), language)
    return _read_guide(slug, path)


def _read_guide(slug: str, path: str, language: str = settings.LANGUAGE_CODE) -> Guide:
    tokens, headings = _parse_file(path, language)
    _rewrite_links(tokens, path, language)
    _mark_empty_heads(tokens)
    _name_alignments(tokens)
    title, body = _split_title(tokens)
    parser = _parser()
    with override(language):
        # The parser escapes all text and refuses links to scripts: `html` is off.
        html = mark_safe(parser.renderer.render(body, parser.options, {}))
    return Guide(
        slug=slug,
        path=path,
        language=language,
        title=title,
        summary=_first_sentence(body),
        html=html,
        headings=tuple(one for one in headings if one.level in (2, 3)),
    )


def _parse_file(path: str, language: str) -> tuple[list[Token], list[Heading]]:
    """Return a file's tokens and headings. A translation has the anchors of the English text, by position."""
    tokens = _parser().parse((settings.BASE_DIR / path).read_text())
    original = original_of(path, language)
    if original == path:
        return tokens, _mark_headings(tokens)
    _, known = _parse_file(original, language)
    return tokens, _mark_headings(tokens, [heading.anchor for heading in known])


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", _close_table)
    return parser


def _render_code(renderer: object, tokens: Sequence[Token], index: int, *_: object) -> str:
    """Return a block of code that can be scrolled by keyboard."""
    return f'<div class="code"><pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre></div>'


def _open_table(*_: object) -> str:
    label = escape(gettext("Table"))
    return f'<div class="table-scroll" tabindex="0" role="group" aria-label="{label}"><table>'


def _close_table(*_: object) -> str:
    return "</table></div>"


def _mark_headings(tokens: Sequence[Token], anchors: Sequence[str] = ()) -> list[Heading]:
    """Give each heading an anchor: the next of `anchors`, else its own, as GitHub would. Return all."""
    headings: list[Heading] = []
    taken: set[str] = set()
    known = iter(anchors)
    for token, inline in _heading_pairs(tokens):
        text = _plain(inline)
        anchor = next(known, "") or _free_anchor(text, taken)
        taken.add(anchor)
        token.attrSet("id", anchor)
        headings.append(Heading(int(token.tag[1]), text, anchor))
    return headings


def _heading_pairs(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            yield token, tokens[index + 1]


def _free_anchor(text: str, taken: set[str]) -> str:
    anchor = slugify(text, allow_unicode=True) or "section"
    number = 1
    free = anchor
    while free in taken:
        free = f"{anchor}-{number}"
        number += 1
    return free


def _rewrite_links(tokens: Sequence[Token], path: str, language: str) -> None:
    """Let links between files lead to their pages. Links to files that are no page become plain text."""
    for token in tokens:
        is_dropped = False
        for child in token.children or []:
            if child.type == "link_open":
                address = _address_of(str(child.attrGet("href") or ""), path, language)
                is_dropped = not address
                child.attrSet("href", address)
            if is_dropped and child.type in ("link_open", "link_close"):
                child.type = "text"  # without content


def _address_of(link: str, path: str, language: str) -> str:
    """Return where a link of a file leads on the site; "" for a file that is no page."""
    parts = urlsplit(link)
    if parts.scheme or not parts.path:
        return link
    target = original_of(posixpath.normpath(posixpath.join(posixpath.dirname(path), parts.path)), language)
    for slug, known in guide_paths().items():
        if known == target:
            fragment = f"#{parts.fragment}" if parts.fragment else ""
            return reverse("guide", args=[slug]) + fragment
    return ""


def _mark_empty_heads(tokens: Sequence[Token]) -> None:
    """Let a head of a table that says nothing be an empty cell: a screen reader would announce it."""
    for index, token in enumerate(tokens):
        if token.type == "th_open" and not tokens[index + 1].content:
            token.tag = "td"
            tokens[index + 2].tag = "td"


def _name_alignments(tokens: Sequence[Token]) -> None:
    """Say how a column is aligned in an attribute: the site's policy refuses a style in the markup."""
    for token in tokens:
        if token.type in ("th_open", "td_open") and "style" in token.attrs:
            style = str(token.attrs.pop("style"))
            token.attrSet("data-align", style.removeprefix("text-align:"))


def _split_title(tokens: list[Token]) -> tuple[str, list[Token]]:
    """Return the first heading's text, and the tokens without that heading: the page shows it by itself."""
    if tokens and tokens[0].type == "heading_open":
        return _plain(tokens[1]), tokens[3:]
    return "", tokens


def _plain(inline: Token) -> str:
    """Return the text of a line without its marks."""
    parts = [child.content for child in inline.children or [] if child.type in ("text", "code_inline")]
    return "".join(parts) or inline.content


def _first_sentence(tokens: Sequence[Token]) -> str:
    for index, token in enumerate(tokens):
        if token.type == "paragraph_open" and not token.hidden:
            text = " ".join(_inline_text(tokens[index + 1]).split())
            return re.split(r"(?<=[.:!?]) ", text, maxsplit=1)[0].rstrip(":")
    return ""


def _inline_text(token: Token) -> str:
    texts = []
    for child in token.children or []:
        texts.append(" " if child.type in ("softbreak", "hardbreak") else child.content)
    return "".join(texts)


@cache
def _sections(language: str) -> list[Section]:
    """Return every section of every guide: the index of the search, a few hundred rows a language."""
    found: list[Section] = []
    for slug in guide_paths():
        found.extend(_sections_of(_load_guide(slug, language)))
    return found


def _sections_of(guide: Guide) -> Iterator[Section]:
    heading = guide.title
    anchor = ""
    texts: list[str] = []
    tokens, headings = _parse_file(guide.path, guide.language)
    anchors = iter(headings)
    _, body = _split_title(tokens)
    if body is not tokens:
        next(anchors)
    is_heading = False
    for token in body:
        if token.type == "heading_open":
            yield _section(guide, heading, anchor, texts)
            marked = next(anchors)
            heading, anchor, texts, is_heading = marked.text, marked.anchor, [], True
        elif token.type == "inline" and not is_heading:
            texts.append(_inline_text(token))
        elif token.type in ("fence", "code_block"):
            texts.append(token.content)
        elif token.type == "heading_close":
            is_heading = False
    yield _section(guide, heading, anchor, texts)


def _section(guide: Guide, heading: str, anchor: str, texts: Sequence[str]) -> Section:
    text = " ".join(" ".join(texts).split())
    title = heading if heading == guide.title else f"{guide.title} {heading}"
    return Section(guide, heading, anchor, text, tuple(_split_words(text)), tuple(_split_words(title)))


def _split_words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def _score(section: Section, terms: Sequence[str]) -> int:
    """Return how well a section fits: 0 unless it has every term."""
    total = 0
    for term in terms:
        in_title = sum(word.startswith(term) for word in section.title_words)
        in_text = sum(word.startswith(term) for word in section.words)
        if not in_title and not in_text:
            return 0
        total += TITLE_WEIGHT * in_title + min(in_text, TITLE_WEIGHT)
    return total


def _snippet(section: Section, terms: Sequence[str]) -> str:
    """Return the words around the first term that the text has."""
    words = section.text.split()
    first = 0
    for number, word in enumerate(words):
        if any(part.startswith(term) for part in _split_words(word) for term in terms):
            first = max(0, number - SNIPPET_WORDS // 3)
            break
    shown = words[first : first + SNIPPET_WORDS]
    before = "… " if first else ""
    after = " …" if first + SNIPPET_WORDS < len(words) else ""
    return before + " ".join(shown) + after
