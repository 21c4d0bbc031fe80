"""Characters that don't belong to a text: controls, invisible marks, typesetters' ligatures."""

import re
import unicodedata
from collections.abc import Iterable

LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, marks that only steer how text is displayed, tags, noncharacters, halves of surrogate pairs and
# private use: a reader sees none of them, and a model would learn or obey them.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\uffff\U000e0000-\U0010ffff]"
)
# Scripts that join their letters need these two between them; between Latin letters they are a disguise.
JOINERS = re.compile("[\u200c\u200d]+")
SOFT_HYPHEN = "\xad"
LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "\N{LATIN SMALL LETTER LONG S}t", "st")  # from U+FB00 on
FIRST_LIGATURE = 0xFB00
LIGATURE = re.compile("[\ufb00-\ufb06]")
SPACES = re.compile(r"[^\S\n]+")
LOST = re.compile("[\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]")


def normalise(text: str) -> str:
    """Return a text in NFC with `\\n` as its only line end, without invisible characters.

    Blanks stay: those before a line can show where a paragraph begins.
    """
    text = LINE_ENDS.sub("\n", text)
    if not text.isascii():
        text = LIGATURE.sub(_spell_ligature, text.replace(SOFT_HYPHEN, ""))
        text = JOINERS.sub(_keep_joiner, UNSEEN.sub("", text))
        return unicodedata.normalize("NFC", text)
    return text if text.isprintable() else UNSEEN.sub("", text)


def collapse_spaces(line: str) -> str:
    """Return a line with single ordinary blanks, and none at its ends."""
    return SPACES.sub(" ", line).strip()


def lost_share(texts: Iterable[str]) -> float:
    """Return which part of all characters are placeholders for letters that could not be read."""
    lost = total = 0
    for text in texts:
        lost += 0 if text.isascii() else len(LOST.findall(text))
        total += len(text)
    return lost / max(1, total)


def _spell_ligature(found: re.Match[str]) -> str:
    return LIGATURES[ord(found.group()) - FIRST_LIGATURE]


def _keep_joiner(found: re.Match[str]) -> str:
    before = found.string[found.start() - 1 : found.start()]
    after = found.string[found.end() : found.end() + 1]
    is_joining = bool(before and after) and not before.isascii() and not after.isascii()
    return found.group() if is_joining else ""
