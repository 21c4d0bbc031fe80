"""Erasures: what became of deleted versions' files, with the proof of each step."""

from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.api.addresses import only_allowed
from adapters.api.examples import ERASURE_EXAMPLE
from adapters.api.presenters import ErasureObject, present_erasure, present_erasures
from adapters.api.views import StyleApiView, read_operation
from adapters.errors import ErasureNotFound
from adapters.models import Erasure
from core.rest.bodies import StrictSerializer
from tenants.public import Access


class ErasuresQuery(StrictSerializer):
    """Which erasures."""

    style = serializers.UUIDField(required=False, help_text="Filter by style id.")  # type: ignore[assignment]


class ErasuresView(StyleApiView):
    """The erasures of the workspace."""

    order = ("-requested_at", "-pk")

    @read_operation(
        "erasures.list",
        "List erasures",
        query=ErasuresQuery,
        answer=ErasureObject,
        is_page=True,
        example=ERASURE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return erasures of the workspace's versions, newest first, with the proof of each step."""
        query = self.read_query(ErasuresQuery)
        erasures = own_erasures(self.access)
        if "style" in query:
            erasures = erasures.filter(version__style=query["style"])
        return self.answer_page(erasures, present_erasures)


class ErasureView(StyleApiView):
    """One erasure."""

    @read_operation(
        "erasures.get",
        "Get an erasure and its proof",
        answer=ErasureObject,
        example=ERASURE_EXAMPLE,
    )
    def get(self, request: Request, version_id: UUID) -> Response:
        """Return an erasure by the id of its version."""
        erasure = own_erasures(self.access).filter(version=version_id).first()
        if erasure is None:
            raise ErasureNotFound
        return self.answer_object(present_erasure(erasure))


def own_erasures(access: Access) -> QuerySet[Erasure]:
    """Return the erasures of versions of the workspace's styles, also of deleted ones."""
    erasures = Erasure.objects.filter(version__style__owner=access.tenant)
    erasures = only_allowed(access, erasures, style="version__style")
    return erasures.select_related("version__style__owner")
