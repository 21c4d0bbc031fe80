"""Versions of a style: list, begin, get, delete, their reports and cards, and what moves one on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import (
    StyleAddress,
    find_own_style,
    find_own_version,
    find_style,
    version_of,
    with_facts,
)
from adapters.api.bodies import AtOnceBody, NewVersionBody
from adapters.api.examples import (
    CARD_EXAMPLE,
    COMPARISON_EXAMPLE,
    DOWNLOAD_EXAMPLE,
    ERASURE_EXAMPLE,
    NEW_VERSION_BODY_EXAMPLE,
    NEW_VERSION_EXAMPLE,
    REPORT_EXAMPLE,
    VERSION_EXAMPLE,
)
from adapters.api.presenters import (
    CardObject,
    ErasureObject,
    FiguresObject,
    FindingObject,
    VersionObject,
    present_card,
    present_erasure,
    present_version,
    present_versions,
)
from adapters.api.upload_object import NewVersionObject, present_new_upload
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.errors import NoCard, NoPair, VersionNotFound
from adapters.models import AdapterVersion, Erasure, Probe, Status, Style
from adapters.object_store import DOWNLOAD_VALID_S
from adapters.quality import cards
from adapters.quality.cards import StyleCard
from adapters.releases import diff, pairs
from adapters.uploads import conversions
from adapters.uploads.upload_request import StyleDescription
from core.rest.bodies import StrictSerializer
from tenants.metering.version_stats import VersionFigures, version_figures
from tenants.rest import idempotent, repeatable

FIGURES_OF = timedelta(days=1)
MAX_NUMBER = 2**31 - 1


class VersionsQuery(StrictSerializer):
    """Which versions."""

    status = serializers.ChoiceField(Status.choices, required=False, help_text="Filter by status.")


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


class ReportObject(serializers.Serializer[Any]):
    """A validation report."""

    object = serializers.CharField(default="report", read_only=True)
    version = serializers.IntegerField(source="number")
    status = serializers.ChoiceField(Status.choices)
    findings = FindingObject(many=True)
    conversions = serializers.SerializerMethodField(
        help_text="What `autofix` would do. Empty if it can't help."
    )

    def get_conversions(self, version: AdapterVersion) -> list[str]:
        """Return a sentence for each correction."""
        return conversions.offered_conversions(version)


class ComparedVersion(serializers.Serializer[Any]):
    """One of the two compared versions."""

    version = VersionObject()
    card = CardObject(allow_null=True)
    figures = FiguresObject(help_text="Over the last 24 hours.")


class ComparedSample(serializers.Serializer[Any]):
    """Both versions' answers to a prompt."""

    prompt = serializers.CharField()
    first = serializers.CharField()
    second = serializers.CharField()


class ComparisonObject(serializers.Serializer[Any]):
    """Two versions side by side."""

    object = serializers.CharField(default="comparison", read_only=True)
    first = ComparedVersion()
    second = ComparedVersion()
    samples = ComparedSample(many=True, help_text="For the prompts that both versions answered.")
    sentences = serializers.ListField(
        child=serializers.CharField(), help_text="A description of the differences."
    )


