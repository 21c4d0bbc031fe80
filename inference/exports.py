"""Texts as a Word document and as a web page."""

import io
import re
from functools import cache

import docx
from django.template.loader import render_to_string
from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.text.paragraph import Paragraph
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.errors import Invalid
from inference.contract.watermark import DIGITAL_SOURCE_TYPE

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# What XML 1.0 forbids (section 2.2); a model may write it.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Of python-docx's own template.
STYLES = {"bullet_list": "List Bullet", "ordered_list": "List", "blockquote": "Quote"}
SCENE_BREAK = "* * *"
MAX_PARTS = 10_000  # paragraphs, bold words and the like; python-docx takes a millisecond for each
MAX_LINES = 50_000  # of what was typed: 0.4 to 1.3 s


class DocumentTooLong(Invalid):
    """This text is too long for a Word document. Save it as text instead."""


def write_docx(markdown: str) -> bytes:
    """Return a Word document of a text in Markdown: headings, lists, quotes, scene breaks, bold and italics.

    Raises DocumentTooLong.
    """
    document, end = _begin_docx()
    _write_markdown(document, end, markdown)
    return _to_bytes(document)


def write_typed_docx(title: str, text: str, notes: str = "") -> bytes:
    """Return a Word document of what somebody typed, and of notes in Markdown after it.

    A blank line is between two paragraphs, any other line end is one within a paragraph. Nothing is Markdown.

    Raises DocumentTooLong.
    """
    if text.count("\n") > MAX_LINES:
        raise DocumentTooLong
    document, end = _begin_docx()
    if title:
        end.insert_paragraph_before(FORBIDDEN.sub("", title), document.styles["Heading 1"])
    for paragraph in FORBIDDEN.sub("", text).split("\n\n"):
        end.insert_paragraph_before(paragraph)
    _write_markdown(document, end, notes)
    return _to_bytes(document)


def _begin_docx() -> tuple[Document, Paragraph]:
    """Return a document and its last paragraph, which is empty.

    Inserting before that one takes no longer in a long document, appending does.
    """
    document = docx.Document()
    document.core_properties.author = ""
    document.core_properties.comments = ""
    return document, document.add_paragraph()


def _write_markdown(document: Document, end: Paragraph, markdown: str) -> None:
    tokens = MarkdownIt().parse(FORBIDDEN.sub("", markdown))
    if sum(1 + len(token.children or []) for token in tokens) > MAX_PARTS:
        raise DocumentTooLong
    find_style = cache(document.styles.__getitem__)  # else it is searched for by name, paragraph by paragraph
    heading = number = ""
    styles: list[str] = []  # of what the text is within, the innermost last
    for token in tokens:
        kind, _, edge = token.type.rpartition("_")
        if kind in STYLES and edge == "open":
            styles.append(STYLES[kind])
        elif kind in STYLES:
            styles.pop()
        elif kind == "heading":
            heading = f"Heading {token.tag[1]}" if edge == "open" else ""
        elif token.type == "list_item_open":
            # As text: Word would count on from one list to the next.
            number = f"{token.info}{token.markup} " if token.info else ""
        elif token.type == "hr":
            end.insert_paragraph_before(SCENE_BREAK).alignment = WD_ALIGN_PARAGRAPH.CENTER
        elif token.type == "inline":
            name = heading or (styles[-1] if styles else "")
            paragraph = end.insert_paragraph_before(number, find_style(name) if name else None)
            number = ""
            _write_words(paragraph, token.children or [])
        elif token.content:  # code, and HTML, as it is
            end.insert_paragraph_before(token.content.rstrip("\n"))


def _to_bytes(document: Document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def write_html(markdown: str) -> bytes:
    """Return a web page of a text in Markdown. HTML in it is shown as text."""
    body = MarkdownIt("commonmark", {"html": False}).render(FORBIDDEN.sub("", markdown))
    context = {"body": body, "source_type": DIGITAL_SOURCE_TYPE}
    return render_to_string("inference/answers.html", context).encode()


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
