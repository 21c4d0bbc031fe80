"""Erasures: what became of deleted versions' files, with the proof of each step."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from adapters.api.addresses import StyleApiViewSet, only_allowed
from adapters.erasure.report import STAYS, Report, erasure_reports
from adapters.errors import ErasureNotFound
from adapters.models import Erasure
from core.lifecycle import Step
from core.rest.bodies import StrictSerializer


class ErasureStep(serializers.Serializer[Step]):
    """A step of an erasure, with its proof."""

    label = serializers.CharField(initial="Drained")  # type: ignore[assignment]
    state = serializers.ChoiceField(("done", "current", "next"), initial="current")
    at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(help_text="The proof, or what the step is waiting for.", initial="")


class ErasureObject(serializers.Serializer[Any]):
    """The erasure of a deleted version's files, step by step, each with its proof."""

    example = dict(
        steps=[
            dict(
                label="Withdrawn",
                state="done",
                at="2026-11-26T09:30:02Z",
                note="No model name in any workspace points to it.",
            ),
            {},
        ]
    )

    id = serializers.UUIDField(help_text="The version's id.")
    object = serializers.CharField(default="erasure", read_only=True)
    style = serializers.CharField(help_text="The style's model name at the time.")  # type: ignore[assignment]
    version = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="SHA-256 of adapter_model.safetensors.")
    config_sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    requested_at = serializers.DateTimeField(help_text="When it was requested.")
    finished_at = serializers.DateTimeField(allow_null=True)
    is_finished = serializers.BooleanField(help_text="Whether all steps are finished.")
    steps = ErasureStep(many=True)
    stays = serializers.CharField(
        help_text="Which records are kept, and why.",
        initial="We keep the version's record, because usage in the ledger refers to it.",
    )


class ErasuresQuery(StrictSerializer):
    """Which erasures."""

    style = serializers.UUIDField(source="version__style", required=False, help_text="Filter by style id.")  # type: ignore[assignment]


class ErasureViewSet(StyleApiViewSet):
    """Erasures of versions of the workspace's styles, also of deleted ones."""

    tag, noun, nouns = "erasures", "erasure", "erasures"
    reads = {
        "list": "Return erasures of the workspace's versions, newest first, with the proof of each step.",
        "retrieve": (
            "Return an erasure by the id of its version.",
            {"summary": "Get an erasure and its proof"},
        ),
    }
    serializer_class = ErasureObject
    query = ErasuresQuery
    ordering = ("-requested_at", "-pk")
    lookup_url_kwarg = "version_id"

    def get_queryset(self) -> QuerySet[Erasure]:
        erasures = Erasure.objects.filter(version__style__owner=self.access.tenant)
        erasures = only_allowed(self.access, erasures, style="version__style")
        return erasures.select_related("version__style__owner")

    def get_object(self, *, is_locked: bool = False) -> Erasure:
        """Return the erasure of a version. Raises ErasureNotFound."""
        erasure = self.get_queryset().filter(version=self.kwargs["version_id"]).first()
        if erasure is None:
            raise ErasureNotFound
        return erasure

    def present(self, row: Erasure) -> dict[str, Any]:
        return present_erasure(row)

    def present_page(self, rows: Sequence[Erasure]) -> Any:
        return present_erasures(rows)


def present_erasure(erasure: Erasure) -> dict[str, Any]:
    """Return an erasure with the proof of each step."""
    return present_erasures([erasure])[0]


def present_erasures(erasures: Sequence[Erasure]) -> list[dict[str, Any]]:
    """Return some erasures, in their order; two queries for all that are read with version and style."""
    facts = []
    for erasure, report in zip(erasures, erasure_reports(erasures), strict=True):
        facts.append(_erasure_facts(erasure, report))
    return list(ErasureObject(facts, many=True).data)


def _erasure_facts(erasure: Erasure, report: Report) -> dict[str, Any]:
    return {
        **vars(report),
        "id": erasure.version_id,
        "is_finished": report.finished_at is not None,
        "steps": report.lines,
        "stays": STAYS,
    }
