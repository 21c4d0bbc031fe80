"""Checks of drafts against a style's author."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from adapters.api.addresses import StyleApiViewSet
from adapters.evidence import check_draft
from adapters.evidence.drafts import MOST_CHARACTERS
from adapters.models import Style
from core.rest.bodies import StrictSerializer, TextField
from tenants.models import Scope
from tenants.rest import post
from tenants.roles import Permission


class DraftBody(StrictSerializer):
    """A text to check."""

    text = TextField(
        max_length=MOST_CHARACTERS,
        trim_whitespace=False,
        help_text="At least 50 words.",
        initial="The river had risen in the night …",
    )


class DraftSentenceObject(serializers.Serializer[Any]):
    """A sentence of the text."""

    text = serializers.CharField(initial="Leveraging synergies is key.")
    start = serializers.IntegerField(help_text="Where it begins in the text, in characters.", initial=904)
    end = serializers.IntegerField(help_text="Where it ends in the text, in characters.", initial=932)
    percent = serializers.IntegerField(
        allow_null=True,
        help_text="How close it is to the author, in percent.",
        initial=31,
    )


class PercentRangeObject(serializers.Serializer[Any]):
    """Where the middle half of some texts lies."""

    low = serializers.IntegerField(help_text="A quarter of them get less.")
    high = serializers.IntegerField(help_text="A quarter of them get more.")


class DraftCheckObject(serializers.Serializer[Any]):
    """How close a text is to a style's author."""

    example = dict(own=dict(low=55, high=96), others=dict(low=4, high=35))

    object = serializers.CharField(default="draft_check", read_only=True)
    model = serializers.CharField(
        help_text="The version whose texts it was compared with.", initial="acme/my-voice@4"
    )
    words = serializers.IntegerField(initial=312)
    percent = serializers.IntegerField(
        allow_null=True,
        help_text="Of texts that score like this one, so many in 100 are by the author, if half of all texts "
        "are. `null`: see `percent_unknown`.",
        initial=71,
    )
    percent_unknown = serializers.CharField(
        help_text="Why there is no percentage: `language` (scores are calibrated for English so far) or "
        "`old_check` (the version was evaluated before they were: evaluate it again). Empty otherwise.",
        initial="",
    )
    own = PercentRangeObject(
        allow_null=True,
        help_text="What new texts of about this length by an author get: the middle half of them.",
    )
    others = PercentRangeObject(allow_null=True, help_text="The same of texts by other authors.")
    base = serializers.IntegerField(
        allow_null=True,
        help_text="What the base model's answers get, at this length, on average.",
        initial=12,
    )
    farthest = DraftSentenceObject(many=True, help_text="The sentences that are farthest from the author.")


class DraftViewSet(StyleApiViewSet):
    """Checks of texts against a style's author."""

    tag = "styles"
    scope = Scope.STYLES_READ
    serializer_class = DraftCheckObject

    @post(
        "Check a text against a style's author",
        url_path="",
        body=DraftBody,
        needs=Permission.WRITE_TEXT,
        is_post=False,
        is_repeatable=True,
    )
    def check_draft(self, style: Style, body: dict[str, Any]) -> Response:
        """Compare a text with the author of one of your own styles. Nothing is stored, and it's free."""
        check = check_draft(style, body["text"])
        shown = {**asdict(check), "model": f"{style.model_name}@{check.version}"}
        return Response(DraftCheckObject(shown).data)
