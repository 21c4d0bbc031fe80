"""Usage: sums by day, style, key and version, and the log of requests, which holds no text.

Two lists show the log: of requests that used something, which can be exported, and of all, refused ones too,
each with what became of it and why.
"""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

from core.rest import pages
from core.rest.bodies import MomentField, StrictSerializer, TextField
from core.rest.objects import DollarsField
from core.spreadsheets import stream_csv
from metering import request_log, usage_report
from metering.models import UsageEvent
from metering.request_log import SERVED, Cursor, LogFilter, LoggedRequest, follow
from metering.usage_report import report_usage
from tenants.api.viewsets import WorkspaceViewSet, get
from tenants.models import Scope

OUTCOMES = [name for name, _ in request_log.OUTCOMES if name]
CSV = "text/csv"
RECENT = timedelta(days=31)  # what is listed where nothing is said: a partition or two
CSV_CHUNK = 2000  # rows that are read at once
FILTER_COLUMNS = {"style": "style_name", "key": "key", "outcome": "outcome"}  # by the query's names


class UsageSum(serializers.Serializer[Any]):
    """Usage of a day, style, key or version. Fields not grouped by are `null`."""

    example = dict(day="2026-11-26", version=None)

    day = serializers.DateField(allow_null=True, help_text="The UTC day.")
    style = serializers.CharField(allow_null=True, help_text="The model's name.")  # type: ignore[assignment]
    key = serializers.UUIDField(allow_null=True, help_text="Id of the API key.")
    version = serializers.IntegerField(allow_null=True, help_text="Number of the version.")
    requests = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost_nanousd = serializers.IntegerField()
    cost_usd = serializers.CharField()


class UsageReport(serializers.Serializer[Any]):
    """Usage by group and in total, derived from the ledger."""

    example = dict(start="2026-11-01", end="2026-11-27", total=dict(day=None, style=None))

    start = serializers.DateField()
    end = serializers.DateField(help_text="End date (exclusive).")
    data = UsageSum(many=True, help_text="Usage by group.")  # type: ignore[assignment]
    total = UsageSum()


class UsageEventObject(serializers.Serializer[UsageEvent]):
    """A request and its usage, without its content."""

    request_id = serializers.CharField()
    object = serializers.CharField(default="usage_event", read_only=True)
    at = serializers.DateTimeField(source="admitted_at")
    style = serializers.CharField(source="style_name")  # type: ignore[assignment]
    version = serializers.IntegerField(source="version_number", allow_null=True)
    key = serializers.UUIDField(source="key_id")
    prompt_tokens = serializers.IntegerField(initial=45)
    cached_tokens = serializers.IntegerField(initial=16)
    completion_tokens = serializers.IntegerField(initial=152)
    finish_reason = serializers.CharField(allow_blank=True, initial="stop")
    outcome = serializers.ChoiceField(UsageEvent.Outcome.choices, initial="complete")
    watermark = serializers.CharField(
        allow_blank=True,
        help_text="`gumbel; epoch=N`, with `; faint` if it can't be found reliably, or why there is "
        "none: `none; reason=greedy`.",
        initial="gumbel; epoch=1",
    )
    cost_nanousd = serializers.IntegerField(initial=108_000)
    cost_usd = DollarsField(source="cost_nanousd", read_only=True, help_text="The cost in dollars.")


class UsageQuery(StrictSerializer):
    """Which usage, and by what it is summed."""

    start = serializers.DateField(
        required=False, help_text="Start date (UTC). Default: the first of this month."
    )
    end = serializers.DateField(required=False, help_text="End date (UTC, exclusive). Default: tomorrow.")
    group_by = TextField(default="day", help_text="`day`, `style`, `key`, `version`, separated by commas.")
    style = TextField(required=False, max_length=100, help_text="A model's name.")  # type: ignore[assignment]
    key = serializers.UUIDField(required=False, help_text="A key's id.")

    def validate_group_by(self, written: str) -> list[str]:
        """Return the groups that are named."""
        try:
            return usage_report.parse_groups(written)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class EventsQuery(StrictSerializer):
    """Which requests."""

    start = MomentField(required=False, help_text="Start time (inclusive). Default: no lower bound.")
    end = MomentField(required=False, help_text="End time (exclusive). Default: now.")
    style = TextField(required=False, max_length=100, help_text="A model's name.")  # type: ignore[assignment]
    key = serializers.UUIDField(required=False, help_text="A key's id.")
    outcome = serializers.ChoiceField(
        UsageEvent.Outcome.choices, required=False, help_text="Filter by outcome."
    )


