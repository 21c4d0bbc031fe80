"""One reader for each format. Its module is loaded when needed: a plain text needs no XML."""

from importlib import import_module
from typing import Protocol, cast

from training.reading.characters import lost_share
from training.reading.cleaning import clean, quotation_share
from training.reading.documents import (
    MIB,
    ReadDocument,
    ReadingLimits,
    Refused,
    printable_name,
    refuse_document,
)
from training.reading.drafts import Draft
from training.text.languages import detect_language
from training.text.words import count_words

MODULES = {
    "txt": "training.reading.formats.plain",
    "md": "training.reading.formats.markdown",
    "html": "training.reading.formats.html",
    "docx": "training.reading.formats.docx",
    "odt": "training.reading.formats.odt",
    "epub": "training.reading.formats.epub",
    "rtf": "training.reading.formats.rtf",
    "pdf": "training.reading.formats.pdf",
}
MOST_LOST_SHARE = 0.05  # of the characters; a PDF whose fonts don't name their letters has far more


class Reader(Protocol):
    """A module of `formats`."""

    def read(self, content: bytes, limits: ReadingLimits) -> Draft:
        """Return the paragraphs of a file's content. Raises Refused; any other error means damage."""


def load(format_name: str) -> None:
    """Import a format's reader and its libraries, which opens files."""
    import_module(MODULES[format_name])


def load_all() -> None:
    """Import every reader."""
    for format_name in MODULES:
        load(format_name)


def read(name: str, format_name: str, content: bytes, limits: ReadingLimits) -> ReadDocument:
    """Return a document of a format whose reader is loaded. Raises nothing."""
    try:
        return _read(name, format_name, content, limits)
    except Refused as refused:
        return refuse_document(name, refused, format_name)
    except MemoryError:
        return refuse_document(name, Refused("needs_memory"), format_name)
    except Exception:  # noqa: BLE001  (no list of what libraries raise over damaged files is complete)
        return refuse_document(name, Refused("damaged"), format_name)


def _read(name: str, format_name: str, content: bytes, limits: ReadingLimits) -> ReadDocument:
    reader = cast("Reader", import_module(MODULES[format_name]))
    draft = reader.read(content, limits)
    if lost_share(paragraph.text for paragraph in draft.paragraphs) > MOST_LOST_SHARE:
        raise Refused("garbled")
    cleaned = clean(draft)
    text = "\n\n".join(paragraph.text for paragraph in cleaned.paragraphs)
    if len(text.encode()) > limits.text_bytes:
        raise Refused("too_long", limit_mb=limits.text_bytes // MIB)
    words = count_words(text)
    if not words:
        raise Refused("no_text")
    return ReadDocument(
        name=printable_name(name),
        format=format_name,
        text=text,
        words=words,
        language=detect_language(text),
        removed=cleaned.count_removed(),
        quotation_share=quotation_share(cleaned.paragraphs, words),
    )
