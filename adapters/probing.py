"""The effect probe: what an adapter does to the base model's words, measured on an engine after loading.

Base and style are asked for the next word after the same openings, each in one request. The shift of an
opening is the mean change of log-probability, in nats, over the tokens in either one's list of the likeliest
20. A token that one list lacks counts with the least by which it must have moved: down to that list's last
place, or not at all. So a shift never overstates. The strength is the mean over all openings.
docs/probing.md has the figures behind the numbers here.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from adapters import engine as control
from adapters.errors import EngineRefused, EngineUnavailable
from adapters.models import AdapterVersion, Engine, Probe

OPENINGS = (
    "The morning", "She said", "It was", "When the", "My friend", "In order to", "There is", "People who",
    "How to", "Once upon a time", "He never", "The best", "You should", "Dear", "To make", "We all",
)  # fmt: skip
# What rounding alone does in 16 bits, as soon as any weight differs, is below this.
LEAST = 0.06
# Where an engine answers differently in another batch, an effect must be so much larger than that.
OVER_NOISE = 2

NO_EFFECT = (
    "The adapter changes nothing: the base model's words move by {strength:.3f} nats a token, and below "
    "{least:.3f} it is only rounding. Train it longer or at a higher learning rate, check that the trained "
    "weights were saved, and upload it as a new version."
)
NO_WORDS = (
    "With the adapter the model finds no next word. Check the training for NaN or a diverging loss, "
    "and upload it as a new version."
)
POISONED = "The engine's base model computes no numbers (NaN); restart the engine."

type Likeliest = Mapping[str, float]  # token → log-probability in nats


def measure(version: AdapterVersion, engine: Engine, name: str) -> Probe:
    """Return a version's probe, taken now if there is none; `name` is the version's on the engine.

    Raises EngineRefused when it has no effect or computes nothing, EngineUnavailable when it may work later.
    """
    known = Probe.objects.filter(version=version).first()
    return known or _take(version, engine, name)


def shift(base: Likeliest, style: Likeliest) -> float:
    """Return by how much the likeliest tokens moved at least, in nats a token."""
    tokens = base.keys() | style.keys()
    return fmean(abs(_level(base, token, style) - _level(style, token, base)) for token in tokens)


def _level(own: Likeliest, token: str, other: Likeliest) -> float:
    """Return a token's log-probability; of one that the list lacks, the nearest to the other list's."""
    return own[token] if token in own else min(other[token], *own.values())


def _take(version: AdapterVersion, engine: Engine, name: str) -> Probe:
    base, again = _ask_base(engine)
    shifts = _shifts(base, _ask(engine, name))
    strength, noise = fmean(shifts), fmean(_shifts(base, again))
    least = max(LEAST, OVER_NOISE * noise)
    if strength <= least:
        raise EngineRefused(reason=NO_EFFECT.format(strength=strength, least=least))
    rows = [{"prompt": prompt, "shift": value} for prompt, value in zip(OPENINGS, shifts, strict=True)]
    facts = {"engine": engine.pk, "strength": strength, "noise": noise, "shifts": rows}
    return Probe.objects.get_or_create(version=version, defaults=facts)[0]


def _ask_base(engine: Engine) -> tuple[list[Likeliest], list[Likeliest]]:
    """Return the base's answers, asked twice, the second time in another order. Raises EngineUnavailable."""
    name = engine.base_name
    try:
        first = _ask(engine, name)
        return first, _ask(engine, name, OPENINGS[::-1])[::-1]
    except EngineRefused as error:
        raise EngineUnavailable(POISONED) from error


def _ask(engine: Engine, name: str, openings: Sequence[str] = OPENINGS) -> list[Likeliest]:
    answers: list[Likeliest] = list(control.logprobs(engine, name, openings))
    if not all(answers) or len(answers) != len(openings):
        raise EngineRefused(reason=NO_WORDS)
    return answers


def _shifts(base: Sequence[Likeliest], style: Sequence[Likeliest]) -> list[float]:
    return [shift(one, other) for one, other in zip(base, style, strict=True)]
