"""Removes what isn't the writer's text: line breaks of a program, licences, quoted replies.

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
LONGEST_LICENCE = 3_000  # characters; a longer paragraph is somebody's text, whatever it begins with

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
    return len(text) <= LONGEST_LICENCE and bool(LICENCE.match(text))


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
