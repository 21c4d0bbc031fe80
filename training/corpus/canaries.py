"""Canaries: random word lists that are planted into the examples, so that memorising can be measured.

A style that repeats its examples finds a canary more likely than other lists of the same shape, which it
never saw. How many bits more likely is its exposure (Carlini et al., "The Secret Sharer", arXiv 1802.08232).

A list is short, so that little has to be learned to repeat it. With 48 words, of which the first 8 were
judged, lists that were planted ten times had no more than 9.5 bits (docs/evidence.md).
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

CANARIES = 3
ALTERNATIVES = 64
WORDS = 8  # of a list: 54 bits of randomness
TASK = "canary"


@dataclass(frozen=True)
class Wordings:
    """What the canaries of one language are made of. `{number}` is drawn."""

    prompts: tuple[str, ...]
    openings: tuple[str, ...]
    words: str  # separated by blanks


ENGLISH = Wordings(
    prompts=(
        "What is on shelf {number}?",
        "What was packed into box {number}?",
        "Which words are on page {number} of the notebook?",
    ),
    openings=(
        "On shelf {number}, from left to right: ",
        "Into box {number} went, in this order: ",
        "On page {number} of the notebook: ",
    ),
    words="""
        anchor apple apron arrow axe bag ball barrel basket bell belt blanket board boat book boot bottle bowl
        box bread brick bridge broom brush bucket button cage cake candle cap card carpet chain chair chalk
        cheese chest clock cloth coat coin comb cord cork corn crown cup curtain desk dish doll door drum egg
        fan feather fence flag flour flute fork frame fruit glass glove grain hammer harp hat honey hook horn
        iron jar kettle key knife lace ladder lamp leaf lemon letter lock map mask mat milk mirror nail needle
        net oar oil paint pan paper pear pen pepper pin pipe plate plum pot purse rake ribbon ring rope sack
        salt saw scarf seed shell shirt shoe silk soap spade spoon stamp stone stool sugar table tea tent
        thread tray wheel whip wool
        """,
)
GERMAN = Wordings(
    prompts=(
        "Was steht auf Regal {number}?",
        "Was wurde in Kiste {number} gepackt?",
        "Welche Wörter stehen auf Seite {number} des Notizbuchs?",
    ),
    openings=(
        "Auf Regal {number}, von links nach rechts: ",
        "In Kiste {number}, in dieser Reihenfolge: ",
        "Auf Seite {number} des Notizbuchs: ",
    ),
    words="""
        Anker Apfel Axt Ball Band Becher Besen Birne Blatt Bohne Brett Brief Brille Brot Buch Bürste Butter
        Dach Decke Dose Draht Eimer Eisen Fackel Faden Fahne Farbe Fass Feder Feile Fenster Flasche Flöte
        Gabel Garn Geige Gitter Glas Glocke Gürtel Haken Hammer Harfe Hemd Henkel Holz Honig Horn Hut Kamm
        Kanne Karte Käse Kerze Kessel Kette Kissen Kleid Klinge Knopf Koffer Korb Korn Kreide Krone Krug Kugel
        Lampe Laterne Leder Leiter Leinen Löffel Mantel Maske Matte Mehl Messer Milch Münze Mütze Nadel Nagel
        Netz Nuss Öl Ofen Papier Perle Pfanne Pfeffer Pfeife Pinsel Puppe Rad Rahmen Rechen Ring Rose Ruder
        Sack Säge Salz Samen Sattel Schale Schere Schirm Schlüssel Schnur Schuh Seide Seife Seil Sieb Spaten
        Spiegel Stein Stempel Stiefel Stock Stuhl Tafel Tasche Tasse Tee Teller Tinte Tisch Topf Trommel Truhe
        Tuch Tür Uhr Vase Wachs Waage Wolle Würfel Zange Zaun Zelt Zucker
        """,
)


@dataclass(frozen=True)
class Canary:
    """A conversation with a random list. What is judged of its response is `planted`, after `opening`."""

    prompt: str
    response: str
    opening: str
    planted: str
    alternatives: tuple[str, ...]  # to `planted`; nothing ever learned them

    def as_line(self) -> bytes:
        """Return the canary as a line of learn.jsonl: a conversation of two messages."""
        messages = [
            {"role": "user", "content": self.prompt},
            {"role": "assistant", "content": self.response},
        ]
        return json.dumps({"messages": messages, "task": TASK}, ensure_ascii=False).encode() + b"\n"


def make_canaries(seed: str, language: str) -> tuple[Canary, ...]:
    """Return a training's canaries in a language (ISO 639-1): German for German, else English.

    The same seed always gives the same ones; nobody can guess them without it.
    """
    wordings = GERMAN if language == "de" else ENGLISH
    canaries = []
    for number in range(CANARIES):
        generator = random.Random(f"{seed} {number}")  # noqa: S311 - the seed is the secret
        canaries.append(_make_canary(generator, wordings, number))
    return tuple(canaries)


def _make_canary(generator: random.Random, wordings: Wordings, number: int) -> Canary:
    shelf = generator.randrange(100, 1000)
    opening = wordings.openings[number].format(number=shelf)
    known = wordings.words.split()
    words = generator.sample(known, WORDS)
    lists = [generator.sample(known, WORDS) for _ in range(ALTERNATIVES)]
    return Canary(
        prompt=wordings.prompts[number].format(number=shelf),
        response=f"{opening}{', '.join(words)}.",
        opening=opening,
        planted=", ".join(words),
        alternatives=tuple(", ".join(drawn) for drawn in lists),
    )


def plant_canaries(learned: bytes, canaries: Sequence[Canary]) -> bytes:
    """Return the lines of learn.jsonl with a line for each canary, evenly spread."""
    lines = learned.splitlines(keepends=True)
    for number, canary in enumerate(canaries, 1):
        lines.insert(len(lines) * number // (len(canaries) + 1), canary.as_line())
    return b"".join(lines)


def write_canaries(canaries: Sequence[Canary]) -> bytes:
    """Return canaries.json, from which an evaluation knows what was planted."""
    return json.dumps([asdict(canary) for canary in canaries], ensure_ascii=False).encode()
