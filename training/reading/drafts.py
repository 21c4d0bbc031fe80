"""What a reader finds in a file, before it is cleaned."""

from dataclasses import dataclass, field

from training.reading.documents import Removed


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, or a block of lines that cleaning divides. `is_quoted`: marked as words of others."""

    text: str
    is_quoted: bool = False


@dataclass
class Draft:
    """The paragraphs of a document in their order, and how much a reader has left out on its way."""

    paragraphs: list[Paragraph] = field(default_factory=list)
    running_heads: int = 0  # lines
    page_numbers: int = 0  # lines
    hyphens: int = 0  # at line ends, and soft ones
    licence: int = 0  # paragraphs
    quoted_replies: int = 0  # paragraphs

    def count_removed(self) -> Removed:
        """Return what is not in the paragraphs any more."""
        return Removed(
            running_heads=self.running_heads,
            page_numbers=self.page_numbers,
            hyphens=self.hyphens,
            licence=self.licence,
            quoted_replies=self.quoted_replies,
        )
