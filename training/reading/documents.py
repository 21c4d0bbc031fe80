"""The result of reading: the text of one document, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

type RefusalFact = str | int

SHOWN_CHARACTERS = 120  # of a file's name


class Refused(Exception):
    """A document can't be read; `code` and `facts` are those of its refusal."""

    def __init__(self, code: str, **facts: RefusalFact) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True)
class Refusal:
    """Why a document was not read. The sentence of each code is in `training/reading/problems.py`."""

    code: str
    facts: Mapping[str, RefusalFact] = field(default_factory=dict)


@dataclass(frozen=True)
class Removed:
    """What cleaning removed: lines of pages, hyphens at line ends, and paragraphs by others."""

    running_heads: int = 0
    page_numbers: int = 0
    hyphens: int = 0
    headings: int = 0
    licence: int = 0
    quoted_replies: int = 0


@dataclass(frozen=True)
class ReadDocument:
    """One document. Its text is empty exactly where there is a refusal.

    `text`: NFC, paragraphs separated by one blank line; a single line break is one that the writer set.
    `language`: ISO 639-1, or "" if unclear. `quotation_share`: of the words, 0 to 1.
    """

    name: str
    format: str
    text: str = ""
    words: int = 0
    language: str = ""
    removed: Removed = Removed()
    quotation_share: float = 0.0
    refusal: Refusal | None = None


class RefusalFields(TypedDict):
    """A refusal as JSON."""

    code: str
    facts: dict[str, RefusalFact]


class DocumentFields(TypedDict):
    """A document as JSON."""

    name: str
    format: str
    text: str
    words: int
    language: str
    removed: dict[str, int]
    quotation_share: float
    refusal: RefusalFields | None


def parse_document(fields: DocumentFields) -> ReadDocument:
    """Return a document from its JSON.

    Raises ValueError, TypeError or KeyError: a process that a file has hijacked could write anything.
    """
    removed = {kind: int(count) for kind, count in fields["removed"].items()}
    refusal = fields["refusal"]
    return ReadDocument(
        name=str(fields["name"]),
        format=str(fields["format"]),
        text=str(fields["text"]),
        words=int(fields["words"]),
        language=str(fields["language"]),
        removed=Removed(**removed),
        quotation_share=float(fields["quotation_share"]),
        refusal=_parse_refusal(refusal) if refusal else None,
    )


def refuse_document(name: str, refused: Refused, format_name: str = "") -> ReadDocument:
    """Return a refused document. The facts of its refusal name the file."""
    shown = printable_name(name)
    return ReadDocument(shown, format_name, refusal=Refusal(refused.code, {"file": shown, **refused.facts}))


def printable_name(name: str) -> str:
    """Return a file's name as short printable text, whatever it contains."""
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name
    )
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"


def _parse_refusal(fields: RefusalFields) -> Refusal:
    facts: dict[str, RefusalFact] = {}
    for name, fact in fields["facts"].items():
        facts[str(name)] = fact if isinstance(fact, int) else str(fact)
    return Refusal(str(fields["code"]), facts)
