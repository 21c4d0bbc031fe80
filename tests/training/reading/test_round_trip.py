"""The same text, written in each format, comes back as the same paragraphs."""

import gzip
import tarfile

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


def wrap(text: str, width: int = 68) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


TYPST = """
#set text(lang: "de", hyphenate: true)
#set page(width: 11cm, height: 14cm, numbering: "1")
#set par(justify: true)
"""
MARKDOWN = f"""---
title: Boat
---
# {HEADING}

{wrap(FIRST)}

{SECOND.replace("Korb", "**Korb**")}

{THIRD}
"""
HTML = f"""<!DOCTYPE html><html>
<head><meta charset="utf-8"><title>Boat</title><style>p {{ color: red }}</style></head>
<body><nav>Home</nav><h1>{HEADING}</h1><p>{wrap(FIRST)}<p>{SECOND}</p><div>{THIRD}</div></body></html>
"""
WRITTEN = {
    "boat.txt": "\n\n".join(map(wrap, PARAGRAPHS)).encode(),
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


@pytest.mark.parametrize("name", WRITTEN)
def test_each_format_gives_the_same_paragraphs(name):
    (document,) = read_document(name, WRITTEN[name])
    assert document.refusal is None
    assert document.text.split("\n\n") == PARAGRAPHS
    assert document.language == "de"
    assert document.words == 100
    assert document.quotation_share == 0.03


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
def test_an_archive_gives_each_of_its_documents(ending):
    named = {name: content for name, content in WRITTEN.items() if name}
    if ending == ".zip":
        packed = builders.make_zip({"texts/" + name: content for name, content in named.items()})
    else:
        packed = builders.make_tar(
            [(tarfile.TarInfo(f"texts/{name}"), content) for name, content in named.items()]
        )
    if ending == ".tar.gz":
        packed = gzip.compress(packed)
    documents = read_document(f"all{ending}", packed)
    assert [document.name for document in documents] == [f"texts/{name}" for name in named]
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
