"""How long reading takes: a megabyte of text, a document in each format."""

import os
import resource
import textwrap
from pathlib import Path
from random import Random

import pytest

from tests.training.builders import WORDS
from tests.training.reading import builders
from training.reading import read_document

DOCUMENT_CHARACTERS = 128_000
MOST_S = 4.0  # half a second a document, the start of its child included


def invent_paragraphs() -> list[str]:
    """Return paragraphs of some hundred letters each, no two alike."""
    chance = Random(28)
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < DOCUMENT_CHARACTERS:
        text = " ".join(chance.choices(WORDS, k=chance.randint(60, 140)))
        paragraphs.append(f"“{text.capitalize()}.”")
    return paragraphs


def mark(paragraphs: list[str], start: str, end: str) -> str:
    return "".join(f"{start}{text}{end}" for text in paragraphs)


def write(paragraphs: list[str]) -> dict[str, bytes]:
    """Return paragraphs as a file of each format."""
    wrapped = "\n\n".join(textwrap.fill(text, 72) for text in paragraphs).encode()
    source = "\n\n".join(paragraphs)
    return {
        "a.txt": wrapped,
        "a.md": wrapped,
        "a.html": mark(paragraphs, "<p>", "</p>\n").encode(),
        "a.docx": builders.make_docx("".join(map(builders.word_paragraph, paragraphs))),
        "a.odt": builders.make_odt(mark(paragraphs, "<text:p>", "</text:p>")),
        "a.epub": builders.make_epub({"a.xhtml": mark(paragraphs, "<p>", "</p>\n")}),
        "a.rtf": builders.make_rtf("\\par ".join(paragraphs)),
        "a.pdf": builders.make_pdf(f"#set par(justify: true, first-line-indent: 1em)\n{source}"),
    }


def test_a_megabyte_in_eight_documents_is_read_in_four_seconds():
    paragraphs = invent_paragraphs()
    written = write(paragraphs)
    before_s = processor_time_s()
    for name, content in written.items():
        (document,) = read_document(name, content)
        assert document.text.split("\n\n") == paragraphs
    assert len(written) == 8
    assert processor_time_s() - before_s < MOST_S


@pytest.mark.skipif("NOVELS" not in os.environ, reason="NOVELS names no folder of novels")
def test_novels_lose_their_licence_and_no_word():
    for path in sorted(Path(os.environ["NOVELS"]).glob("*.txt")):
        (document,) = read_document(path.name, path.read_bytes())
        assert document.refusal is None
        assert document.language == (path.name[:2] if path.name[2] == "-" else "en")
        assert "Project Gutenberg" not in document.text


def processor_time_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
