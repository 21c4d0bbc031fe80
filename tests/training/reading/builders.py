"""Documents, made in memory: ordinary ones in each format, and parts for those that mean harm."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

import typst
from pypdf import PdfWriter

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTENT_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>'
)
ODT_TYPE = "application/vnd.oasis.opendocument.text"
EPUB_TYPE = "application/epub+zip"
CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def make_zip(parts: Mapping[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def make_tar(files: Mapping[str, bytes], *before: tarfile.TarInfo) -> bytes:
    """Return a tar of files; `before` are members without content, which come first."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info in before:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def make_docx(body: str, further: Mapping[str, bytes | str] | None = None, *, before: str = "") -> bytes:
    document = f'{before}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    parts: dict[str, bytes | str] = {"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": document}
    return make_zip(parts | dict(further or {}))


def word_paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def make_odt(body: str, *, before: str = "", further: Mapping[str, bytes | str] | None = None) -> bytes:
    content = (
        f'{before}<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        f'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:text>{body}'
        "</office:text></office:body></office:document-content>"
    )
    return make_zip({"mimetype": ODT_TYPE, "content.xml": content} | dict(further or {}))


def make_epub(chapters: Mapping[str, str], further: Mapping[str, bytes | str] | None = None) -> bytes:
    items, spine = "", ""
    for number, name in enumerate(chapters):
        items += f'<item id="c{number}" href="{name}" media-type="application/xhtml+xml"/>'
        spine += f'<itemref idref="c{number}"/>'
    book = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    parts: dict[str, bytes | str] = {
        "mimetype": EPUB_TYPE,
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": book,
    }
    for name, chapter in chapters.items():
        parts[f"OEBPS/{name}"] = chapter
    return make_zip(parts | dict(further or {}))


def make_rtf(body: str) -> bytes:
    escaped = "".join(letter if letter.isascii() else f"\\u{ord(letter)}?" for letter in body)
    return b"{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0 Times;}}" + escaped.encode() + b"}"


def make_pdf(source: str) -> bytes:
    return typst.compile(source.encode())


def make_bare_pdf(pages: Sequence[bytes], *, catalog: str = "", objects: Sequence[bytes] = ()) -> bytes:
    """Return a PDF of content streams, as small as one can be. `objects` are numbered from 4 on."""
    numbered = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", *objects]
    kids = []
    for content in pages:
        numbered.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        numbered.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> /XObject << /X 4 0 R >> >> >>" % len(numbered)
        )
        kids.append(b"%d 0 R" % len(numbered))
    numbered[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog.encode()
    numbered[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    return _write_pdf(numbered)


def _write_pdf(objects: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    file.write(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        file.write(b"%010d 00000 n \n" % place)
    file.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return file.getvalue()


def encrypt_pdf(content: bytes) -> bytes:
    """Return a PDF that asks for a password."""
    writer = PdfWriter(io.BytesIO(content))
    writer.encrypt("secret", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()
