"""Screening: what a machine notices about a style that waits for review. A person decides.

Pure functions over the words and the probe's answers. It finds what is easy to overlook (an address in the
twentieth answer, a letter that nobody sees), and judges no meaning.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from adapters.models import Probe

LINK = re.compile(
    r"https?://|\bwww\.|(?<![\w@.-])[\w-]{2,}\.(?:com|net|org|io|ru|info|biz|shop|app)\b", re.IGNORECASE
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
PHONE = re.compile(r"(?<!\w)\+?\d[\d ()/.-]{7,}\d(?!\w)")
CONTACTS = {"a web address": LINK, "an email address": MAIL, "a phone number": PHONE}
EMOJI_JOINER = "\u200d"
RUN_WORDS = 4
MAX_RUNS = 4  # how often the same four words may come in one answer
MIN_WORDS = 3
SHOWN = 60  # characters of what was found


def screen_words(words: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that stands out in what people read; `words` is field → text."""
    remarks = []
    for field, text in words.items():
        for found in _find_contacts(text):
            remarks.append(f"The {field} contains {found}.")
        hidden = _count_hidden(text)
        if hidden:
            remarks.append(f"The {field} contains {hidden} invisible characters.")
    return remarks


def screen_probe(probe: Probe | None) -> list[str]:
    """Return a sentence for each thing that stands out in the probe's answers."""
    if probe is None:
        return ["Not measured yet, so there are no sample answers."]
    remarks = []
    if probe.strength <= probe.noise:
        remarks.append("No effect: the answers are identical to the base model's.")
    for number, sample in enumerate(probe.samples, start=1):
        answer = str(sample.get("style", ""))
        # What the base model writes, too, is not the style's doing.
        usual = set(_find_contacts(str(sample.get("base", ""))))
        for found in _find_contacts(answer):
            if found not in usual:
                remarks.append(f"Answer {number} contains {found}.")
        if len(answer.split()) < MIN_WORDS:
            remarks.append(f"Answer {number} is almost empty.")
        elif _repeats(answer):
            remarks.append(f"Answer {number} repeats itself.")
    return remarks


def _find_contacts(text: str) -> Iterable[str]:
    for name, pattern in CONTACTS.items():
        found = pattern.search(text)
        if found:
            around = text[max(0, found.start() - 5) : found.end() + 20][:SHOWN]
            yield f"{name} (“{around.strip()}”)"


def _count_hidden(text: str) -> int:
    kinds = Counter(map(unicodedata.category, text.replace(EMOJI_JOINER, "")))
    return kinds["Cf"] + kinds["Co"] + kinds["Cn"]


def _repeats(answer: str) -> bool:
    words = answer.lower().split()
    runs = Counter(tuple(words[begin : begin + RUN_WORDS]) for begin in range(len(words) - RUN_WORDS + 1))
    return max(runs.values(), default=0) > MAX_RUNS
