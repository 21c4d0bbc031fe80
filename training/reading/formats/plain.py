"""Plain text: `.txt`, and pasted texts."""

from training.reading.characters import LINE_ENDS, collapse_spaces, normalise
from training.reading.cleaning import REPLY_MARK, decode
from training.reading.documents import Refused
from training.reading.drafts import Draft, Paragraph
from training.reading.limits import MIB, ReadingLimits
from training.reading.pages import find_edge_lines

PAGE_BREAK = "\f"


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return one block of lines; cleaning divides it into paragraphs. Raises Refused."""
    return read_text(decode(check_size(content, limits)))


def check_size(content: bytes, limits: ReadingLimits) -> bytes:
    """Return the bytes of a plain text. Raises Refused if there are too many."""
    if len(content) > limits.plain_bytes:
        raise Refused("too_long", limit_mb=limits.text_bytes // MIB)
    return content


def read_text(text: str) -> Draft:
    """Return a plain text as one block."""
    draft = Draft()
    if PAGE_BREAK in text:
        text = _join_pages(text, draft)
    text = LINE_ENDS.sub("\n", text)
    if REPLY_MARK in text:
        text = _set_off_replies(text)
    draft.paragraphs.append(Paragraph(text))
    return draft


def _join_pages(text: str, draft: Draft) -> str:
    """Return a text without its form feeds, and without heads and numbers around them."""
    pages = [page.splitlines() for page in text.split(PAGE_BREAK)]
    edges = find_edge_lines(pages)
    draft.running_heads = len(edges.running_heads)
    draft.page_numbers = len(edges.page_numbers)
    is_printed = draft.running_heads + draft.page_numbers > 0
    kept_pages = []
    for page, lines in enumerate(pages):
        kept = [line for number, line in enumerate(lines) if (page, number) not in edges]
        # In a printout, paragraphs continue across pages; elsewhere a form feed begins a chapter.
        kept_pages.append("\n".join(kept).strip("\n") if is_printed else "\n".join(kept))
    return ("\n" if is_printed else "\n\n").join(kept_pages)


def _set_off_replies(text: str) -> str:
    """Return a text with a blank line wherever quoted lines begin or end."""
    lines: list[str] = []
    was_reply = False
    for line in text.split("\n"):
        is_reply = REPLY_MARK in line and collapse_spaces(normalise(line)).startswith(REPLY_MARK)
        if is_reply != was_reply:
            lines.append("")
        lines.append(line)
        was_reply = is_reply
    return "\n".join(lines)
