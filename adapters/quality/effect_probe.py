"""The effect probe: what an adapter does to the base model's words, measured on an engine after loading.

Base and style are asked for the first word after the same prompts, each in one request; the base once for
each process of an engine, since its answers stay the same. The shift of a prompt
is the mean change of log-probability, in nats, over the tokens in either one's list of the likeliest 20. A
token that one list lacks counts with the least by which it must have moved: to that list's last place, or not
at all. So a shift never overstates. The strength is the mean over all prompts. docs/probing.md has the
figures behind the numbers here.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from adapters.engines import client as control
from adapters.errors import EnginePoisoned, EngineRefused
from adapters.models import AdapterVersion, BaseReading, Engine, Probe

# Short, so that a CPU reads them all in a fraction of a second; styles part where an answer begins.
PROMPTS = tuple(
    f"What is {one}?\n" for one in ("rain", "bread", "sleep", "money", "winter", "music", "work", "love")
)
AGAIN = slice(None, None, 4)  # of the prompts: a smaller batch
# Rounding alone stays below this in 16 bits, as soon as any weight differs.
MIN_EFFECT_NATS = 0.08
# Where an engine answers differently in another batch, an effect must be so much larger than that.
MIN_TIMES_NOISE = 2

NO_EFFECT = (
    "The adapter has no effect: the base model's words move by {strength:.3f} nats a token, and below "
    "{least:.3f} it is only rounding. Train it longer or at a higher learning rate, check that the trained "
    "weights were saved, and upload it as a new version."
)
NO_WORDS = (
    "With the adapter the model finds no next word. Check the training for NaN or a diverging loss, "
    "and upload it as a new version."
)

type Likeliest = Mapping[str, float]  # token → log-probability in nats


def measure_effect(version: AdapterVersion, engine: Engine, name: str) -> Probe:
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
    reading = _known_base(engine) or _read_base(engine)
    try:
        shifts = _shifts(reading.likeliest, _ask(engine, name, PROMPTS))
    except EngineRefused:
        _read_base(engine)  # is it the adapter that computes nothing, or the engine?
        raise
    strength = fmean(shifts)
    least = max(MIN_EFFECT_NATS, MIN_TIMES_NOISE * reading.noise)
    if strength <= least:
        raise EngineRefused(reason=NO_EFFECT.format(strength=strength, least=least))
    rows = [{"prompt": prompt, "shift": value} for prompt, value in zip(PROMPTS, shifts, strict=True)]
    facts = {"engine": engine.name, "strength": strength, "noise": reading.noise, "shifts": rows}
    return Probe.objects.get_or_create(version=version, defaults=facts)[0]


def _known_base(engine: Engine) -> BaseReading | None:
    """Return what this engine's process has answered before, to today's prompts."""
    if engine.started_at is None:
        return None
    known = BaseReading.objects.filter(engine=engine, process_began_at=engine.started_at).first()
    return known if known and known.prompts == list(PROMPTS) else None


def _read_base(engine: Engine) -> BaseReading:
    """Return the base's answers, and how much some of them shift when they are asked again in a batch of
    another size. Raises EngineUnavailable, EnginePoisoned."""
    try:
        base, again = (_ask(engine, engine.base_name, prompts) for prompts in (PROMPTS, PROMPTS[AGAIN]))
    except EngineRefused as error:
        raise EnginePoisoned from error
    rows = [{"prompt": prompt, "likeliest": one} for prompt, one in zip(PROMPTS, base, strict=True)]
    facts = {
        "process_began_at": engine.started_at,
        "answers": rows,
        "noise": fmean(_shifts(base[AGAIN], again)),
    }
    if engine.started_at is None:
        return BaseReading(engine=engine, **facts)
    return BaseReading.objects.update_or_create(engine=engine, defaults=facts)[0]


def _ask(engine: Engine, name: str, prompts: Sequence[str]) -> list[Likeliest]:
    answers: list[Likeliest] = list(control.read_logprobs(engine, name, prompts))
    if not all(answers) or len(answers) != len(prompts):
        raise EngineRefused(reason=NO_WORDS)
    return answers


def _shifts(base: Sequence[Likeliest], style: Sequence[Likeliest]) -> list[float]:
    return [shift(one, other) for one, other in zip(base, style, strict=True)]
