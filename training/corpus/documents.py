"""A document, as reading returns it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SourceDocument:
    """One document's text: paragraphs with one blank line between them.

    `language`: ISO 639-1, or "" where it is unclear. `quotation_share`: of the words, 0 to 1.
    """

    id: str
    text: str
    language: str
    quotation_share: float = 0.0