class RequestObject(serializers.Serializer[LoggedRequest]):
    """A request and its outcome, without its content."""

    example = dict(
        version=None,
        **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "cost_nanousd"), 0),
    )

    request_id = serializers.CharField()
    object = serializers.CharField(default="request", read_only=True)
    at = serializers.DateTimeField()
    style = serializers.CharField(allow_blank=True, help_text="As requested. Empty if the body was not read.")  # type: ignore[assignment]
    version = serializers.IntegerField(allow_null=True)
    key = serializers.UUIDField(source="key_id")
    outcome = serializers.ChoiceField(OUTCOMES, source="kind", initial="refused")
    status = serializers.IntegerField(
        allow_null=True, help_text="HTTP status of a refused request.", initial=429
    )
    code = serializers.CharField(
        allow_blank=True, help_text="Error code of a refused request.", initial="rate_limit_exceeded"
    )
    reason = serializers.CharField(
        allow_blank=True,
        help_text="Why the request was refused or interrupted.",
        initial="Rate limit reached for requests per minute of this key: 60 allowed, 0 left.",
    )
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost_nanousd = serializers.IntegerField()
    cost_usd = DollarsField(source="cost_nanousd", read_only=True, help_text="The cost in dollars.")


class RequestsQuery(EventsQuery):
    """Which requests."""

    start = MomentField(required=False, help_text="Start time (inclusive). Default: 31 days before `end`.")
    outcome = serializers.ChoiceField(OUTCOMES, required=False, help_text="Filter by outcome.")
    request_id = TextField(required=False, max_length=100, help_text="Filter by request id.")


class CsvRenderer(BaseRenderer):
    """Lets a request ask for CSV. The view writes it, row by row."""

    media_type = CSV
    format = "csv"

    def render(self, data: object, *_: object) -> bytes:
        """Return an error as JSON: only errors come here."""
        return JSONRenderer().render(data)


class UsageViewSet(WorkspaceViewSet):
    """Sums of usage, and the log of requests that were answered."""

    tag = "usage"
    scope = Scope.USAGE_READ
    serializer_class = UsageEventObject
    ordering = ("-admitted_at", "-pk")

    @get(
        "Get usage",
        name="get",
        detail=False,
        url_path="",
        query=UsageQuery,
        answer=UsageReport,
        can_conflict=True,
    )
    def sums(self, query: dict[str, Any]) -> Response:
        """Return the usage of a date range by day, style, key or version. The default is this month by
        day."""
        return Response(report_usage(self.access.tenant, query, key_id=query.get("key")))

    @get(
        "List or export usage events",
        detail=False,
        query=EventsQuery,
        is_page=True,
        others={CSV: OpenApiTypes.STR},
        can_conflict=True,
        view_options={"renderer_classes": [JSONRenderer, CsvRenderer]},
    )
    def events(self, query: dict[str, Any]) -> QuerySet[UsageEvent] | StreamingHttpResponse:
        """Return requests, newest first."""
        events = usage_report.usage_events(self.access.tenant, start=query.get("start"), end=query.get("end"))
        for name, column in FILTER_COLUMNS.items():
            if name in query:
                events = events.filter(**{column: query[name]})
        if self.request.accepted_media_type == CSV:
            return _stream_csv(events.order_by(*self.ordering))
        return events


class RequestViewSet(WorkspaceViewSet):
    """The log of all requests."""

    tag, resource, nouns = "usage", "requests", "requests"
    scope = Scope.USAGE_READ
    serializer_class = RequestObject
    query = RequestsQuery

    def list(self) -> Response:
        """Return requests with their outcome, newest first. Refused ones include the reason and are kept for
        two weeks."""
        written = self.request.query_params.get("cursor")
        after = _read_cursor(written) if written is not None else None
        limit = pages.CursorPages().get_page_size(self.request)
        found = request_log.list_requests(self._read_filter(), after, size=limit + 1)
        rows = found[:limit]
        next_cursor = str(rows[-1].cursor) if len(found) > limit else None
        data = self.present_page(rows)
        return Response({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor})

    def _read_filter(self) -> LogFilter:
        query = self.read_query(RequestsQuery)
        now = timezone.now()
        end = query.get("end") or now + timedelta(minutes=1)  # the gateway's clock may be ahead
        return LogFilter(
            tenant=self.access.tenant,
            start=query.get("start") or min(end, now) - RECENT,
            end=end,
            style=query.get("style", ""),
            key_id=query.get("key"),
            outcome=query.get("outcome", ""),
            request_id=query.get("request_id", ""),
        )


def _read_cursor(written: str) -> Cursor:
    """Return where the page begins. Raises BadCursor."""
    try:
        return Cursor.read(written)
    except request_log.BadCursor as error:
        raise pages.BadCursor(field="cursor") from error


def _stream_csv(newest_first: QuerySet[UsageEvent]) -> StreamingHttpResponse:
    columns = [str(name) for name in UsageEventObject().fields if str(name) != "object"]

    def read(last: UsageEvent | None) -> list[UsageEvent]:
        after = Cursor(last.admitted_at, SERVED, last.pk) if last else None
        return list(follow(newest_first, after, SERVED)[:CSV_CHUNK])

    def make_cells(event: UsageEvent) -> list[object]:
        presented = UsageEventObject(event).data
        return [presented[name] for name in columns]

    answer = StreamingHttpResponse(stream_csv(columns, read, make_cells), content_type=CSV)
    answer["Content-Disposition"] = 'attachment; filename="usage-events.csv"'
    return answer
