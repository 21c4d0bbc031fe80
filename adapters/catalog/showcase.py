"""What the front page shows to strangers: a few public styles, and what each answered to the same prompts."""

from dataclasses import dataclass

from django.db.models import Q

from adapters.models import Probe, Style
from adapters.models.styles import is_reviewed_for

MOST_STYLES = 3
MOST_PROMPTS = 3


@dataclass(frozen=True)
class Answer:
    """What a style answered; `style` is None for the base model."""

    style: Style | None
    text: str


@dataclass(frozen=True)
class PromptAnswers:
    """A prompt, and the answers of the base model and of each style."""

    prompt: str
    answers: list[Answer]


def public_styles() -> list[Style]:
    """Return a few public styles with a sample, as strangers see them."""
    reviewed = is_reviewed_for(None)
    with_sample = reviewed & ~Q(approved_sample="") | ~reviewed & ~Q(sample="")
    public = Style.objects.answering(None).filter(with_sample, is_public=True)
    shown = public.select_related("owner", "live_version", "approved_version").order_by("created_at")
    return [style.show_to(None) for style in shown[:MOST_STYLES]]


def list_answers(styles: list[Style]) -> list[PromptAnswers]:
    """Return what some styles answered when they were probed, to the prompts that all have. One query."""
    versions = {style.live_version_id: style for style in styles}
    probes = Probe.objects.filter(version__in=versions).values_list("version", "samples")
    answers: dict[str, list[Answer]] = {}
    for version_id, samples in probes:
        for sample in samples:
            base = [Answer(None, sample["base"])]
            answers.setdefault(sample["prompt"], base).append(Answer(versions[version_id], sample["style"]))
    complete = [PromptAnswers(prompt, given) for prompt, given in answers.items() if len(given) > len(styles)]
    return complete[:MOST_PROMPTS]
