"""HTML: `.html`, and the chapters of an EPUB."""

import re
from collections.abc import Mapping

from lxml import etree

from training.reading.cleaning import decode
from training.reading.drafts import Draft
from training.reading.limits import ReadingLimits
from training.reading.markup import ParagraphTarget

BLOCK_NAMES = (
    "address article aside blockquote body caption center dd details div dl dt figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hr li main ol p pre section summary table "
    "tbody td tfoot th thead tr ul"
)
SKIPPED_NAMES = (
    "audio button canvas embed head iframe math nav noscript object rp rt script select style "
    "svg template textarea title video"
)
BLOCKS = frozenset(BLOCK_NAMES.split())
SKIPPED = frozenset(SKIPPED_NAMES.split())
# How mail programs mark what a reply quotes.
REPLY_CLASSES = re.compile(r"\b(?:gmail_quote|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote)\b")
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
WHITE_SPACE = re.compile(r"[ \t\r\n\f]+")
DECLARED_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w-]{2,30})""", re.IGNORECASE
)
DECLARED_WITHIN = 2_048  # bytes; the standard says 1,024
PART_CHARACTERS = 64 * 1024


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs that a browser would show. Raises Refused."""
    return read_html(content, HtmlTarget(limits))


def read_html(content: bytes, target: "HtmlTarget") -> Draft:
    """Feed one HTML document to a target; return everything that it has found so far. Raises Refused."""
    declared = DECLARED_CHARSET.search(content[:DECLARED_WITHIN])
    text = decode(content, declared.group(1).decode() if declared else "")
    # The text is decoded: a declaration in it must not have it decoded once more.
    parser = etree.HTMLParser(target=target, encoding="utf-8", no_network=True, huge_tree=False)
    encoded = text.encode(errors="replace")
    for start in range(0, len(encoded), PART_CHARACTERS):
        parser.feed(encoded[start : start + PART_CHARACTERS])
    draft: Draft = parser.close()
    return draft


class HtmlTarget(ParagraphTarget):
    """Knows HTML's elements."""

    def __init__(self, limits: ReadingLimits) -> None:
        super().__init__(limits)
        self._preformatted_depth = 0

    def is_skipped(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return whether an element is hidden, isn't prose, or quotes a mail in a reply."""
        if tag in SKIPPED or "hidden" in attributes:
            return True
        is_reply = attributes.get("type") == "cite" or bool(REPLY_CLASSES.search(attributes.get("class", "")))
        self.draft.quoted_replies += is_reply
        return is_reply or bool(HIDDEN_STYLE.search(attributes.get("style", "")))

    def open_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin a paragraph with each block."""
        if tag in BLOCKS:
            self.end_paragraph()
        if tag == "br":
            super().add_text("\n")
        elif tag == "blockquote":
            self._quoted_depth += 1
        elif tag == "pre":
            self._preformatted_depth += 1

    def close_element(self, tag: str) -> None:
        """End a paragraph with each block."""
        if tag in BLOCKS:
            self.end_paragraph()
        if tag == "blockquote":
            self._quoted_depth = max(0, self._quoted_depth - 1)
        elif tag == "pre":
            self._preformatted_depth = max(0, self._preformatted_depth - 1)

    def add_text(self, text: str) -> None:
        """Add text; a line break of the file is a blank, as in a browser."""
        super().add_text(text if self._preformatted_depth else WHITE_SPACE.sub(" ", text))
