"""Word: `.docx`, with or without macros, which are never read. ECMA-376 part 1, WordprocessingML.

Not python-docx: it builds the whole document as a tree, which takes a gigabyte where a table has no end.
"""

import posixpath
from collections.abc import Mapping

from training.reading.documents import Refused
from training.reading.drafts import Draft
from training.reading.limits import ReadingLimits
from training.reading.markup import XmlTarget, parse_tree, parse_xml
from training.reading.packages import Package

RELATIONSHIPS = "_rels/.rels"
MAIN_DOCUMENT = (
    "/officeDocument"  # how the type of its relationship ends, in the transitional and the strict form
)
USUAL_DOCUMENT = "word/document.xml"
NAMESPACES = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",  # strict
)
# Deleted and moved text, and the second form of what older programs can't show.
SKIPPED_NAMES = ("del", "moveFrom", "instrText", "delText")
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
SKIPPED = frozenset({FALLBACK, *(f"{namespace}{name}" for namespace in NAMESPACES for name in SKIPPED_NAMES)})
TEXTS = {
    "tab": "\t",
    "br": "\n",
    "cr": "\n",
    "noBreakHyphen": "\N{NON-BREAKING HYPHEN}",
    "softHyphen": "\xad",
}
# Most elements of a document only say how it looks.
NAMES = {f"{namespace}{name}": name for namespace in NAMESPACES for name in ("p", "pStyle", "t", *TEXTS)}
QUOTE_STYLES = ("quote", "intensequote", "zitat", "intensiveszitat", "citation", "cita")
CONTENTS_STYLES = ("toc", "verzeichnis")  # lines of a table of contents, one style for each level


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of the document: no headers, footers, notes or comments. Raises Refused."""
    package = Package(content, limits)
    part = _find_document(package)
    if part not in package:
        raise Refused("damaged")
    return parse_xml(package.read_chunks(part), WordTarget(limits))


def _find_document(package: Package) -> str:
    """Return the path of the main document in the package."""
    if USUAL_DOCUMENT in package or RELATIONSHIPS not in package:
        return USUAL_DOCUMENT
    for relationship in parse_tree(package.read(RELATIONSHIPS)):
        if relationship.get("Type", "").endswith(MAIN_DOCUMENT):
            target: str = relationship.get("Target", "")
            return posixpath.normpath(target).lstrip("/")
    return USUAL_DOCUMENT


class WordTarget(XmlTarget):
    """Knows WordprocessingML's elements."""

    def __init__(self, limits: ReadingLimits) -> None:
        super().__init__(limits)
        self._is_text = False
        self._is_contents = False

    def is_skipped(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return whether an element's text is not, or no longer, part of the document."""
        return tag in SKIPPED

    def open_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin a paragraph, or note that text follows."""
        name = NAMES.get(tag)
        if name is None:
            return
        if name == "p":
            self.end_paragraph()
        elif name == "pStyle":
            self._note_style(attributes)
        elif name == "t":
            self._is_text = True
        else:
            super().add_text(TEXTS[name])

    def close_element(self, tag: str) -> None:
        """End a paragraph, or the text of a run."""
        name = NAMES.get(tag)
        if name == "p":
            self.end_paragraph()
        elif name == "t":
            self._is_text = False

    def add_text(self, text: str) -> None:
        """Add text of a run; other text between elements only formats the XML."""
        if self._is_text:
            super().add_text(text)

    def end_paragraph(self) -> None:
        """Add the paragraph, unless it is a line of a table of contents."""
        if self._is_contents:
            self._pieces.clear()
        super().end_paragraph()
        self._is_contents = False
        self._quoted_depth = 0

    def _note_style(self, attributes: Mapping[str, str]) -> None:
        styles = [value.lower() for name, value in attributes.items() if name.endswith("}val")]
        style = styles[0] if styles else ""
        self._is_contents = style.startswith(CONTENTS_STYLES)
        self._quoted_depth = int(style in QUOTE_STYLES)
