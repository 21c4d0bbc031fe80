"""What the trial asks for, and texts that no model wrote: passages of novels, and letters from templates."""

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from labs.impostors import cut_passages


def area_under_curve(marked: Sequence[float], unmarked: Sequence[float]) -> float:
    """Return how often a marked text has more evidence than an unmarked one; ties count half."""
    wins = sum((one > other) + 0.5 * (one == other) for one in marked for other in unmarked)
    return wins / (len(marked) * len(unmarked))


def share(values: Sequence[bool]) -> float:
    """Return the share of what is true."""
    return mean(map(float, values)) if values else 0.0


# The bounds that the watermark is held to.

type Found = Mapping[str, Any]


@dataclass(frozen=True)
class Bound:
    """What a figure of a part may be."""

    part: str
    title: str
    read: Callable[[Found], float | None]
    least: float = -math.inf
    most: float = math.inf

    def is_met(self, value: float | None) -> bool:
        """Return whether something was found, within the bound."""
        return value is not None and self.least <= value <= self.most


def alarms_of_keys(found: Found) -> list[int]:
    """Return the alarms of each key in use; those of random keys show whether they are by chance."""
    return [each["alarms"] for name, each in found.items() if "epoch" in name]


BOUNDS = (
    Bound("power", "found at 0.7 from 60 tokens", lambda it: it["temperature 0.7"]["found_60"], least=0.95),
    Bound("power", "found at 1.0 from 60 tokens", lambda it: it["temperature 1.0"]["found_60"], least=0.95),
    Bound("power", "found at 0.4 from 200 tokens", lambda it: it["temperature 0.4"]["found_200"], least=0.95),
    Bound("power", "AUC from 30 tokens", lambda it: it["temperature 0.7"]["auc_30"], least=0.98),
    Bound("power", "AUC from 60 tokens", lambda it: it["temperature 0.7"]["auc_60"], least=0.999),
    Bound("defaults", "found at defaults", lambda it: min(each["found"] for each in it.values()), least=0.99),
    Bound("speed", "tokens/s", lambda it: min(each["ratio"] for each in it.values()), least=0.97),
    Bound("false_alarms", "alarms of a key", lambda it: max(alarms_of_keys(it)), most=2),
)


def find_missed(found: Found) -> list[str]:
    """Return the bounds that were not met, with what was found; parts that were not measured are left out."""
    missed = []
    for bound in BOUNDS:
        if bound.part in found:
            value = bound.read(found[bound.part])
            if not bound.is_met(value):
                missed.append(f"{bound.title}: {value}")
    return missed


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
