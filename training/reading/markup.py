"""XML and HTML → paragraphs, event by event. No tree is built, so a deep or endless file only costs time.

lxml parses both, with everything disabled that reaches beyond the file: entities are not expanded, no DTD
is loaded, no address is opened. A document type declaration in XML is refused: neither Word nor
LibreOffice writes one, and attacks by entities need it.
"""

from collections.abc import Iterable, Mapping

from lxml import etree

from training.reading.documents import Refused
from training.reading.drafts import Draft, Paragraph
from training.reading.limits import MIB, ReadingLimits

LARGEST_TREE_BYTES = 4 * MIB  # of a list of a package's parts


class ParagraphTarget:
    """Collects paragraphs while a document is parsed. Subclasses know its elements."""

    def __init__(self, limits: ReadingLimits) -> None:
        self.draft = Draft()
        self._limit_bytes = limits.text_bytes
        self._left_characters = limits.text_bytes
        self._pieces: list[str] = []
        self._skipped_depth = 0  # elements that are open within one whose content is left out
        self._quoted_depth = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element."""
        if self._skipped_depth or self.is_skipped(tag, attributes):
            self._skipped_depth += 1
        else:
            self.open_element(tag, attributes)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if self._skipped_depth:
            self._skipped_depth -= 1
        else:
            self.close_element(tag)

    def data(self, text: str) -> None:
        """Take text."""
        if not self._skipped_depth:
            self.add_text(text)

    def close(self) -> Draft:
        """Return what was found."""
        self.end_paragraph()
        return self.draft

    def is_skipped(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return whether an element is left out with all its content."""
        raise NotImplementedError

    def open_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element that is not left out."""
        raise NotImplementedError

    def close_element(self, tag: str) -> None:
        """Take the end of an element that is not left out."""
        raise NotImplementedError

    def add_text(self, text: str) -> None:
        """Add text to the paragraph. Raises Refused once the document has too much."""
        self._left_characters -= len(text)
        if self._left_characters < 0:
            raise Refused("too_long", limit_mb=self._limit_bytes // MIB)
        self._pieces.append(text)

    def end_paragraph(self) -> None:
        """Begin a new paragraph."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if text and not text.isspace():
            self.draft.paragraphs.append(Paragraph(text, is_quoted=self._quoted_depth > 0))


class XmlTarget(ParagraphTarget):
    """A target for XML."""

    def doctype(self, _name: str, _public: str, _system: str) -> None:
        """Refuse a document type declaration."""
        raise Refused("document_type")


def parse_xml(chunks: Iterable[bytes], target: XmlTarget) -> Draft:
    """Feed XML to a target. Raises Refused, etree.XMLSyntaxError."""
    parser = etree.XMLParser(
        target=target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    for chunk in chunks:
        parser.feed(chunk)
    draft: Draft = parser.close()
    return draft


def parse_tree(content: bytes) -> etree._Element:
    """Return the elements of a small XML file. Raises Refused, etree.XMLSyntaxError."""
    if len(content) > LARGEST_TREE_BYTES:
        raise Refused("damaged")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(content, parser)