class VersionsView(StyleApiView):
    """The versions of a style of the workspace's own."""

    order = ("-number",)

    @read_operation(
        "versions.list",
        "List a style's versions",
        query=VersionsQuery,
        answer=VersionObject,
        is_page=True,
        example=VERSION_EXAMPLE,
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return the versions, newest first."""
        own = find_own_style(self.access, style)
        filters = self.read_query(VersionsQuery)
        versions = with_facts(own.versions.filter(**filters))
        return self.answer_page(versions, present_versions)

    @write_operation(
        "versions.create",
        "Create a version",
        body=NewVersionBody,
        answer=NewVersionObject,
        status=201,
        is_post=True,
        example=NEW_VERSION_EXAMPLE,
        body_example=NEW_VERSION_BODY_EXAMPLE,
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress) -> Response:
        """Start the upload of a new version. Return it with the upload of each file; once they have arrived,
        call `uploads.finish`."""
        own = find_own_style(self.access, style)
        body = self.read_body(NewVersionBody)
        about = StyleDescription(
            slug=own.slug, auto_promote=body["auto_promote"], stated_quantisation=body["stated_quantisation"]
        )
        begun, forms = actions.begin_upload(self.access, about, body["files"], method=body["method"])
        version = version_of(own, begun.number)
        upload = present_new_upload(version, forms)
        return self.answer_object({**present_version(version), "upload": upload}, status=201)


class VersionView(StyleApiView):
    """One version."""

    @read_operation("versions.get", "Get a version", answer=VersionObject, example=VERSION_EXAMPLE)
    def get(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Return a version of one of the workspace's styles."""
        return self.answer_version(style, number)

    @write_operation(
        "versions.delete",
        "Delete a version",
        body=AtOnceBody,
        answer=ErasureObject,
        status=202,
        is_edit=True,
        example=ERASURE_EXAMPLE,
        body_example={"at_once": False},
    )
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Start erasing a version's files everywhere and return the erasure. Deleting the last version
        deletes the style."""
        version = find_own_version(self.access, style, number)
        self.require_match(present_version(version))
        body = self.read_body(AtOnceBody)
        begun = actions.delete_version(self.access, version, at_once=body["at_once"])
        erasure = Erasure.objects.select_related("version__style__owner").get(pk=begun.pk)
        return self.answer_object(present_erasure(erasure), status=202)


class ReportView(StyleApiView):
    """What the check of a version found."""

    @read_operation(
        "versions.report",
        "Get a version's validation report",
        answer=ReportObject,
        example=REPORT_EXAMPLE,
    )
    def get(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Return all findings and how to fix them. Empty for a valid version."""
        version = find_own_version(self.access, style, number)
        return self.answer_object(dict(ReportObject(version).data))


class AutofixView(StyleApiView):
    """The conversion of a version that can be corrected mechanically."""

    @write_operation(
        "versions.autofix",
        "Correct a rejected version",
        answer=VersionObject,
        status=201,
        is_post=True,
        example=VERSION_EXAMPLE,
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Convert a rejected version and return the corrected one, which is checked again. Repeating the call
        returns the same one."""
        version = find_own_version(self.access, style, number)
        converted = actions.convert_version(self.access, version)
        return self.answer_version(style, converted.number, status=201)


class RetryView(StyleApiView):
    """Another try of a version that failed."""

    @write_operation(
        "versions.retry",
        "Retry loading a failed version",
        answer=VersionObject,
        is_post=True,
        example=VERSION_EXAMPLE,
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Send a failed version to the engines again."""
        actions.retry_version(self.access, find_own_version(self.access, style, number))
        return self.answer_version(style, number)


class RetireView(StyleApiView):
    """The end of a version."""

    @write_operation(
        "versions.retire",
        "Retire a version",
        body=AtOnceBody,
        answer=VersionObject,
        is_post=True,
        example=VERSION_EXAMPLE,
        body_example={"at_once": False},
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Retire a version permanently. Its files are kept. Repeating the call has no effect."""
        version = find_own_version(self.access, style, number)
        body = self.read_body(AtOnceBody)
        actions.retire_version(self.access, version, at_once=body["at_once"])
        return self.answer_version(style, number)


class FileObject(serializers.Serializer[Any]):
    """A file of a version, and its download URL."""

    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="SHA-256 of the file. Verify it after the download.")
    url = serializers.URLField(
        help_text="Don't send your API key to this URL: anyone who has the URL can read the file."
    )


class DownloadObject(serializers.Serializer[Any]):
    """A version's files."""

    object = serializers.CharField(default="download", read_only=True)
    model = serializers.CharField()
    files = FileObject(many=True)
    urls_valid_s = serializers.IntegerField(help_text="How many seconds the URLs are valid.")


class DownloadView(StyleApiView):
    """A version's files, for its owner."""

    @write_operation(
        "versions.download",
        "Get download URLs for a version's files",
        answer=DownloadObject,
        is_change=True,
        example=DOWNLOAD_EXAMPLE,
    )
    @repeatable
    def post(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Return download URLs for the files of your own version. The audit log records the download."""
        version = find_own_version(self.access, style, number)
        files = actions.download_version(self.access, version)
        shown = {"model": version.model_name, "files": files, "urls_valid_s": DOWNLOAD_VALID_S}
        return Response(DownloadObject(shown).data)


class CardView(StyleApiView):
    """What a version does to the base model."""

    @read_operation("versions.card", "Get a version's style card", answer=CardObject, example=CARD_EXAMPLE)
    def get(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Return a version's style card: any version of your own styles, the live version of others."""
        found = find_style(self.access, style)
        if found.owner_id == self.access.tenant.pk:
            return self.answer_object(_present_card(version_of(found, number), is_own=True))
        live_version = found.show_to(self.access.tenant.pk).live_version
        if live_version is None or live_version.number != number:
            raise VersionNotFound(number=number)
        return self.answer_object(_present_card(live_version, is_own=False))


class CompareView(StyleApiView):
    """Two versions side by side."""

    @read_operation(
        "versions.compare",
        "Compare two versions of a style",
        query=PairQuery,
        answer=ComparisonObject,
        can_conflict=True,
        example=COMPARISON_EXAMPLE,
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return both versions' cards, metrics and samples, and a description of the differences."""
        own = find_own_style(self.access, style)
        query = self.read_query(PairQuery)
        first, second = _choose_pair(own, query.get("a"), query.get("b"))
        figures = version_figures(own.pk, timezone.now() - FIGURES_OF)
        samples = _common_samples(first, second)
        compared = {
            "first": _describe_side(first, figures),
            "second": _describe_side(second, figures),
            "samples": samples,
            "sentences": _differences(samples, (first.number, second.number)),
        }
        return Response(ComparisonObject(compared).data)


def _present_card(version: AdapterVersion, *, is_own: bool) -> dict[str, Any]:
    # Others see the first samples only, as on the page: the rest answers prompts of the owner's own.
    card = _own_card(version) if is_own else cards.style_card_of(version)
    if card is None:
        raise NoCard(number=version.number)
    return present_card(card)


def _own_card(version: AdapterVersion) -> StyleCard | None:
    """Return a version's card with everything that it was asked and answered, for its owner."""
    card = cards.style_card_of(version)
    return replace(card, samples=samples_of(version)) if card else None


def samples_of(version: AdapterVersion) -> list[dict[str, str]]:
    """Return everything that a version was asked and answered, for its owner."""
    samples = Probe.objects.filter(version=version).values_list("samples", flat=True).first()
    return list(samples or [])


def _choose_pair(style: Style, first_number: int | None, second_number: int | None) -> pairs.Pair:
    """Return the versions that are named, else the live one and the newest other one that serves.

    Raises VersionNotFound or NoPair.
    """
    named = {number: version_of(style, number) for number in (first_number, second_number) if number}
    chosen = pairs.choose_pair(
        style,
        [*named.values(), *pairs.serving_versions(style)],
        first_number=str(first_number or ""),
        second_number=str(second_number or ""),
    )
    if chosen is None:
        raise NoPair
    first, second = chosen
    return version_of(style, first.number), version_of(style, second.number)


def _common_samples(first: AdapterVersion, second: AdapterVersion) -> list[dict[str, str]]:
    answers = {row["prompt"]: row["style"] for row in samples_of(second)}
    samples = []
    for row in samples_of(first):
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
    return {
        "version": version,
        "card": _own_card(version),
        "figures": figures.get(version.number, VersionFigures()),
    }
