"""Releases: which version answers, a canary on a share of the requests, and the history of both."""

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleAddress, find_own_style, find_own_version, version_of
from adapters.api.examples import CANARY_EXAMPLE, RELEASE_EXAMPLE, VERSION_EXAMPLE
from adapters.api.presenters import (
    CanaryObject,
    ReleaseObject,
    VersionObject,
    present_canary,
    present_releases,
)
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.errors import NoCanary
from adapters.models import Release, Style
from adapters.releases import canary_analysis
from core.rest.bodies import StrictSerializer
from tenants.rest import idempotent

MAX_NUMBER = 2**31 - 1


class CanaryBody(StrictSerializer):
    """The canary version and its share of requests."""

    version = serializers.IntegerField(min_value=1, max_value=MAX_NUMBER)
    percent = serializers.IntegerField(min_value=1, max_value=99)


class ReleasesQuery(StrictSerializer):
    """Which moves."""

    alias = serializers.ChoiceField(Release.Alias.choices, required=False, help_text="Filter by alias.")


class PromoteView(StyleApiView):
    """Let a version answer."""

    @write_operation(
        "versions.promote",
        "Promote a version to live",
        answer=VersionObject,
        is_post=True,
        example=VERSION_EXAMPLE,
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress, number: int) -> Response:
        """Make a serving version the live version and end the canary."""
        version = find_own_version(self.access, style, number)
        actions.promote_version(self.access, version)
        return self.answer_version(style, number)


class RollbackView(StyleApiView):
    """Take a release back."""

    @write_operation(
        "releases.rollback",
        "Roll back to the previous live version",
        answer=VersionObject,
        is_post=True,
        example=VERSION_EXAMPLE,
        tag="versions",
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress) -> Response:
        """Roll back to the previous live version and return it."""
        after = actions.roll_back(self.access, find_own_style(self.access, style))
        return self.answer_version(style, after.number)


class CanaryView(StyleApiView):
    """The canary of a style: a version that is tried on a share of its requests."""

    @read_operation(
        "releases.get_canary",
        "Get the canary and its metrics",
        answer=CanaryObject,
        example=CANARY_EXAMPLE,
        tag="versions",
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return the canary's metrics, compared to the live version."""
        return self._answer_canary(find_own_style(self.access, style))

    @write_operation(
        "releases.set_canary",
        "Start or change a canary",
        body=CanaryBody,
        answer=CanaryObject,
        example=CANARY_EXAMPLE,
        body_example={"version": 4, "percent": 10},
        tag="versions",
    )
    @transaction.atomic
    def put(self, request: Request, style: StyleAddress) -> Response:
        """Send a share of requests to a version. Replaces an existing canary."""
        own = find_own_style(self.access, style)
        body = self.read_body(CanaryBody)
        actions.begin_canary(self.access, version_of(own, body["version"]), body["percent"])
        return self._answer_canary(find_own_style(self.access, style))

    @write_operation("releases.end_canary", "End the canary", status=204, is_change=True, tag="versions")
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress) -> Response:
        """End the canary. All requests go to the live version."""
        if not actions.end_canary(self.access, find_own_style(self.access, style)):
            raise NoCanary
        return Response(status=204)

    def _answer_canary(self, style: Style) -> Response:
        comparison = canary_analysis.compare_canary(style)
        if comparison is None:
            raise NoCanary
        return self.answer_object(present_canary(comparison))


class ReleasesView(StyleApiView):
    """The history of a style's releases."""

    order = ("-at", "-pk")

    @read_operation(
        "releases.list",
        "List a style's releases",
        query=ReleasesQuery,
        answer=ReleaseObject,
        is_page=True,
        example=RELEASE_EXAMPLE,
        tag="versions",
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return all changes of the aliases `live` and `canary`, newest first."""
        own = find_own_style(self.access, style)
        filters = self.read_query(ReleasesQuery)
        moves = own.releases.filter(**filters).select_related("before", "after", "actor")
        return self.answer_page(moves, present_releases)
