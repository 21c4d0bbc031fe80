"""Evaluations as the API shows them, and as events carry them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from adapters import gate
from adapters.evidence.figures import Figures
from adapters.models import Evaluation, EvaluationStatus, Style
from core.rest.objects import MessageText
from tenants.access import Access
from tenants.models import Scope
from tenants.roles import Permission


class LearnedObject(serializers.Serializer[Any]):
    """How well a version predicts unseen text by its author, in bits per byte. Less is better."""

    bytes = serializers.IntegerField(help_text="Size of the unseen text.")
    base = serializers.FloatField(help_text="The base model's bits per byte.")
    style = serializers.FloatField(help_text="The version's.")  # type: ignore[assignment]
    control = serializers.FloatField(
        allow_null=True, help_text="Those of a style of other authors. `null`: there is none to compare with."
    )
    gain_percent = serializers.FloatField(help_text="By how much the version is better than the base model.")
    genre_percent = serializers.FloatField(
        allow_null=True, help_text="How much of that the style of other authors gains, too."
    )
    own_percent = serializers.FloatField(allow_null=True, help_text="What is left: from this author.")


class VoiceObject(serializers.Serializer[Any]):
    """How close a version's answers are to its author."""

    language = serializers.CharField(help_text="ISO 639-1 code.")
    answers = serializers.IntegerField(help_text="Number of answers compared.")
    recognized = serializers.IntegerField(
        help_text="Answers that score as close as nine in ten of the author's own passages."
    )
    floor = serializers.FloatField(help_text="Mean score of the base model's answers to the same requests.")
    style = serializers.FloatField(help_text="Mean score of the version's.")  # type: ignore[assignment]
    ceiling = serializers.FloatField(help_text="Mean score of unseen passages by the author.")
    share = serializers.FloatField(help_text="How far the answers have come: 0 is the floor, 1 the ceiling.")
    low = serializers.FloatField(help_text="Lower end of its 90% confidence interval.")
    high = serializers.FloatField(help_text="Upper end.")
    new_text = serializers.FloatField(
        allow_null=True,
        help_text="The score that a new book by an author typically has: lower than that of unseen passages "
        "of the learned texts. `null`: not known for this language, or an older evaluation.",
    )


class RepeatsObject(serializers.Serializer[Any]):
    """What a version repeats word for word, and the base model doesn't."""

    examples = serializers.IntegerField(help_text="Passages that were tried.")
    repeated = serializers.IntegerField(
        help_text="Of them, those that it repeats in part. With one or more, it can't be shared or published."
    )
    percent = serializers.FloatField(help_text="Percentage of passages that it continued.")
    least_tokens = serializers.IntegerField(
        help_text="Tokens in a row that a repetition has at least, anywhere in a passage."
    )
    longest_tokens = serializers.IntegerField(
        help_text="Its longest run of correct tokens, including what the base model or the prompt has, too."
    )
    base_longest_tokens = serializers.IntegerField(help_text="The base model's.")
    exposure_bits = serializers.ListField(
        child=serializers.FloatField(),
        help_text="Exposure of each test sentence in the texts, in bits. Empty if there were none.",
    )
    mean_exposure_bits = serializers.FloatField(
        allow_null=True,
        help_text=f"Their mean. Above {gate.MEMORIZED_BITS:.0f}, it can't be shared or published.",
    )
    memory = serializers.ChoiceField(
        choices=[one.value for one in gate.Memory],
        help_text="What that says: `none`: no sign that it memorised the test sentences; `some`; "
        "`memorized`; or `unknown`: there were none.",
    )


class IntervalObject(serializers.Serializer[Any]):
    """A mean over requests, and its 90% confidence interval."""

    mean = serializers.FloatField(help_text="Mean over different requests.")
    low = serializers.FloatField(help_text="Lower end of the confidence interval.")
    high = serializers.FloatField(help_text="Upper end of the confidence interval.")


class BriefsObject(serializers.Serializer[Any]):
    """How well a version keeps to requests."""

    style = serializers.FloatField(  # type: ignore[assignment]
        help_text="Share of a request's words in the version's answers, less that of other requests' words."
    )
    base = serializers.FloatField(help_text="The same of the base model.")
    style_interval = IntervalObject(
        allow_null=True, help_text="The version's, with its interval. `null`: too few requests to tell."
    )
    base_interval = IntervalObject(allow_null=True, help_text="The base model's.")
    keeps = serializers.BooleanField(
        allow_null=True,
        help_text="Whether the version keeps to requests at least 80% as well as the base model. `null`: "
        "these answers can't tell.",
    )
    percent_of_base = serializers.FloatField(allow_null=True)


class NearnessObject(serializers.Serializer[Any]):
    """How close rewrites are to the author. Scores are on the same scale as those of `voice`."""

    than_base = serializers.IntegerField(
        help_text="Rewrites that are closer to the author than the base model's of the same draft."
    )
    than_draft = serializers.IntegerField(help_text="Rewrites that are closer than the draft itself.")
    style = serializers.FloatField(  # type: ignore[assignment]
        help_text="Mean score of the version's rewrites."
    )
    base = serializers.FloatField(help_text="Mean score of the base model's.")
    draft = serializers.FloatField(help_text="Mean score of the drafts.")


