"""Removes what isn't the writer's prose: line breaks of a program, headings, licences, quoted replies.

Cleaning is idempotent: `clean(clean(draft))` has the same paragraphs.
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import replace

from training.reading.characters import SOFT_HYPHEN, normalise
from training.reading.documents import Refused
from training.reading.drafts import Draft, Paragraph
from training.reading.lines import Hyphenation, divide_block
from training.text import count_words

# How much of a text is in quotation marks: speech, or other people's words.

# Each from an opening mark to the next closing one: “English”, „German“, «French», »German«, "typed",
# 「Japanese」. Single marks are left out: they are apostrophes, too.
QUOTATION = re.compile(r"“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«|\"[^\"]*\"|「[^「」]*」|『[^『』]*』")


def quotation_share(paragraphs: Iterable[Paragraph], words: int) -> float:
    """Return which share of all words is in quotation marks or marked as a quotation, 0 to 1."""
    quoted = 0
    for paragraph in paragraphs:
        if paragraph.is_quoted:
            quoted += count_words(paragraph.text)
        else:
            quoted += sum(map(count_words, QUOTATION.findall(paragraph.text)))
    return round(quoted / words, 3) if words else 0.0


# Bytes → text, for the encodings of people's files: UTF-8, UTF-16, windows-1252 and declared ones.

# Loaded with this module: a codec is a file, and later none can be opened. As in the WHATWG's encoding
# standard, what is declared as latin-1 is windows-1252.
DECLARED = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-2": "iso8859-2",
    "iso-8859-15": "iso8859-15",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "koi8-r": "koi8-r",
    "macintosh": "mac-roman",
}
for _codec in set(DECLARED.values()):
    codecs.lookup(_codec)

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, ""),  # begins like UTF-16's
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROL_BYTES = bytes(sorted({*range(32), 127} - {9, 10, 11, 12, 13, 26, 27}))
# Characters beyond ASCII in Western prose. Text in another encoding is full of other ones.
WESTERN = re.compile(
    "[\xa0-\xa3\xa7-\xab\xad\xae\xb0\xb2-\xb5\xb7\xb9-\xd6\xd8-\xf6\xf8-\xff"
    "\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
BEYOND_ASCII = re.compile("[^\x00-\x7f]")
LETTER = re.compile(r"[^\W\d_]")
LEAST_WESTERN_SHARE = 0.95  # of the characters beyond ASCII
MOST_ACCENTED_SHARE = 0.3  # of the letters; French and Czech prose stay below 0.2


def decode(content: bytes, declared: str = "") -> str:
    """Return the text of bytes. Raises Refused("binary") and Refused("encoding")."""
    for mark, codec in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_strictly(content[len(mark) :], codec)
    if b"\0" in content:
        return _decode_utf16(content)
    control = len(content) - len(content.translate(None, CONTROL_BYTES))
    if control > 0.001 * len(content):
        raise Refused("binary")
    codec = DECLARED.get(declared.strip().lower(), "")
    if codec and codec != "utf-8":
        return _decode_strictly(content, codec)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _decode_western(content)


def _decode_strictly(content: bytes, codec: str) -> str:
    try:
        return content.decode(codec)
    except (UnicodeDecodeError, LookupError) as error:
        raise Refused("encoding") from error


def _decode_utf16(content: bytes) -> str:
    """Return a text of UTF-16 without a mark: every second byte of its Latin letters is zero."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    half = len(content) / 2
    for codec, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > 0.5 * half and others < 0.01 * half and len(content) % 2 == 0:
            return _decode_strictly(content, codec)
    raise Refused("binary")


def _decode_western(content: bytes) -> str:
    text = _decode_strictly(content, "cp1252")
    beyond = BEYOND_ASCII.findall(text)
    western_share = sum(1 for character in beyond if WESTERN.match(character)) / max(1, len(beyond))
    accented = sum(1 for character in beyond if character.isalpha())
    accented_share = accented / max(1, len(LETTER.findall(text)))
    if western_share < LEAST_WESTERN_SHARE or accented_share > MOST_ACCENTED_SHARE:
        raise Refused("encoding")
    return text


BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")

