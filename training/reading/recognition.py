"""Which format a file has. Its first bytes decide; its name only distinguishes kinds of plain text."""

import re
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import ZipFile

from training.reading.archives import damage_refused
from training.reading.documents import Refused

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
        return _recognise_zip(name, content)
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


def _recognise_zip(name: str, content: bytes) -> str:
    """Return the format of a ZIP, which may be a Word, OpenDocument or EPUB file."""
    with damage_refused(), ZipFile(BytesIO(content)) as package:
        return _recognise_package(name, package)


def _recognise_package(name: str, package: ZipFile) -> str:
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
