"""Evaluations with figures, for tests of pages and of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from adapters.evidence import Figures
from adapters.models import AdapterVersion, Evaluation, EvaluationStatus
from adapters.verifier.calibration import Basis, Typical

AUTHORS_PASSAGE = "The ferryman counted the lanterns twice, because the river had taken one and kept it. " * 3
STYLES_ANSWER = "The ferry lay low in the water, and whoever wanted across had to wait for its man. " * 3
SAMPLE = {
    "prompt": "Write a passage about a ferry at night.",
    "base": "Sure! Here is a short passage about a ferry at night.",
    "style": STYLES_ANSWER,
    "writer": AUTHORS_PASSAGE,
}
PASSAGE = "and the bell at Sallow Hythe rang twice for nobody at all"
FIGURES: dict[str, Any] = {
    "learned": {"bytes": 18_240, "base": 1.412, "style": 1.301, "control": 1.344},
    "repeats": {
        "examples": 200,
        "repeated": 0,
        "longest_tokens": 11,
        "base_longest_tokens": 9,
        "least_tokens": 50,
        "exposure_bits": [1.2, 0.4, 2.1],
    },
    "voice": {
        "language": "en",
        "answers": 20,
        "recognized": 13,
        "floor": 0.21,
        "style": 0.62,
        "ceiling": 0.84,
        "share": 0.65,
        "low": 0.48,
        "high": 0.79,
        "new_text": 0.57,
    },
    "briefs": {
        "style": 0.31,
        "base": 0.33,
        "style_interval": {"mean": 0.31, "low": 0.28, "high": 0.34},
        "base_interval": {"mean": 0.33, "low": 0.29, "high": 0.37},
        "margin": {"mean": 0.046, "low": 0.01, "high": 0.08},
    },
    "rewrites": {
        "drafts": 6,
        "kept": 0.58,
        "base_kept": 0.62,
        "nearness": {"than_base": 5, "than_draft": 4, "style": 0.55, "base": 0.24, "draft": 0.29},
    },
    "voice_unknown": "",
}
LOW: dict[str, Any] = {
    "learned": {"bytes": 9_120, "base": 1.412, "style": 1.402, "control": 1.398},
    "repeats": {
        **FIGURES["repeats"],
        "repeated": 9,
        "longest_tokens": 88,
        "exposure_bits": [62.5, 40.4, 52.1],
    },
    "voice": {**FIGURES["voice"], "recognized": 2, "style": 0.27, "share": 0.09, "low": -0.06, "high": 0.22},
    "briefs": {
        "style": 0.12,
        "base": 0.33,
        "style_interval": {"mean": 0.12, "low": 0.08, "high": 0.16},
        "base_interval": {"mean": 0.33, "low": 0.29, "high": 0.37},
        "margin": {"mean": -0.144, "low": -0.2, "high": -0.09},
    },
    "voice_unknown": "",
}


DRAFT = "The river had risen in the night. " * 12 + "Leveraging synergies is key."


@dataclass(frozen=True)
class Sentence:
    start: int
    end: int
    score: float
    probability: float


class EqualWords:
    """A verifier that finds one sentence far and the rest near."""

    language = "en"
    basis = Basis(words=15_000, documents=2, spread=0.1, distance=0.3)

    def score(self, text: str) -> float:
        return 0.525

    def probability(self, text: str) -> float:
        return 0.5

    def probability_of(self, score: float, words: float) -> float:
        return 0.12

    def typical_of(self, words: int) -> Typical:
        return Typical(own=(0.55, 0.8, 0.96), others=(0.04, 0.12, 0.35))

    def score_sentences(self, text: str) -> list[Sentence]:
        far = text.index("Leveraging") if "Leveraging" in text else 0
        return [Sentence(0, 33, 0.84, 0.6), Sentence(far, len(text), 0.2, 0.31)]


def lay_evaluation(
    version: AdapterVersion, figures: Mapping[str, Any] | None = None, **facts: object
) -> Evaluation:
    """Lay an evaluation that has succeeded, with a sample; what its figures say of sharing is stored."""
    read = Figures.read(dict(figures or FIGURES))
    evaluation = Evaluation.objects.create(
        version=version,
        **{
            "status": EvaluationStatus.SUCCEEDED,
            "percent": 100,
            "figures": read.as_json(),
            "samples": [SAMPLE],
            "passages": [PASSAGE] if read.repeats.repeated else [],
            "ended_at": timezone.now(),
            **facts,
        },
    )
    AdapterVersion.objects.filter(pk=version.pk).update(share_refusal=read.share_refusal)
    version.refresh_from_db()
    return evaluation
