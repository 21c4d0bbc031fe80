"""Samples: a style is shown by what it writes, so each version that serves answers some prompts once.

The base model answers the same, and simple measures compare the two.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from django.db.models import F, Q
from django.utils import timezone

from adapters.engines import client as control
from adapters.errors import EngineUnavailable
from adapters.models import AdapterVersion, Engine, Placement, Probe, Status, Style
from adapters.quality.prose_metrics import measure_prose
from foundation import locks

logger = logging.getLogger(__name__)

PROMPTS = (
    "Why is the sky blue?",
    "Write a note to a neighbour about noise.",
    "How do I choose a good book?",
)
AFTER = timedelta(seconds=10)  # whoever waited for the new style writes with it first
AT_ONCE = 4
TOKENS = 60
NOTHING = "(It wrote nothing.)"

type Answers = dict[str, str]  # prompt → answer


def take_missing_samples(engine: Engine) -> int:
    """Take the samples that one version on an engine lacks; return how many versions had all taken.

    One version a call: the answers take seconds, and tenants write meanwhile.
    """
    with locks.only_one(f"samples of base model {engine.base_model_id}") as mine:
        placement = _next_without_samples(engine) if mine else None
        if placement is None:
            return 0
        try:
            take_samples(placement)
        except EngineUnavailable as error:
            logger.info("no samples of %s yet: %s", placement.version, error.message)
            return 0
    return 1


def take_samples(placement: Placement) -> None:
    """Store what a placed version and the base answer, and how both measure. Raises EngineUnavailable.

    What is known already is not asked again.
    """
    version, engine = placement.version, placement.engine
    prompts = prompts_of(version.style)
    known = {row["prompt"]: row["style"] for row in version.probe.samples}
    style = known | _ask(engine, placement.loaded_as, [one for one in prompts if one not in known])
    known = _base_answers(engine)
    base = known | _ask(engine, engine.base_name, [one for one in prompts if one not in known])
    rows = [{"prompt": one, "base": base[one], "style": style[one]} for one in prompts]
    Probe.objects.filter(version=version).update(samples=rows, measures=_measures(rows))
    own = version.style.sample_prompt
    lacking = Style.objects.filter(pk=version.style_id, live_version=version, sample="", sample_prompt=own)
    lacking.exclude(sample_prompt="").update(sample=_sample_line(style.get(own, "")))
    approved = version.style.approved_sample_prompt
    lacking = Style.objects.filter(pk=version.style_id, approved_version=version, approved_sample="")
    if approved:
        lacking.filter(approved_sample_prompt=approved).update(
            approved_sample=_sample_line(style.get(approved, ""))
        )


def prompts_of(style: Style) -> list[str]:
    """Return what a style's versions are asked: the same prompts as all others, and its own."""
    return list(dict.fromkeys(filter(None, (*PROMPTS, style.sample_prompt, style.approved_sample_prompt))))


def sample_line_of(version: AdapterVersion | None, prompt: str) -> str:
    """Return what a version answered to a prompt, as a style's sample line; "" where it was not asked."""
    samples = Probe.objects.filter(version=version).values_list("samples", flat=True).first() or []
    return next((_sample_line(row["style"]) for row in samples if row["prompt"] == prompt), "")


def _next_without_samples(engine: Engine) -> Placement | None:
    """Return the version on an engine that has waited longest for its samples, or for its style's line."""
    is_live = Q(version__style__live_version=F("version"))
    without_line = is_live & Q(version__style__sample="") & ~Q(version__style__sample_prompt="")
    loaded = Placement.objects.filter(
        Q(version__probe__samples=[]) | without_line,
        engine=engine,
        loaded_at__lt=timezone.now() - AFTER,
        version__status=Status.SERVING,
        version__probe__isnull=False,
    )
    loaded = loaded.select_related("engine__base_model", "version__style", "version__probe")
    return loaded.order_by("loaded_at").first()


def _base_answers(engine: Engine) -> Answers:
    """Return what the same base model answered when another version was sampled last."""
    probes = Probe.objects.filter(version__style__base_model=engine.base_model_id).exclude(samples=[])
    latest = probes.order_by("-at").first()
    return {row["prompt"]: row["base"] for row in latest.samples} if latest else {}


def _ask(engine: Engine, name: str, prompts: list[str]) -> Answers:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(partial(control.complete, engine, name, tokens=TOKENS), prompts))
    return dict(zip(prompts, answers, strict=True))


def _measures(rows: list[dict[str, str]]) -> dict[str, object]:
    base, style = [row["base"] for row in rows], [row["style"] for row in rows]
    return {
        "base": measure_prose(base, against=style).as_json(),
        "style": measure_prose(style, against=base).as_json(),
    }


def _sample_line(text: str) -> str:
    """Return whole sentences, where there are any, that fit the field."""
    limit = Style._meta.get_field("sample").max_length
    text = text.strip()[:limit]
    end = max(text.rfind(mark) for mark in ".!?\n")
    return (text[: end + 1].strip() if end > 0 else text) or NOTHING