# As gutenberg.org writes them since 2003, with two wordings.
GUTENBERG_START = re.compile(r"\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
GUTENBERG_END = re.compile(
    r"\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|End of (?:the |this )?Project Gutenberg(?:['\u2019]s| e-?book)",
    re.IGNORECASE,
)
# Paragraphs of licences, of scans and of the page behind a title page.
LICENCE = re.compile(
    r"This e-?book is for the use of anyone anywhere"
    r"|(?:Produced|Digiti[sz]ed) by .{0,200}(?:gutenberg|pgdp\.net|archive\.org|Internet Archive|Google)"
    r"|All rights reserved\.|Alle Rechte vorbehalten\.|Tous droits réservés\.|Todos los derechos reservados\."
    r"|No part of this (?:book|publication|work|e-?book) may be (?:reproduced|copied|used)"
    r"|.{0,100}licensed under (?:a|the) Creative Commons|.{0,100}lizenziert unter .{0,40}Creative Commons"
    r"|(?:e-?)?ISBN(?:-1[03])?[: ]+[\d-]{10,17}[\dxX]?$",
    re.IGNORECASE | re.DOTALL,
)
# Short paragraphs of the same page.
IMPRINT = re.compile(
    r"(?:Copyright|\u00a9|\(c\)) ?.{0,40}\d{4}"
    r"|(?:First|Re)[ -]?(?:published|printed|issued)\b.{0,60}\d{4}"
    r"|(?:Set and |Made and )?(?:Printed|Published) (?:in|by|and)\b"
    r"|Erstausgabe|Gedruckt (?:in|bei)\b|(?:\d+\. ?(?:Auflage|Ausgabe)|Erste Auflage)\b"
    r"|(?:All characters|Alle Personen) .{0,80}(?:fictitious|erfunden)",
    re.IGNORECASE,
)
LONGEST_IMPRINT = 300  # characters
LONGEST_LICENCE = 3_000  # characters; a longer paragraph is somebody's text, whatever it begins with

NUMERAL = (
    r"(?:\d{1,3}|[IVXLC]{1,8}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif)ty(?:-\w{3,5})?"
    r"|(?:the )?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)"
    r"|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf)"
)
# "Chapter II", "3.", "IV. The Blue Cross", "Fünftes Kapitel", "THE END": not a sentence, and nobody's voice.
HEADING = re.compile(
    r"(?:(?:chapter|part|book|volume|letter|canto|act|scene|section|kapitel|teil|buch|band|akt|szene)"
    rf" {NUMERAL}\b"
    r"|[\w-]+ (?:kapitel|teil|buch|band|akt)\Z"
    r"|(?:\d{1,3}|(?-i:[IVXLC]{1,8}))(?:[.:)]?\Z|[.:)] )"
    r"|(?:the end|end of .{3,40}|finis|contents|prologue|epilogue|preface"
    r"|ende|inhalt|prolog|epilog|vorwort)\W?\Z)",
    re.IGNORECASE,
)
SENTENCE_MARKS = ".!?,;:\u2026\u201d\u201c\"'\u2019)"
MOST_HEADING_WORDS = 12
LEAST_CAPITALS = 4  # letters of a line that has no small ones

REPLY_MARK = ">"
# "On Monday, Ann wrote:" as mail programs write it above what they quote.
ATTRIBUTION = re.compile(
    r"(?:On|Am|Le|El|Il|Op|Em|Den|W dniu) .{3,200}"
    r"(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał\(?a?\)?)\b.{0,80}:",
    re.DOTALL,
)
ORIGINAL_MESSAGE = re.compile(
    r"-{3,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original"
    r"|Messaggio originale|Oorspronkelijk bericht) ?-{3,}",
    re.IGNORECASE,
)


def clean(draft: Draft) -> Draft:
    """Return a draft with clean paragraphs, none of them empty, and with what was removed counted."""
    cleaned = replace(draft, paragraphs=[])
    hyphenation = Hyphenation(paragraph.text for paragraph in draft.paragraphs)
    for paragraph in draft.paragraphs:
        cleaned.hyphens += paragraph.text.count(SOFT_HYPHEN)
        for block in BLANK_LINES.split(normalise(paragraph.text)):
            texts = divide_block(block, hyphenation)
            cleaned.paragraphs += [Paragraph(text, paragraph.is_quoted) for text in texts]
    cleaned.hyphens += hyphenation.removed
    _drop_licence(cleaned)
    _drop_headings(cleaned)
    _drop_quoted_replies(cleaned)
    return cleaned


def _drop_licence(draft: Draft) -> None:
    """Drop everything outside Gutenberg's marks, and paragraphs of licences."""
    kept: list[Paragraph] = []
    has_start = any(GUTENBERG_START.match(paragraph.text) for paragraph in draft.paragraphs)
    is_inside = not has_start
    for paragraph in draft.paragraphs:
        if GUTENBERG_START.match(paragraph.text):
            is_inside = True
        elif GUTENBERG_END.match(paragraph.text):
            is_inside = False
        elif is_inside and not _is_licence(paragraph.text):
            kept.append(paragraph)
    draft.licence += len(draft.paragraphs) - len(kept)
    draft.paragraphs = kept


def _is_licence(text: str) -> bool:
    if len(text) <= LONGEST_IMPRINT and IMPRINT.match(text):
        return True
    return len(text) <= LONGEST_LICENCE and bool(LICENCE.match(text))


def _drop_headings(draft: Draft) -> None:
    """Drop numbers of chapters with the titles that follow them, and titles in capitals."""
    kept: list[Paragraph] = []
    was_heading = False
    for paragraph in draft.paragraphs:
        text = paragraph.text
        is_short = "\n" not in text and len(text.split()) <= MOST_HEADING_WORDS
        has_capitals = text.isupper() and sum(map(str.isalpha, text)) >= LEAST_CAPITALS
        is_heading = is_short and (has_capitals or bool(HEADING.match(text)))
        is_title = was_heading and is_short and text[-1] not in SENTENCE_MARKS
        if not is_heading and not is_title:
            kept.append(paragraph)
        was_heading = is_heading
    if kept:
        draft.headings += len(draft.paragraphs) - len(kept)
        draft.paragraphs = kept


def _drop_quoted_replies(draft: Draft) -> None:
    """Drop paragraphs that a mail program marked as quoted, and the line above that says whose they are."""
    kept: list[Paragraph] = []
    was_reply = False
    for paragraph in reversed(draft.paragraphs):
        is_reply = paragraph.text.startswith(REPLY_MARK)
        if is_reply or (was_reply and ATTRIBUTION.fullmatch(paragraph.text)):
            draft.quoted_replies += 1
        else:
            kept.append(paragraph)
        was_reply = is_reply
    kept.reverse()
    for index, paragraph in enumerate(kept):
        if ORIGINAL_MESSAGE.match(paragraph.text):  # all below it is the other's
            draft.quoted_replies += len(kept) - index
            del kept[index:]
            break
    draft.paragraphs = kept
