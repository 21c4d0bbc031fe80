"""A document as reading hands it over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceDocument:
    """One document's text: paragraphs with one blank line between them. `language` is a code such as `en`."""

    id: str
    title: str
    text: str
    language: str
