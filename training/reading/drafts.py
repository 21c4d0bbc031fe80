"""What a reader finds in a file, before cleaning."""

from dataclasses import dataclass, field

from training.reading.documents import Removed


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, or a block of lines that cleaning divides. `is_quoted`: someone else's words."""

    text: str
    is_quoted: bool = False


@dataclass
class Draft:
    """The paragraphs of a document in order, and how much was removed."""

    paragraphs: list[Paragraph] = field(default_factory=list)
    running_heads: int = 0  # lines
    page_numbers: int = 0  # lines
    hyphens: int = 0  # at line ends, and soft ones
    headings: int = 0  # numbers and titles of chapters: paragraphs
    licence: int = 0  # paragraphs
    quoted_replies: int = 0  # paragraphs

    def count_removed(self) -> Removed:
        """Return what was removed from the paragraphs."""
        return Removed(
            running_heads=self.running_heads,
            page_numbers=self.page_numbers,
            hyphens=self.hyphens,
            headings=self.headings,
            licence=self.licence,
            quoted_replies=self.quoted_replies,
        )
