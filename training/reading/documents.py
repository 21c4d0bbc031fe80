"""The result of reading: the text of one document, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from django.utils.translation import gettext_noop as _

from core.messages import Facts, Message, MessageCode, group_numbers

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
    """Why a document was not read. The sentence of each code is in `training/reading/documents.py`."""

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


# Why a document was not read, and what to do: a sentence and a fix for each code of a refusal.

SAVE_AGAIN = _("Open it in the program you wrote it with, save it again and add the new file.")
SAVE_AS_DOCX = _("Open it in Word or LibreOffice, save it as .docx and add that file.")
SPLIT = _("Split it into several files and add those.")
PACK_AGAIN = _("Add the documents themselves, or pack them again as a .zip file.")
SUPPORTED = _("Save it as .docx, .odt, .epub, .rtf, .pdf, .html, .md or .txt and add that file.")


class ReadingCode(MessageCode):
    """Sentences about documents. Numbers are written as people write them."""

    def show_facts(self, facts: Facts) -> dict[str, str]:
        """Return facts as texts; a pasted text has no name."""
        shown = group_numbers(facts)
        return shown | {"file": shown.get("file") or str(ReadingWord.PASTED_TEXT())}


class ReadingWord(MessageCode):
    """Names of documents without one."""

    PASTED_TEXT = _("Your pasted text")


class ReadingProblem(ReadingCode):
    """Why a document was not read, by the code of its refusal."""

    EMPTY = _("{file} is empty.")
    NO_TEXT = _("{file} contains no words.")
    TOO_LARGE = _("{file} is larger than {limit_mb} MB.")
    TOO_LONG = _("{file} contains more than {limit_mb} MB of text.")
    UNPACKS_TOO_LARGE = _("{file} unpacks to more than {limit_mb} MB.")
    TOO_MANY_PAGES = _("{file} has {pages} pages; the limit is {limit}.")
    TOO_MANY_MEMBERS = _("{file} contains more than {limit} files.")
    TOO_SLOW = _("{file} takes too long to read: more than {limit_s} seconds.")
    NEEDS_MEMORY = _("{file} is too complex: reading it takes more memory than we allow.")
    READER_FAILED = _("{file} couldn't be read because of a problem on our side.")
    UNSUPPORTED = _("{file} is in a format we can't read.")
    OLD_WORD = _("{file} is in an old Office format (.doc).")
    MISNAMED = _("{file} is not a {ending} file, although its name ends that way.")
    BINARY = _("{file} contains data, not text.")
    ENCODING = _("{file} uses a character encoding we can't identify.")
    DAMAGED = _("{file} is damaged or incomplete.")
    DOCUMENT_TYPE = _("{file} declares XML entities, which could load other files, so we don't open it.")
    ENCRYPTED = _("{file} is protected with a password.")
    COPY_PROTECTED = _("{file} is copy-protected (DRM).")
    SCANNED = _("{file} consists of scanned pages: pictures of text, without the text itself.")
    GARBLED = _("The text in {file} can't be extracted, because its fonts don't say which letters they show.")
    ARCHIVE_EMPTY = _("{file} contains no documents.")
    ARCHIVE_NESTED = _("{file} is an archive inside an archive.")
    ARCHIVE_PATH = _("The path {file} points outside the archive.")
    ARCHIVE_LINK = _("{file} is a link or a device, not a regular file.")
    ARCHIVE_METHOD = _("{file} is packed with an unsupported compression method.")
    ARCHIVE_SLOW = _("{file} wasn't read: the archive as a whole took longer than {limit_s} seconds.")
    ARCHIVE_GIVEN_UP = _("{file} wasn't read: {limit} other files of the archive took too long.")


class ReadingFix(ReadingCode):
    """What to do about it, by the code of a refusal. Some fixes are the same."""

    EMPTY = _("Check that you saved your text in it, then add it again.")
    NO_TEXT = _("Add a file that contains your text.")
    TOO_LARGE = _("Remove pictures, or split it into several files.")
    TOO_LONG = SPLIT
    UNPACKS_TOO_LARGE = SAVE_AGAIN
    TOO_MANY_PAGES = SPLIT
    TOO_MANY_MEMBERS = SPLIT
    TOO_SLOW = SAVE_AS_DOCX
    NEEDS_MEMORY = SPLIT
    READER_FAILED = _("Try again in a few minutes. If it happens again, save it in another format.")
    UNSUPPORTED = SUPPORTED
    OLD_WORD = SAVE_AS_DOCX
    MISNAMED = SUPPORTED
    BINARY = SUPPORTED
    ENCODING = _("Save it with the encoding UTF-8 and add it again.")
    DAMAGED = SAVE_AGAIN
    DOCUMENT_TYPE = SAVE_AGAIN
    ENCRYPTED = _("Remove the password and add it again.")
    COPY_PROTECTED = _("Add the manuscript the book was made from.")
    SCANNED = _("Add the original document, or run text recognition (OCR) on the PDF first.")
    GARBLED = _("Add the document that the PDF was made from.")
    ARCHIVE_EMPTY = PACK_AGAIN
    ARCHIVE_NESTED = PACK_AGAIN
    ARCHIVE_PATH = PACK_AGAIN
    ARCHIVE_LINK = PACK_AGAIN
    ARCHIVE_METHOD = PACK_AGAIN
    ARCHIVE_SLOW = SPLIT
    ARCHIVE_GIVEN_UP = PACK_AGAIN


@dataclass(frozen=True)
class Explanation:
    """What a person reads about a refusal."""

    sentence: Message
    fix: Message


def explain(refusal: Refusal) -> Explanation:
    """Return why a document was not read and what to do about it."""
    name = refusal.code.upper()
    problem, fix = ReadingProblem.__members__[name], ReadingFix.__members__[name]
    return Explanation(problem(**refusal.facts), fix())


# Limits on reading one file.

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadingLimits:
    """The limits for one file. The child sets those of processes before it reads the first byte."""

    memory_bytes: int = 512 * MIB  # address space of each process, libraries included
    document_cpu_s: int = 4  # processor time of one document, and of opening an archive
    # A reader waits for nothing: it only takes longer than its processor time on a busy machine.
    document_wall_s: float = 12.0
    file_wall_s: float = 30.0  # an archive has many documents
    slow_members: int = 5  # that exceed a document's time, until the rest of an archive isn't read
    file_bytes: int = 64 * MIB  # of a file, and of each member of an archive
    plain_bytes: int = 24 * MIB  # of a plain text, which may be UTF-16
    text_bytes: int = 10 * MIB  # UTF-8, of all documents of a file together
    unpacked_bytes: int = 200 * MIB  # from one ZIP or tar: Word writes 10 bytes of XML for each letter
    members: int = 500  # documents in an archive
    package_parts: int = 20_000  # files in a .docx, .odt or .epub; an illustrated book has hundreds
    pages: int = 2_000  # of a PDF

    @property
    def answer_bytes(self) -> int:
        """The longest answer of a child: JSON escapes some characters, and every document has its facts."""
        return 2 * self.text_bytes + 2_000 * self.members


LIMITS = ReadingLimits()
