"""Releases: which version answers, a canary on a share of the requests, and two side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from adapters.api.addresses import StyleApiViewSet, version_of
from adapters.api.versions import CardObject, VersionObject
from adapters.errors import NoCanary, NoPair
from adapters.evidence import check_draft
from adapters.evidence.drafts import MOST_CHARACTERS
from adapters.models import MAX_NUMBER, AdapterVersion, Release, Style
from adapters.quality.samples import StyleCard, style_card_of
from adapters.releases import aliases, canary_analysis, diff
from adapters.releases.canary_analysis import CanaryComparison
from core.rest.bodies import StrictSerializer, TextField, choice_query
from core.rest.objects import MessageText, PersonField
from metering.style_usage import VersionFigures, version_figures
from tenants.models import Scope
from tenants.rest import delete, get, post, put
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


FIGURES_OF = timedelta(days=1)


class FiguresObject(serializers.Serializer[Any]):
    """Completed requests of a version."""

    requests = serializers.IntegerField()
    errors = serializers.IntegerField(help_text="Requests that failed on the engine.", initial=1)  # type: ignore[assignment]
    empty = serializers.IntegerField(help_text="Empty answers.", initial=0)
    completion_tokens = serializers.IntegerField()
    error_percent = serializers.FloatField(initial=0.83)
    empty_percent = serializers.FloatField(help_text="Percentage of answers that were empty.", initial=0.0)


class CanaryObject(serializers.Serializer[Any]):
    """A canary compared to the live version: metrics of both over the same period, at most a day."""

    object = serializers.CharField(default="canary", read_only=True)
    version = serializers.IntegerField(source="canary.number")
    live_version = serializers.IntegerField(source="live.number", initial=3)
    percent = serializers.IntegerField(initial=10)
    since = serializers.DateTimeField()
    figures = FiguresObject(source="canary_figures", help_text="Metrics of the version.")
    live_figures = FiguresObject(help_text="Metrics of the live version.")
    sentence = serializers.CharField(
        help_text="What the metrics show.",
        initial="Version 4 gets 10% of requests; it fails as often as version 3.",
    )
    fault = MessageText(help_text="Why the canary is about to end automatically. Otherwise empty.")


class ReleaseObject(serializers.Serializer[Any]):
    """A change of an alias: a new live version, or a canary with a share of requests."""

    object = serializers.CharField(default="release", read_only=True)
    alias = serializers.ChoiceField(Release.Alias.choices, initial="live")
    before = serializers.IntegerField(
        source="before.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version before.",
        initial=2,
    )
    after = serializers.IntegerField(
        source="after.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version afterwards.",
        initial=3,
    )
    percent = serializers.IntegerField(help_text="The canary's share of requests, in percent.", initial=0)
    sentence = serializers.CharField(initial="Version 3 replaced version 2")
    reason = MessageText()
    actor = PersonField("actor", "Email address of the member. `null` if automatic or done by a program.")
    api_key = serializers.UUIDField(source="api_key_id", allow_null=True, help_text="The API key used.")
    at = serializers.DateTimeField()


class ComparedVersion(serializers.Serializer[Any]):
    """One of the two compared versions."""

    version = VersionObject(help_text="The version.")
    card = CardObject(allow_null=True, help_text="Its style card, once measured.")
    figures = FiguresObject(help_text="Over the last 24 hours.")


class ComparedSample(serializers.Serializer[Any]):
    """Both versions' answers to a prompt."""

    prompt = serializers.CharField(initial="Why is the sky blue?")
    first = serializers.CharField(help_text="The first version's answer.", initial="Blue sells.")
    second = serializers.CharField(help_text="The second version's answer.", initial="It is air.")


class ComparisonObject(serializers.Serializer[Any]):
    """Two versions side by side."""

    object = serializers.CharField(default="comparison", read_only=True)
    first = ComparedVersion(help_text="The first version.")
    second = ComparedVersion(help_text="The second version.")
    samples = ComparedSample(many=True, help_text="For the prompts that both versions answered.")
    sentences = serializers.ListField(
        child=serializers.CharField(),
        help_text="A description of the differences.",
        initial=["Version 4 writes 30% longer sentences (11.7 words, compared to 9.0)."],
    )


class CanaryBody(StrictSerializer):
    """The canary version and its share of requests."""

    version = serializers.IntegerField(min_value=1, max_value=MAX_NUMBER, initial=4)
    percent = serializers.IntegerField(min_value=1, max_value=99, initial=10)


