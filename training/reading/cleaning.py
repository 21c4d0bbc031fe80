"""Removes what isn't the writer's prose: line breaks of a program, headings, licences, quoted replies.

Cleaning is idempotent: `clean(clean(draft))` has the same paragraphs.
"""

import re
from dataclasses import replace

from training.reading.characters import SOFT_HYPHEN, normalise
from training.reading.drafts import Draft, Paragraph
from training.reading.lines import Hyphenation, divide_block

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
