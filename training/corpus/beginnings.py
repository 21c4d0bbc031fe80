"""Where a passage is divided into a beginning, which is given, and a rest, which is learned."""

from core.sentences import sentence_ends
from training.text.words import WORD

# A third is enough to continue in the same tone; beyond a half, little is left to learn.
BEGINNING_PERCENT = 30
LEAST_BEGINNING_PERCENT = 15
MOST_BEGINNING_PERCENT = 45


def split_beginning(text: str) -> tuple[str, str]:
    """Return the beginning and the rest of a passage.

    They are divided after a sentence or, if none ends nearby, before a word. Neither is empty if the passage
    has at least two words.
    """
    starts = [match.start() for match in WORD.finditer(text)]
    wanted = starts[len(starts) * BEGINNING_PERCENT // 100 or 1]
    earliest = starts[len(starts) * LEAST_BEGINNING_PERCENT // 100]
    latest = starts[len(starts) * MOST_BEGINNING_PERCENT // 100]
    ends = [end for end in sentence_ends(text) if earliest < end <= latest]
    cut = min(ends, key=lambda end: abs(end - wanted)) if ends else wanted
    return text[:cut].strip(), text[cut:].strip()
