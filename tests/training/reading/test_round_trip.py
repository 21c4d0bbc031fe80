"""The same text, written in each format, comes back as the same paragraphs."""

import gzip
import textwrap

import pytest

from tests.training.reading import builders
from training.reading import read_document

HEADING = "Der Fährmann am Fluß"
FIRST = (
    "Als die Nebel über dem Wasser lagen, stieg der alte Fährmann in sein Boot und zählte die Glocken, die "
    "von drüben herüberklangen. Niemand wusste, wie viele Jahre er schon so gezählt hatte."
)
SECOND = (
    "„Sie kommen spät“, sagte er zu dem Mädchen, das am Ufer wartete und einen Korb mit Äpfeln trug. Es "
    "antwortete nicht gleich; erst als das Boot anstieß, hob es den Kopf und sah ihn an."
)
THIRD = (
    "Drüben brannte ein Licht, so klein wie ein Stern, und die beiden fuhren schweigend darauf zu "
    "\N{EN DASH} langsam, denn der Strom war breit, und keiner von ihnen hatte es eilig."
)
PARAGRAPHS = [HEADING, FIRST, SECOND, THIRD]
pytestmark = pytest.mark.usefixtures("reads_here")


TYPST = """
#set text(lang: "de", hyphenate: true)
#set page(width: 11cm, height: 14cm, numbering: "1")
#set par(justify: true)
"""
MARKDOWN = f"""---
title: Boat
---
# {HEADING}

{textwrap.fill(FIRST)}

{SECOND.replace("Korb", "**Korb**")}

{THIRD}
"""
HTML = f"""<!DOCTYPE html><html>
<head><meta charset="utf-8"><title>Boat</title><style>p {{ color: red }}</style></head>
<body><nav>Home</nav><h1>{HEADING}</h1><p>{textwrap.fill(FIRST)}<p>{SECOND}</p><div>{THIRD}</div></body></html>
"""


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    """The text as a file of each format: name → content. A pasted text has no name."""
    return {
        "boat.txt": "\n\n".join(map(textwrap.fill, PARAGRAPHS)).encode(),
        "boat windows.txt": "\r\n\r\n".join(PARAGRAPHS).encode("cp1252"),
        "boat notepad.txt": "\ufeff{}".format("\r\n".join(PARAGRAPHS)).encode("utf-16-le"),
        "": "\n\n".join(PARAGRAPHS).encode(),
        "boat.md": MARKDOWN.encode(),
        "boat.html": HTML.encode(),
        "boat.docx": builders.make_docx("".join(map(builders.word_paragraph, PARAGRAPHS))),
        "boat.odt": builders.make_odt(
            f"<text:h>{HEADING}</text:h>" + "".join(f"<text:p>{text}</text:p>" for text in PARAGRAPHS[1:])
        ),
        "boat.epub": builders.make_epub(
            {
                "one.xhtml": f"<html><body><h1>{HEADING}</h1><p>{FIRST}</p></body></html>",
                "two.xhtml": f"<html><body><p>{SECOND}</p><p>{THIRD}</p></body></html>",
            }
        ),
        "boat.rtf": builders.make_rtf("\\par ".join(PARAGRAPHS)),
        "boat.pdf": builders.make_pdf(TYPST + f"= {HEADING}\n\n" + "\n\n".join(PARAGRAPHS[1:])),
    }


def test_each_format_gives_the_same_paragraphs(written):
    for name, content in written.items():
        (document,) = read_document(name, content)
        assert document.refusal is None, name
        assert document.text.split("\n\n") == PARAGRAPHS, name
        assert (document.language, document.words, document.quotation_share) == ("de", 100, 0.03), name


def test_an_archive_gives_each_of_its_documents(written):
    named = {f"texts/{name}": content for name, content in written.items() if name}
    tar = builders.make_tar(named)
    packed = {"all.zip": builders.make_zip(named), "all.tar": tar, "all.tar.gz": gzip.compress(tar)}
    for name, content in packed.items():
        documents = read_document(name, content)
        assert [document.name for document in documents] == list(named)
        assert {document.text for document in documents} == {"\n\n".join(PARAGRAPHS)}


def test_a_printed_book_loses_its_heads_numbers_and_hyphens():
    source = """
    #set text(lang: "de", hyphenate: true)
    #set page(width: 8cm, height: 9cm, margin: 1.2cm, footer: context align(center, counter(page).display()),
      header: context if calc.odd(counter(page).get().first()) [DER FÄHRMANN] else [Anna Autorin])
    #set par(justify: true, first-line-indent: 1em, spacing: 0.65em)
    """
    paragraphs = [FIRST, SECOND, THIRD] * 6
    (document,) = read_document("book.pdf", builders.make_pdf(source + "\n\n".join(paragraphs)))
    assert document.text.split("\n\n") == paragraphs
    assert document.removed.running_heads == document.removed.page_numbers > 5
    assert document.removed.hyphens > 5
