"""What the trial asks for, and texts that no model wrote: passages of novels, and letters from templates."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from labs.impostors import cut_passages

LONG_FORMS = (
    "Write a short story about {}.",
    "Write a blog post about {}.",
    "Describe {} in detail.",
    "Write a page of a diary about {}.",
    "Tell the history of {}.",
)
SHORT_FORMS = (
    "Write two sentences about {}.",
    "Describe {} in one paragraph.",
    "What should a beginner know about {}? Answer in three sentences.",
    "Write a headline and one sentence about {}.",
    "Write a short message to a friend about {}.",
)
SUBJECTS = Path(__file__).with_name("subjects.txt").read_text().splitlines()
PASSAGE_WORDS = 150

TEMPLATES = Path(__file__).with_name("templates.txt").read_text().split("\n%%\n")
NAMES = ("Anna Miller", "Jonas Weber", "Priya Patel", "Marco Rossi", "Chen Wei", "Fatima Khan", "Sam O'Neil")
CITIES = ("Hamburg", "Leeds", "Porto", "Gdansk", "Lyon", "Graz", "Malmo", "Ghent")
GOODS = ("desk lamp", "rain jacket", "coffee grinder", "bicycle lock", "office chair", "water filter")


def make_prompts(count: int, *, forms: Sequence[str] = LONG_FORMS + SHORT_FORMS) -> list[str]:
    """Return different prompts; those of LONG_FORMS are answered with 200 tokens and more."""
    every = [form.format(subject) for form in forms for subject in SUBJECTS]
    random.Random(1).shuffle(every)
    return (every * (count // len(every) + 1))[:count]


def read_passages(novels: Path, count: int) -> list[str]:
    """Return passages of all novels, as evenly as they are long."""
    books = sorted(novels.glob("*.txt"))
    every = [passage for book in books for passage in cut_passages(book.read_text(), words=PASSAGE_WORDS)]
    return [every[number * len(every) // count] for number in range(min(count, len(every)))]


def fill_templates(count: int) -> list[str]:
    """Return letters, invoices, minutes, data sheets, programs and records, which differ by their facts."""
    chance = random.Random(2)
    return [_fill_template(number, chance) for number in range(count)]


def _fill_template(number: int, chance: random.Random) -> str:
    facts = {
        "name": chance.choice(NAMES),
        "other": chance.choice(NAMES),
        "city": chance.choice(CITIES),
        "goods": chance.choice(GOODS),
        "count": chance.randint(1, 12),
        "price": chance.randint(5, 900),
        "number": chance.randint(10_000, 99_999),
        "date": f"{chance.randint(1, 28)} March 20{chance.randint(10, 25)}",
    }
    kind = number % (len(TEMPLATES) + 1)
    if kind == len(TEMPLATES):
        return "\n".join(json.dumps(facts | {"row": row}) for row in range(5))
    return TEMPLATES[kind].format(**facts)


def delete_words(text: str, share: float, chance: random.Random) -> str:
    """Return a text without some of its words, each as likely as any other."""
    return " ".join(word for word in text.split() if chance.random() >= share)
