"""The effect probe: what an adapter does to the base model's words, measured on an engine after loading.

The base model and the style predict the first word after the same prompts, each in one request. The base does
so once for each process of an engine, since its answers stay the same.

The shift of a prompt is the mean change of log-probability, in nats, over the tokens in either one's list of
the likeliest 20. A token that one list lacks counts with the least by which it must have moved: to that
list's last place, or not at all. So a shift never overstates. The strength is the mean over all prompts.
docs/probing.md has the figures behind the numbers here.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from adapters.engines import client as engine_client
from adapters.errors import EnginePoisoned, EngineRefused
from adapters.models import AdapterVersion, BaseReading, Engine, Probe, ProbeFault

# Short, so that a CPU reads them all in a fraction of a second. Styles differ most where an answer begins.
SUBJECTS = ("rain", "bread", "sleep", "money", "winter", "music", "work", "love")
PROMPTS = tuple(f"What is {subject}?\n" for subject in SUBJECTS)
REPEATED = slice(None, None, 4)  # of the prompts: a smaller batch
# Rounding alone stays below this in 16 bits, as soon as any weight differs.
MIN_EFFECT_NATS = 0.08
# Where an engine answers differently in another batch, an effect must be so much larger than that.
MIN_TIMES_NOISE = 2


type TopLogprobs = Mapping[str, float]  # token → log-probability in nats


def measure_effect(version: AdapterVersion, engine: Engine, name: str) -> Probe:
    """Return a version's probe, taken now if there is none; `name` is the version's on the engine.

    Raises EngineRefused when it has no effect or computes nothing, EngineUnavailable when it may work later.
    """
    known = Probe.objects.filter(version=version).first()
    return known or _take_probe(version, engine, name)


def shift(base: TopLogprobs, style: TopLogprobs) -> float:
    """Return by how much the likeliest tokens moved at least, in nats a token."""
    changes = []
    for token in base.keys() | style.keys():
        before = _logprob_of(token, own=base, other=style)
        after = _logprob_of(token, own=style, other=base)
        changes.append(abs(before - after))
    return fmean(changes)


def _logprob_of(token: str, *, own: TopLogprobs, other: TopLogprobs) -> float:
    """Return a token's log-probability; of one that the list lacks, the nearest to the other list's."""
    return own[token] if token in own else min(other[token], *own.values())


def _take_probe(version: AdapterVersion, engine: Engine, name: str) -> Probe:
    reading = _stored_base_reading(engine) or _read_base(engine)
    try:
        shifts = _shifts(reading.likeliest, _read_logprobs(engine, name, PROMPTS))
    except EngineRefused:
        _read_base(engine)  # is it the adapter that computes nothing, or the engine?
        raise
    strength = fmean(shifts)
    least = max(MIN_EFFECT_NATS, MIN_TIMES_NOISE * reading.noise)
    if strength <= least:
        raise EngineRefused(reason=ProbeFault.NO_EFFECT(strength=strength, least=least))
    rows = [{"prompt": prompt, "shift": value} for prompt, value in zip(PROMPTS, shifts, strict=True)]
    facts = {"engine": engine.name, "strength": strength, "noise": reading.noise, "shifts": rows}
    # Another worker may have taken the same probe meanwhile; the first one stays.
    probe, _ = Probe.objects.get_or_create(version=version, defaults=facts)
    return probe


def _stored_base_reading(engine: Engine) -> BaseReading | None:
    """Return what this engine's process has answered before, to today's prompts."""
    if engine.started_at is None:
        return None
    known = BaseReading.objects.filter(engine=engine, process_began_at=engine.started_at).first()
    return known if known and known.prompts == list(PROMPTS) else None


def _read_base(engine: Engine) -> BaseReading:
    """Return the base's answers, and how much some of them shift in a batch of another size.

    Raises EngineUnavailable, EnginePoisoned.
    """
    try:
        base = _read_logprobs(engine, engine.base_model.name, PROMPTS)
        repeated = _read_logprobs(engine, engine.base_model.name, PROMPTS[REPEATED])
    except EngineRefused as error:
        raise EnginePoisoned from error
    facts = {
        "process_began_at": engine.started_at,
        "answers": [{"prompt": prompt, "likeliest": top} for prompt, top in zip(PROMPTS, base, strict=True)],
        "noise": fmean(_shifts(base[REPEATED], repeated)),
    }
    if engine.started_at is None:  # it is unknown how long the answers will hold, so they are not kept
        return BaseReading(engine=engine, **facts)
    reading, _ = BaseReading.objects.update_or_create(engine=engine, defaults=facts)
    return reading


def _read_logprobs(engine: Engine, name: str, prompts: Sequence[str]) -> list[TopLogprobs]:
    """Return the likeliest next tokens after each prompt. Raises EngineRefused where there are none."""
    answers: list[TopLogprobs] = list(engine_client.read_logprobs(engine, name, prompts))
    if not all(answers) or len(answers) != len(prompts):
        raise EngineRefused(reason=ProbeFault.NO_WORDS())
    return answers


def _shifts(base: Sequence[TopLogprobs], style: Sequence[TopLogprobs]) -> list[float]:
    return [shift(before, after) for before, after in zip(base, style, strict=True)]
