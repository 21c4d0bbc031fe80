"""OpenDocument text: `.odt`, of LibreOffice and others. OASIS OpenDocument 1.3, part 3."""

from collections.abc import Mapping

from training.reading.documents import Refused
from training.reading.drafts import Draft
from training.reading.limits import ReadingLimits
from training.reading.markup import XmlTarget, parse_xml
from training.reading.packages import Package

CONTENT = "content.xml"
MANIFEST = "META-INF/manifest.xml"
ENCRYPTED = b"encryption-data"  # an element of the manifest, for each part that has a password
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
PARAGRAPHS = frozenset({f"{TEXT}p", f"{TEXT}h"})
SKIPPED = frozenset(
    {
        *(f"{TEXT}tracked-changes", f"{TEXT}note", f"{TEXT}ruby-text", f"{TEXT}table-of-content"),
        *(f"{TEXT}alphabetical-index", f"{TEXT}bibliography", f"{OFFICE}annotation", f"{OFFICE}forms"),
    }
)
SPACES = f"{TEXT}s"
MOST_SPACES = 100  # in one element, which only says how many
TEXTS = {f"{TEXT}tab": "\t", f"{TEXT}line-break": "\n"}
QUOTE_STYLES = ("Quotations", "Quote")


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of the text: no headers, footers, notes or comments. Raises Refused."""
    package = Package(content, limits)
    if MANIFEST in package and ENCRYPTED in package.read(MANIFEST):
        raise Refused("encrypted")
    if CONTENT not in package:
        raise Refused("damaged")
    return parse_xml(package.read_chunks(CONTENT), OpenDocumentTarget(limits))


class OpenDocumentTarget(XmlTarget):
    """Knows OpenDocument's elements."""

    def __init__(self, limits: ReadingLimits) -> None:
        super().__init__(limits)
        self._open_paragraphs = 0

    def is_skipped(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return whether an element is no part of the running text."""
        return tag in SKIPPED

    def open_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin a paragraph, or add what an element stands for."""
        if tag in PARAGRAPHS:
            self.end_paragraph()
            self._open_paragraphs += 1
            self._quoted_depth = int(attributes.get(f"{TEXT}style-name", "") in QUOTE_STYLES)
        elif tag == SPACES:
            count = attributes.get(f"{TEXT}c", "1")
            super().add_text(" " * min(MOST_SPACES, int(count) if count.isdecimal() else 1))
        elif tag in TEXTS:
            super().add_text(TEXTS[tag])

    def close_element(self, tag: str) -> None:
        """End a paragraph."""
        if tag in PARAGRAPHS:
            self.end_paragraph()
            self._open_paragraphs -= 1

    def add_text(self, text: str) -> None:
        """Add text of a paragraph; a line break of the XML is a blank."""
        if self._open_paragraphs:
            super().add_text(text.replace("\n", " "))
