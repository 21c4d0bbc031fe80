"""What becomes of a guide's Markdown: HTML with anchors, its headings, its sections as plain text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True)
class Section:
    """A heading and the plain text below it. A guide's first one is its title, without an anchor."""

    level: int
    title: str
    anchor: str
    text: str


def parse(text: str, *, anchors: Sequence[str] = ()) -> list[Token]:
    """Return a text's tokens; each heading has the next of `anchors` as its id, else one as GitHub would."""
    tokens = _parser().parse(text)
    _set_anchors(tokens, anchors)
    _mark_empty_heads(tokens)
    _name_alignments(tokens)
    return tokens


def list_anchors(tokens: Sequence[Token]) -> list[str]:
    """Return the id of each heading."""
    return [str(token.attrGet("id")) for token in tokens if token.type == "heading_open"]


def rewrite_links(tokens: Sequence[Token], address_of: Callable[[str], str]) -> None:
    """Let each link lead to its address; one without an address becomes plain text."""
    for token in tokens:
        is_dropped = False
        for child in token.children or []:
            if child.type == "link_open":
                address = address_of(str(child.attrGet("href") or ""))
                is_dropped = not address
                child.attrSet("href", address)
            if is_dropped and child.type in ("link_open", "link_close"):
                child.type = "text"  # without content


def render(tokens: Sequence[Token]) -> SafeString:
    """Return the HTML below the title, which the page shows itself, in the active language."""
    parser = _parser()
    body = tokens[3:] if tokens and tokens[0].type == "heading_open" else tokens
    html: str = parser.renderer.render(body, parser.options, {})
    return mark_safe(html)  # noqa: S308 - the parser escapes all text and refuses links to scripts


def split_sections(tokens: Sequence[Token]) -> Iterator[Section]:
    """Yield the title with the text before the second heading, then each heading with its text."""
    level, title, anchor = 1, "", ""
    texts: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            if index:
                yield Section(level, title, anchor, _join(texts))
                anchor = str(token.attrGet("id"))
            level, title, texts = int(token.tag[1]), _inline_text(tokens[index + 1]), []
        elif token.type in ("fence", "code_block"):
            texts.append(token.content)
        elif token.type == "inline" and tokens[index - 1].type != "heading_open":
            texts.append(_inline_text(token))
    yield Section(level, title, anchor, _join(texts))


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


def _set_anchors(tokens: Sequence[Token], anchors: Sequence[str]) -> None:
    taken: set[str] = set()
    known = iter(anchors)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = next(known, "") or _free_anchor(_inline_text(tokens[index + 1]), taken)
            taken.add(anchor)
            token.attrSet("id", anchor)


def _free_anchor(text: str, taken: set[str]) -> str:
    anchor = slugify(text, allow_unicode=True) or "section"
    number = 1
    free = anchor
    while free in taken:
        free = f"{anchor}-{number}"
        number += 1
    return free


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


def _inline_text(token: Token) -> str:
    texts = []
    for child in token.children or []:
        texts.append(" " if child.type in ("softbreak", "hardbreak") else child.content)
    return "".join(texts)


def _join(texts: Sequence[str]) -> str:
    return " ".join(" ".join(texts).split())
