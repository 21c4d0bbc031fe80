"""Evaluations of versions, and checks of drafts against a style's author."""

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.api.addresses import StyleAddress, find_own_style, find_style, version_of
from adapters.api.views import StyleApiView, read_operation
from adapters.errors import NoEvaluation, VersionNotFound
from adapters.evidence import EvaluationObject, check_draft, present_evaluation, reads_texts
from adapters.evidence.drafts import MOST_CHARACTERS
from adapters.models import Evaluation, EvaluationStatus
from core.rest.bodies import StrictSerializer, TextField
from tenants.public import Permission
from tenants.rest import repeatable


class DraftBody(StrictSerializer):
    """A text to check."""

    text = TextField(max_length=MOST_CHARACTERS, trim_whitespace=False, help_text="At least 50 words.")


class DraftSentenceObject(serializers.Serializer[Any]):
    """A sentence of the text."""

    text = serializers.CharField()
    start = serializers.IntegerField(help_text="Where it begins in the text, in characters.")
    end = serializers.IntegerField()
    percent = serializers.IntegerField(
        allow_null=True, help_text="As for the text. A single sentence says little, so it is near 50."
    )


class PercentRangeObject(serializers.Serializer[Any]):
    """Where the middle half of some texts lies."""

    low = serializers.IntegerField(help_text="A quarter of them get less.")
    high = serializers.IntegerField(help_text="A quarter of them get more.")


class DraftCheckObject(serializers.Serializer[Any]):
    """How close a text is to a style's author."""

    example: ClassVar = {
        "object": "draft_check",
        "model": "acme/my-voice@4",
        "words": 312,
        "percent": 71,
        "percent_unknown": "",
        "own": {"low": 55, "high": 96},
        "others": {"low": 4, "high": 35},
        "base": 12,
        "farthest": [
            {"text": "Leveraging synergies is key.", "start": 904, "end": 932, "percent": 31},
        ],
    }

    object = serializers.CharField(default="draft_check", read_only=True)
    model = serializers.CharField(help_text="The version whose texts it was compared with.")
    words = serializers.IntegerField()
    percent = serializers.IntegerField(
        allow_null=True,
        help_text="Of texts that score like this one, so many in 100 are by the author, if half of all texts "
        "are. `null`: see `percent_unknown`.",
    )
    percent_unknown = serializers.CharField(
        help_text="Why there is no percentage: `language` (scores are calibrated for English so far) or "
        "`old_check` (the version was evaluated before they were: evaluate it again). Empty otherwise."
    )
    own = PercentRangeObject(
        allow_null=True,
        help_text="What new texts of about this length by an author get: the middle half of them.",
    )
    others = PercentRangeObject(allow_null=True, help_text="The same of texts by other authors.")
    base = serializers.IntegerField(
        allow_null=True, help_text="What the base model's answers get, at this length, on average."
    )
    farthest = DraftSentenceObject(many=True, help_text="The sentences that are farthest from the author.")


class EvaluationView(StyleApiView):
    """The newest evaluation of a version."""

    @read_operation(
        "versions.evaluation",
        "Get a version's evaluation",
        answer=EvaluationObject,
        example=EvaluationObject.example,
        tag="versions",
    )
    def get(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Return a version's newest evaluation: any version of your own styles. Of other styles, return the
        figures of the live version."""
        found = find_style(self.access, style)
        if found.owner_id == self.access.tenant.pk:
            evaluations = Evaluation.objects.filter(version=version_of(found, number))
        else:
            live_version = found.show_to(self.access.tenant.pk).live_version
            if live_version is None or live_version.number != number:
                raise VersionNotFound(number=number)
            evaluations = Evaluation.objects.filter(version=live_version, status=EvaluationStatus.SUCCEEDED)
        newest_first = evaluations.select_related("version__style__owner").order_by("-created_at")
        evaluation = newest_first.defer("verifier").first()
        if evaluation is None:
            raise NoEvaluation(number=number)
        has_texts = reads_texts(self.access, evaluation.version.style)
        return self.answer_object(present_evaluation(evaluation, has_texts=has_texts))


class DraftChecksView(StyleApiView):
    """A check of a text against a style's author."""

    @read_operation(
        "styles.check_draft",
        "Check a text against a style's author",
        body=DraftBody,
        answer=DraftCheckObject,
        needs=Permission.WRITE_TEXT,
        body_example={"text": "The river had risen in the night …"},
        tag="styles",
    )
    @repeatable
    def post(self, request: Request, style: StyleAddress) -> Response:
        """Compare a text with the author of one of your own styles. Nothing is stored, and it's free."""
        own = find_own_style(self.access, style)
        check = check_draft(own, self.read_body(DraftBody)["text"])
        shown = {
            "model": f"{own.model_name}@{check.version}",
            "words": check.words,
            "percent": check.percent,
            "percent_unknown": check.percent_unknown,
            "own": check.own,
            "others": check.others,
            "base": check.base,
            "farthest": check.farthest,
        }
        return Response(DraftCheckObject(shown).data)
