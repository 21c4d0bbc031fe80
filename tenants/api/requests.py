"""The log of requests, served and refused ones together, each with what became of it and why."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.money import dollars
from core.rest import pages
from core.rest.bodies import MomentField, StrictSerializer, TextField
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView
from tenants.metering import request_log
from tenants.metering.request_log import Cursor, LogFilter, LoggedRequest
from tenants.models import Scope

RECENT = timedelta(days=31)  # what is listed where nothing is said: a partition or two


class RequestObject(serializers.Serializer[LoggedRequest]):
    """A request and its outcome, without its content."""

    example: ClassVar = {
        "request_id": "req_4f0c",
        "object": "request",
        "at": "2026-11-26T09:30:00Z",
        "style": "acme/brand-voice",
        "version": None,
        "key": "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
        "outcome": "refused",
        "status": 429,
        "code": "rate_limit_exceeded",
        "reason": "Rate limit reached for requests per minute of this key: 60 allowed, 0 left. "
        "Try again in 9 s.",
        "prompt_tokens": 0,
        "cached_tokens": 0,
        "completion_tokens": 0,
        "cost_nanousd": 0,
        "cost_usd": "0.00",
    }

    request_id = serializers.CharField()
    object = serializers.CharField(default="request", read_only=True)
    at = serializers.DateTimeField()
    style = serializers.CharField(allow_blank=True, help_text="As requested. Empty if the body was not read.")  # type: ignore[assignment]
    version = serializers.IntegerField(allow_null=True)
    key = serializers.UUIDField(source="key_id")
    outcome = serializers.ChoiceField([name for name, _ in request_log.OUTCOMES if name], source="kind")
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status of a refused request.")
    code = serializers.CharField(allow_blank=True, help_text="Error code of a refused request.")
    reason = serializers.CharField(allow_blank=True, help_text="Why the request was refused or interrupted.")
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost_nanousd = serializers.IntegerField()
    cost_usd = serializers.SerializerMethodField()

    def get_cost_usd(self, row: LoggedRequest) -> str:
        """Return the cost in dollars."""
        return dollars(row.cost_nanousd) or "0.00"


class RequestsQuery(StrictSerializer):
    """Which requests."""

    start = MomentField(required=False, help_text="Start time (inclusive). Default: 31 days before `end`.")
    end = MomentField(required=False, help_text="End time (exclusive). Default: now.")
    style = TextField(required=False, max_length=100, help_text="A model's name.")  # type: ignore[assignment]
    key = serializers.UUIDField(required=False, help_text="A key's id.")
    outcome = serializers.ChoiceField(
        [name for name, _ in request_log.OUTCOMES if name],
        required=False,
        help_text="Filter by outcome.",
    )
    request_id = TextField(required=False, max_length=100, help_text="Filter by request id.")


class RequestsView(WorkspaceView):
    """The log of requests."""

    @operation(
        "requests.list",
        "List requests",
        scope=Scope.USAGE_READ,
        query=RequestsQuery,
        answer=RequestObject,
        is_page=True,
        tag="usage",
    )
    def get(self, request: Request) -> Response:
        """Return requests with their outcome, newest first. Refused ones include the reason and are kept for
        two weeks."""
        chosen = self._read_filter()
        written = request.query_params.get("cursor")
        after = _read_cursor(written) if written is not None else None
        limit = pages.CursorPages().get_page_size(request)
        found = request_log.list_requests(chosen, after, size=limit + 1)
        rows = found[:limit]
        next_cursor = str(rows[-1].cursor) if len(found) > limit else None
        data = [dict(RequestObject(row).data) for row in rows]
        return Response({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor})

    def _read_filter(self) -> LogFilter:
        query = self.read_query(RequestsQuery)
        now = timezone.now()
        end = query.get("end") or now + timedelta(minutes=1)  # the gateway's clock may be ahead
        key_id: UUID | None = query.get("key")
        return LogFilter(
            tenant=self.access.tenant,
            start=query.get("start") or min(end, now) - RECENT,
            end=end,
            style=query.get("style", ""),
            key_id=key_id,
            outcome=query.get("outcome", ""),
            request_id=query.get("request_id", ""),
        )


def _read_cursor(written: str) -> Cursor:
    """Return where the page begins. Raises BadCursor."""
    try:
        return Cursor.read(written)
    except request_log.BadCursor as error:
        raise pages.BadCursor(field="cursor") from error
