"""One reader for each format. Its module is loaded when needed: a plain text needs no XML."""

import re
from importlib import import_module
from io import BytesIO
from pathlib import PurePosixPath
from typing import Protocol, cast
from zipfile import ZipFile

from training.reading.archives import damage_refused
from training.reading.characters import lost_share
from training.reading.cleaning import clean, quotation_share
from training.reading.documents import ReadDocument, Refused, printable_name, refuse_document
from training.reading.drafts import Draft
from training.reading.limits import MIB, ReadingLimits
from training.text import count_words, detect_language

# Which format a file has. Its first bytes decide; its name only distinguishes kinds of plain text.

TEXT_ENDINGS = {
    "": "txt",  # pasted text has no name
    ".txt": "txt",
    ".text": "txt",
    ".md": "md",
    ".markdown": "md",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
# Not plain text: a text with such a name was renamed or is cut off.
OTHER_ENDINGS = (".docx", ".odt", ".epub", ".rtf", ".pdf", ".zip", ".tar", ".gz", ".tgz")
ENDINGS = (*filter(None, TEXT_ENDINGS), *OTHER_ENDINGS)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word before 2007, and any Office file with a password
OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the name of a stream in its directory
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")  # of a first member, and of an archive without any
GZIP_MARK = b"\x1f\x8b"
TAR_MARK, TAR_MARK_AT = b"ustar", 257
PDF_MARK, PDF_MARK_WITHIN = b"%PDF-", 1024  # Adobe's reader looks as far
RTF_MARK = b"{\\rtf"
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE
)
MIMETYPES = {
    b"application/vnd.oasis.opendocument.text": "odt",
    b"application/vnd.oasis.opendocument.text-template": "odt",
    b"application/epub+zip": "epub",
}
LONGEST_MIMETYPE = 100


def recognise(name: str, content: bytes) -> str:
    """Return the format of a file: that of a reader or an archive. Raises Refused."""
    if not content.strip(b"\0 \t\r\n"):
        raise Refused("empty")
    start = content[:PDF_MARK_WITHIN]
    if start.startswith(ZIP_MARKS):
        with damage_refused(), ZipFile(BytesIO(content)) as package:
            return _recognise_package(name, package)
    if start.startswith(OLE):
        raise Refused("encrypted" if OLE_ENCRYPTED in content else "old_word")
    if start.startswith(GZIP_MARK):
        return "tar.gz"
    if start[TAR_MARK_AT:].startswith(TAR_MARK):
        return "tar"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(RTF_MARK):
        return "rtf"
    if start.lstrip().startswith(PDF_MARK) or (PDF_MARK in start and ending_of(name) == ".pdf"):
        return "pdf"
    return _recognise_text(name, start)


def ending_of(name: str) -> str:
    """Return the last ending of a name in lower case, with its dot."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def _recognise_package(name: str, package: ZipFile) -> str:
    """Return the format of a ZIP, which may be a Word, OpenDocument or EPUB file."""
    names = package.NameToInfo
    mimetype = names.get("mimetype")
    if mimetype and mimetype.file_size <= LONGEST_MIMETYPE:
        declared = package.read(mimetype).strip()
        if declared in MIMETYPES:
            return MIMETYPES[declared]
        raise Refused("unsupported")
    if "META-INF/container.xml" in names:
        return "epub"
    if "[Content_Types].xml" in names:
        if any(part.startswith("word/") for part in names):
            return "docx"
        raise Refused("unsupported")
    ending = ending_of(name)
    if ending in (".docx", ".odt", ".epub"):
        raise Refused("damaged")
    if ending not in (".zip", ""):
        raise Refused("unsupported")
    return "zip"


def _recognise_text(name: str, start: bytes) -> str:
    """Return the kind of a text by its name."""
    ending = ending_of(name)
    if ending in OTHER_ENDINGS:
        raise Refused("misnamed", ending=ending)
    if ending not in TEXT_ENDINGS:
        raise Refused("unsupported")
    format_name = TEXT_ENDINGS[ending]
    is_html = format_name == "txt" and HTML_START.match(start)
    return "html" if is_html else format_name


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
