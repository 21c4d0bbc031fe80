"""Why a document was not read, and what to do: a sentence and a fix for each code of a refusal."""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from core.messages import Facts, Message, MessageCode, group_numbers
from training.reading.documents import Refusal

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
