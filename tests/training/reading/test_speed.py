"""How long reading takes: 5 MB of text in 40 documents."""

import itertools
import os
import resource
import textwrap
from pathlib import Path
from random import Random

import pytest

from tests.training.reading import builders
from training.reading import read_document

DOCUMENTS = 40
DOCUMENT_CHARACTERS = 128_000
MOST_S = 20.0


def invent_paragraphs() -> list[str]:
    """Return paragraphs of some hundred letters each, no two alike."""
    chance = Random(28)
    words = "the a of old man road had not been in and to sea that he she was with at from night house said".split()
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < DOCUMENT_CHARACTERS:
        text = " ".join(chance.choices(words, k=chance.randint(60, 140)))
        paragraphs.append(f"“{text.capitalize()}.”")
    return paragraphs


def write(format_name: str, paragraphs: list[str]) -> bytes:
    """Return paragraphs as a file of a format."""
    if format_name == "docx":
        return builders.make_docx("".join(map(builders.word_paragraph, paragraphs)))
    if format_name == "odt":
        return builders.make_odt("".join(f"<text:p>{text}</text:p>" for text in paragraphs))
    if format_name == "epub":
        return builders.make_epub({"a.xhtml": "".join(f"<p>{text}</p>" for text in paragraphs)})
    if format_name == "html":
        return "".join(f"<p>{text}</p>\n" for text in paragraphs).encode()
    if format_name == "rtf":
        return builders.make_rtf("\\par ".join(paragraphs))
    if format_name == "pdf":
        return builders.make_pdf(f"#set par(justify: true, first-line-indent: 1em)\n{'\n\n'.join(paragraphs)}")
    return "\n\n".join(textwrap.fill(text, 72) for text in paragraphs).encode()


@pytest.mark.long
def test_five_megabytes_in_forty_documents_are_read_in_twenty_seconds():
    paragraphs = invent_paragraphs()
    formats = itertools.cycle(["txt", "md", "html", "docx", "odt", "epub", "rtf", "pdf"])
    written = {name: write(name, paragraphs) for name in itertools.islice(formats, 8)}
    before_s = processor_time_s()
    for format_name in itertools.islice(formats, DOCUMENTS):
        (document,) = read_document(f"a.{format_name}", written[format_name])
        assert document.text.split("\n\n") == paragraphs
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
