"""Answers of the playground as a Word document."""

import io
import re

import docx
from docx.text.paragraph import Paragraph
from markdown_it import MarkdownIt
from markdown_it.token import Token

# What XML 1.0 forbids (section 2.2); a model may write it.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Of python-docx's own template.
STYLES = {"bullet_list": "List Bullet", "ordered_list": "List Number", "blockquote": "Quote"}


def write_docx(markdown: str) -> bytes:
    """Return a Word document of a text in Markdown: headings, lists, quotes, bold and italic words."""
    document = docx.Document()
    document.core_properties.author = ""
    document.core_properties.comments = ""
    heading = ""
    styles: list[str] = []  # of what the text is within, the innermost last
    for token in MarkdownIt().parse(FORBIDDEN.sub("", markdown)):
        kind, _, edge = token.type.rpartition("_")
        if kind in STYLES and edge == "open":
            styles.append(STYLES[kind])
        elif kind in STYLES:
            styles.pop()
        elif kind == "heading":
            heading = f"Heading {token.tag[1]}" if edge == "open" else ""
        elif token.type == "inline":
            paragraph = document.add_paragraph(style=heading or (styles[-1] if styles else None))
            _write_words(paragraph, token.children or [])
        elif token.content:  # code, and HTML, as it is
            document.add_paragraph(token.content.rstrip("\n"))
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _write_words(paragraph: Paragraph, tokens: list[Token]) -> None:
    is_bold = is_italic = False
    for token in tokens:
        if token.type in ("strong_open", "strong_close"):
            is_bold = token.type == "strong_open"
        elif token.type in ("em_open", "em_close"):
            is_italic = token.type == "em_open"
        elif token.type in ("softbreak", "hardbreak"):  # a poem's lines are its own
            paragraph.add_run().add_break()
        elif token.content:
            run = paragraph.add_run(token.content)
            run.bold = is_bold
            run.italic = is_italic
