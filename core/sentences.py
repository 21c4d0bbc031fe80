"""Sentences of a text, in several languages: where they end, without a library's models."""

import re

PARAGRAPH_GAP = re.compile(r"\n[^\S\n]*\n\s*")
CLOSING_MARKS = "\"'\u201c\u201d\u2018\u2019«»)\\]*_"
# The second halves are full-width marks, behind which Chinese and Japanese have no space.
SENTENCE_END = re.compile(
    rf"[.!?…]+[{CLOSING_MARKS}]*(?=\s)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d\uff09]*"
)
# A full stop after these ends no sentence. Single letters are initials, or parts of "e.g." and "z. B.".
ABBREVIATION = re.compile(
    r"\b(?:[^\W\d]|mrs?|ms|dr|prof|rev|st|jr|sr|vs|no|vol|capt|gen|col"
    r"|nr|hrn?|fr|bzw|vgl|ca|bspw|ggf|inkl|evtl)\Z",
    re.IGNORECASE,
)
MOST_ABBREVIATION_LETTERS = 12


def sentence_ends(text: str, start: int = 0, end: int | None = None) -> list[int]:
    """Return where sentences end within `text[start:end]`, as positions in `text`."""
    ends = []
    for match in SENTENCE_END.finditer(text, start, len(text) if end is None else end):
        if _ends_sentence(text, match):
            ends.append(match.end())
    return ends


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences and headings of a text in order: all of it except the white space between them."""
    spans = []
    start = 0
    for end in sorted(
        {*sentence_ends(text), *(gap.start() for gap in PARAGRAPH_GAP.finditer(text)), len(text)}
    ):
        stripped_start, stripped_end = strip_span(text, start, end)
        if stripped_start < stripped_end:
            spans.append((stripped_start, stripped_end))
        start = end
    return spans


def strip_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without white space at either end."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Return whether a mark ends a sentence: not after "Dr.", nor before a small letter."""
    following = text[match.end() : match.end() + 3].lstrip()
    if following[:1].islower():
        return False
    before = text[max(0, match.start() - MOST_ABBREVIATION_LETTERS) : match.start()]
    return not match.group().startswith(".") or ABBREVIATION.search(before) is None
