"""PDF, by PDFium: Chrome's reader, built without JavaScript. It only extracts the text of pages.

Its plain C functions are called, because pypdfium2's classes also load forms and repair objects.
"""

import ctypes
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pypdfium2.raw as pdfium

from training.reading.characters import SOFT_HYPHEN
from training.reading.documents import Refused
from training.reading.drafts import Draft
from training.reading.formats.pdf_layout import Line, join_pages
from training.reading.limits import MIB, ReadingLimits

# A line ends with one of these; the second is PDFium's mark for a hyphen there, which it takes away.
LINE_ENDS = re.compile("\r\n|[\n\r]|\ufffe|\x02")
HYPHEN_MARKS = ("\ufffe", "\x02")
LEAST_CHARACTERS = 20  # on a page; a scanned one has none, or a stamp
CHECKED_OBJECTS = 50  # objects of a page without text
UTF16_BYTES = 2

pdfium.FPDF_InitLibrary()


@dataclass
class Pages:
    """What the pages of a document have."""

    lines: list[list[Line]] = field(default_factory=list)
    characters: int = 0
    pictures: int = 0  # pages that have hardly any text, but one


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of all pages. Raises Refused."""
    with _open_document(content) as document:
        count = pdfium.FPDF_GetPageCount(document)
        if count > limits.pages:
            raise Refused("too_many_pages", pages=count, limit=limits.pages)
        pages = Pages()
        for index in range(count):
            _read_page(document, index, pages)
            if pages.characters > limits.text_bytes:
                raise Refused("too_long", limit_mb=limits.text_bytes // MIB)
    if pages.pictures and pages.characters < LEAST_CHARACTERS * count:
        raise Refused("scanned")
    return join_pages(pages.lines)


@contextmanager
def _open_document(content: bytes) -> Iterator[ctypes.c_void_p]:
    document = pdfium.FPDF_LoadMemDocument64(content, len(content), None)
    if not document:
        needs_password = pdfium.FPDF_GetLastError() in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        raise Refused("encrypted" if needs_password else "damaged")
    try:
        yield document
    finally:
        pdfium.FPDF_CloseDocument(document)


def _read_page(document: ctypes.c_void_p, index: int, pages: Pages) -> None:
    page = pdfium.FPDF_LoadPage(document, index)
    if not page:  # a damaged page; the others may be whole
        pages.lines.append([])
        return
    try:
        lines = _read_lines(page)
        characters = sum(len(line.text) for line in lines)
        pages.lines.append(lines)
        pages.characters += characters
        pages.pictures += characters < LEAST_CHARACTERS and _has_picture(page)
    finally:
        pdfium.FPDF_ClosePage(page)


def _has_picture(page: ctypes.c_void_p) -> bool:
    for index in range(min(CHECKED_OBJECTS, pdfium.FPDFPage_CountObjects(page))):
        kind = pdfium.FPDFPageObj_GetType(pdfium.FPDFPage_GetObject(page, index))
        if kind in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM):
            return True
    return False


def _read_lines(page: ctypes.c_void_p) -> list[Line]:
    """Return the lines of a page in the order of its content, with their places."""
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return []
    try:
        lines = []
        for text, first, last in _split_lines(_read_text(text_page)):
            place = _find_place(text_page, first, last)
            lines.append(Line(text, *place))
        return lines
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def _read_text(text_page: ctypes.c_void_p) -> str:
    count = max(0, pdfium.FPDFText_CountChars(text_page))
    buffer = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(text_page, 0, count, buffer)
    units = bytes(buffer)[: UTF16_BYTES * max(0, written - 1)]  # less the zero at its end
    return units.decode("utf-16-le", "replace")


def _split_lines(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each line that is not blank, with the indexes of its first and last visible character."""
    start = 0
    for end in [*LINE_ENDS.finditer(text), None]:
        line = text[start : end.start() if end else len(text)]
        visible = line.strip()
        if visible:
            first = start + line.index(visible[0])
            last = first + len(visible) - 1
            has_mark = end is not None and end.group() in HYPHEN_MARKS
            if has_mark or visible.endswith(SOFT_HYPHEN):  # the mark is missing at the end of a page
                visible = f"{visible.removesuffix(SOFT_HYPHEN)}-"
            yield visible, first, last
        start = end.end() if end else len(text)


def _find_place(text_page: ctypes.c_void_p, first: int, last: int) -> tuple[float, float, float, float]:
    """Return a line's left, right and baseline, in points from the page's lower left corner, and its size."""
    start, end = _char_index(text_page, first), _char_index(text_page, last)
    left, right = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, start, left)
    pdfium.FPDFText_GetLooseCharBox(text_page, end, right)
    baseline_x, baseline = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, start, baseline_x, baseline)
    return left.left, right.right, baseline.value, _find_size(text_page, start)


def _char_index(text_page: ctypes.c_void_p, text_index: int) -> int:
    return int(pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text_index))


def _find_size(text_page: ctypes.c_void_p, index: int) -> float:
    """Return the size of a letter as it is shown: many programs set size 1 and scale it."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text_page, index, matrix)
    return float(pdfium.FPDFText_GetFontSize(text_page, index)) * math.hypot(matrix.c, matrix.d)