class PairQuery(StrictSerializer):
    """Which versions are compared."""

    a = serializers.IntegerField(
        min_value=1, max_value=MAX_NUMBER, required=False, help_text="Default: the live version."
    )
    b = serializers.IntegerField(
        min_value=1,
        max_value=MAX_NUMBER,
        required=False,
        help_text="Default: the newest other serving version.",
    )


class ReleaseViewSet(StyleApiViewSet):
    """The releases of a style, and its canary: a version that is tried on a share of its requests."""

    tag, resource, nouns = "versions", "releases", "a style's releases"
    reads = {
        "list": (
            "Return all changes of the aliases `live` and `canary`, newest first.",
            {"url_path": "releases"},
        )
    }
    serializer_class = ReleaseObject
    query = choice_query("alias", Release.Alias.choices)
    ordering = ("-at", "-pk")

    def get_queryset(self) -> QuerySet[Release]:
        return self.own_style().releases.select_related("before", "after", "actor")

    @post("Roll back to the previous live version", answer=VersionObject)
    def rollback(self, style: Style) -> AdapterVersion:
        """Roll back to the previous live version and return it."""
        after = aliases.roll_back(self.access, style)
        return version_of(self.own_style(), after.number)

    @get("Get the canary and its metrics", url_path="canary", answer=CanaryObject)
    def get_canary(self, style: Style) -> CanaryComparison:
        """Return the canary's metrics, compared to the live version."""
        return _canary_of(style)

    @put("Start or change a canary", url_path="canary", body=CanaryBody, answer=CanaryObject)
    def set_canary(self, style: Style, body: dict[str, Any]) -> CanaryComparison:
        """Send a share of requests to a version. Replaces an existing canary."""
        aliases.begin_canary(self.access, version_of(style, body["version"]), body["percent"])
        return _canary_of(self.own_style())

    @delete("End the canary", url_path="canary", answer=None)
    def end_canary(self, style: Style) -> None:
        """End the canary. All requests go to the live version."""
        if not aliases.end_canary(self.access, style):
            raise NoCanary


class ComparisonViewSet(StyleApiViewSet):
    """Two versions side by side."""

    tag = "versions"

    @get("Compare two versions of a style", query=PairQuery, answer=ComparisonObject, can_conflict=True)
    def compare(self, style: Style, query: dict[str, Any]) -> Response:
        """Return both versions' cards, metrics and samples, and a description of the differences."""
        pair = _choose_pair(style, query.get("a"), query.get("b"))
        figures = version_figures(style.pk, timezone.now() - FIGURES_OF)
        first, second = [_describe_side(version, figures) for version in pair]
        samples = _common_samples(first["card"], second["card"])
        sentences = _differences(samples, (pair[0].number, pair[1].number))
        compared = {"first": first, "second": second, "samples": samples, "sentences": sentences}
        return Response(ComparisonObject(compared).data)


def _canary_of(style: Style) -> CanaryComparison:
    comparison = canary_analysis.compare_canary(style)
    if comparison is None:
        raise NoCanary
    return comparison


def _choose_pair(style: Style, first_number: int | None, second_number: int | None) -> diff.VersionPair:
    """Return the versions that are named, else the live one and the newest other one that serves.

    Raises VersionNotFound or NoPair.
    """
    named = {number: version_of(style, number) for number in (first_number, second_number) if number}
    chosen = diff.choose_pair(
        style,
        [*named.values(), *diff.serving_versions(style)],
        first_number=str(first_number or ""),
        second_number=str(second_number or ""),
    )
    if chosen is None:
        raise NoPair
    first, second = chosen
    return version_of(style, first.number), version_of(style, second.number)


def _common_samples(first: StyleCard | None, second: StyleCard | None) -> list[dict[str, str]]:
    if first is None or second is None:
        return []
    answers = {row["prompt"]: row["style"] for row in second.samples}
    samples = []
    for row in first.samples:
        prompt = row["prompt"]
        if prompt in answers:
            samples.append({"prompt": prompt, "first": row["style"], "second": answers[prompt]})
    return samples


def _differences(samples: Sequence[dict[str, str]], numbers: tuple[int, int]) -> list[str]:
    if not samples:
        return []
    comparison = diff.compare_answers(
        [sample["prompt"] for sample in samples],
        [sample["first"] for sample in samples],
        [sample["second"] for sample in samples],
        numbers=numbers,
    )
    return comparison.sentences


def _describe_side(version: AdapterVersion, figures: dict[int, VersionFigures]) -> dict[str, Any]:
    """Return the fields of ComparedVersion."""
    of_version = figures.get(version.number, VersionFigures())
    return {"version": version, "card": style_card_of(version, has_all_samples=True), "figures": of_version}