class RewritesObject(serializers.Serializer[Any]):
    """How well a version rewrites plain drafts of unseen passages."""

    drafts = serializers.IntegerField(help_text="Drafts that were rewritten.")
    kept = serializers.FloatField(
        help_text="Share of a draft's content words and names that the version's rewrite has."
    )
    base_kept = serializers.FloatField(help_text="The same of the base model, with the same prompt.")
    nearness = NearnessObject(allow_null=True, help_text="`null`: see `voice_unknown`.")


class EvidenceObject(serializers.Serializer[Any]):
    """The figures of an evaluation."""

    learned = LearnedObject(help_text="How well it learned from the texts.")
    voice = VoiceObject(allow_null=True, help_text="`null`: see `voice_unknown`.")
    voice_unknown = serializers.CharField(
        help_text="Why there is no `voice`: `language` (not English or German), `too_little_text`, or "
        "`not_distinct` (the texts read like other authors'). Empty otherwise."
    )
    repeats = RepeatsObject(help_text="What it repeats word for word.")
    briefs = BriefsObject(allow_null=True, help_text="How well it keeps to requests.")
    rewrites = RewritesObject(
        allow_null=True,
        help_text="How well it rewrites. `null`: too few passages could be used, or an older evaluation.",
    )


class EvaluationSample(serializers.Serializer[Any]):
    """A request with the answers of the base model and the version, and the author's own passage."""

    prompt = serializers.CharField()
    base = serializers.CharField()
    style = serializers.CharField(help_text="The version's answer.")  # type: ignore[assignment]
    writer = serializers.CharField(help_text="The author's own passage.")


class EvaluationObject(serializers.Serializer[Evaluation]):
    """An evaluation of a version against texts by its author."""

    example: ClassVar = {
        "id": "5f1d1c0a-93f8-4a55-8f5e-0d7f1f0c9b21",
        "object": "evaluation",
        "model": "acme/my-voice@4",
        "status": "succeeded",
        "percent": 100,
        "note": "",
        "failure": "",
        "figures": {
            "learned": {
                "bytes": 18240,
                "base": 1.412,
                "style": 1.301,
                "control": 1.344,
                "gain_percent": 7.9,
                "genre_percent": 4.8,
                "own_percent": 3.0,
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
            "voice_unknown": "",
            "repeats": {
                "examples": 200,
                "repeated": 0,
                "percent": 0.0,
                "longest_tokens": 11,
                "base_longest_tokens": 9,
                "least_tokens": 50,
                "exposure_bits": [1.2, 0.4, 2.1],
                "mean_exposure_bits": 1.23,
                "memory": "none",
            },
            "briefs": {
                "style": 0.31,
                "base": 0.33,
                "style_interval": {"mean": 0.31, "low": 0.28, "high": 0.34},
                "base_interval": {"mean": 0.33, "low": 0.29, "high": 0.37},
                "keeps": True,
                "percent_of_base": 93.9,
            },
            "rewrites": {
                "drafts": 6,
                "kept": 0.58,
                "base_kept": 0.62,
                "nearness": {"than_base": 5, "than_draft": 4, "style": 0.55, "base": 0.24, "draft": 0.29},
            },
        },
        "share_refusal": "",
        "samples": None,
        "passages": None,
        "created_at": "2026-11-29T20:15:00Z",
        "ended_at": "2026-11-29T20:16:40Z",
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="evaluation", read_only=True)
    model = serializers.CharField(source="version.model_name", read_only=True)
    status = serializers.ChoiceField(EvaluationStatus.choices)
    percent = serializers.IntegerField(help_text="How much of it is done.")
    note = MessageText(help_text="What it is doing or waiting for. May be empty.")
    failure = MessageText(help_text="Why it failed. Empty otherwise.")
    figures = serializers.SerializerMethodField(help_text="`null` until it has succeeded.")
    share_refusal = MessageText(
        source="version.share_refusal",
        read_only=True,
        help_text="Why the version can't be shared or published. Empty if it can.",
    )
    samples = serializers.SerializerMethodField(
        help_text="For the version's own workspace with `styles:write`; `null` for others."
    )
    passages = serializers.SerializerMethodField(
        help_text="Passages that it repeats, word for word, for the same callers; `null` for others."
    )
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(EvidenceObject(allow_null=True))
    def get_figures(self, evaluation: Evaluation) -> dict[str, Any] | None:
        """Return the figures."""
        if not evaluation.figures:
            return None
        return dict(EvidenceObject(Figures.read(evaluation.figures)).data)

    @extend_schema_field(EvaluationSample(many=True, allow_null=True))
    def get_samples(self, evaluation: Evaluation) -> list[dict[str, str]] | None:
        """Return what was asked and answered, for callers who may read it."""
        return evaluation.samples if self.context.get("has_texts") else None

    def get_passages(self, evaluation: Evaluation) -> list[str] | None:
        """Return the passages, for callers who may read them."""
        return evaluation.passages if self.context.get("has_texts") else None


def reads_texts(access: Access, style: Style) -> bool:
    """Return whether a member or a key may read texts by a style's author: who may change an own style."""
    if style.owner_id != access.tenant.pk:
        return False
    if access.key is None:
        return access.may(Permission.CHANGE_STYLES)
    return bool({Scope.STYLES_WRITE, Scope.ADMIN} & set(access.key.scopes))


def present_evaluation(evaluation: Evaluation, *, has_texts: bool = False) -> dict[str, object]:
    """Return an evaluation as the API shows it; without texts, as events carry it."""
    return dict(EvaluationObject(evaluation, context={"has_texts": has_texts}).data)
