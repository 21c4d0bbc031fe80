"""Usage: sums by day, style, key and version, and the log of requests, which holds no text."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.money import dollars
from core.rest.bodies import MomentField, StrictSerializer, TextField
from core.spreadsheets import stream_csv
from tenants.api.schema import operation
from tenants.api.usage_report import report_usage
from tenants.api.views import WorkspaceView
from tenants.metering import usage
from tenants.metering.request_log import SERVED, Cursor, follow
from tenants.models import Scope, UsageEvent

CSV = "text/csv"
CSV_CHUNK = 2000  # rows that are read at once
FILTER_COLUMNS = {"style": "style_name", "key": "key", "outcome": "outcome"}  # by the query's names


class UsageSum(serializers.Serializer[Any]):
    """Usage of a day, style, key or version. Fields not grouped by are `null`."""

    example: ClassVar[dict[str, object]] = {
        "day": "2026-11-26",
        "style": "acme/brand-voice",
        "key": None,
        "version": None,
        "requests": 120,
        "prompt_tokens": 5400,
        "completion_tokens": 18_200,
        "cost_nanousd": 12_940_000,
        "cost_usd": "0.01294",
    }

    day = serializers.DateField(allow_null=True)
    style = serializers.CharField(allow_null=True, help_text="The model's name.")  # type: ignore[assignment]
    key = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    requests = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost_nanousd = serializers.IntegerField()
    cost_usd = serializers.CharField()


class UsageReport(serializers.Serializer[Any]):
    """Usage by group and in total, derived from the ledger."""

    start = serializers.DateField()
    end = serializers.DateField(help_text="End date (exclusive).")
    data = UsageSum(many=True)  # type: ignore[assignment]
    total = UsageSum()


class UsageEventObject(serializers.Serializer[UsageEvent]):
    """A request and its usage, without its content."""

    example: ClassVar = {
        "request_id": "req_4f0c",
        "object": "usage_event",
        "at": "2026-11-26T09:30:00Z",
        "style": "acme/brand-voice",
        "version": 3,
        "key": "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
        "prompt_tokens": 45,
        "cached_tokens": 16,
        "completion_tokens": 152,
        "finish_reason": "stop",
        "outcome": "complete",
        "watermark": "gumbel; epoch=1",
        "cost_nanousd": 108_000,
        "cost_usd": "0.000108",
    }

    request_id = serializers.CharField()
    object = serializers.CharField(default="usage_event", read_only=True)
    at = serializers.DateTimeField(source="admitted_at")
    style = serializers.CharField(source="style_name")  # type: ignore[assignment]
    version = serializers.IntegerField(source="version_number", allow_null=True)
    key = serializers.UUIDField(source="key_id")
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    finish_reason = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(UsageEvent.Outcome.choices)
    watermark = serializers.CharField(
        allow_blank=True,
        help_text="`gumbel; epoch=N`, with `; faint` if it can't be found reliably, or why there is "
        "none: `none; reason=greedy`.",
    )
    cost_nanousd = serializers.IntegerField()
    cost_usd = serializers.SerializerMethodField()

    def get_cost_usd(self, event: UsageEvent) -> str:
        """Return the cost in dollars."""
        return dollars(event.cost_nanousd) or "0"


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
            return usage.parse_groups(written)
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


class CsvRenderer(BaseRenderer):
    """Lets a request ask for CSV. The view writes it, row by row."""

    media_type = CSV
    format = "csv"

    def render(self, data: object, *_: object) -> bytes:
        """Return an error as JSON: only errors come here."""
        return JSONRenderer().render(data)


class UsageView(WorkspaceView):
    """Sums of usage."""

    @operation(
        "usage.get",
        "Get usage",
        scope=Scope.USAGE_READ,
        query=UsageQuery,
        answer=UsageReport,
        can_conflict=True,
        example={
            "start": "2026-11-01",
            "end": "2026-11-27",
            "data": [UsageSum.example],
            "total": UsageSum.example | {"day": None, "style": None},
        },
    )
    def get(self, request: Request) -> Response:
        """Return the usage of a date range by day, style, key or version. The default is this month by
        day."""
        query = self.read_query(UsageQuery)
        return Response(report_usage(self.access.tenant, query, key_id=query.get("key")))


class UsageEventsView(WorkspaceView):
    """The log of requests."""

    renderer_classes = [JSONRenderer, CsvRenderer]

    @operation(
        "usage.events",
        "List or export usage events",
        scope=Scope.USAGE_READ,
        query=EventsQuery,
        answer=UsageEventObject,
        is_page=True,
        others={CSV: OpenApiTypes.STR},
        can_conflict=True,
        tag="usage",
    )
    def get(self, request: Request) -> Response | StreamingHttpResponse:
        """Return requests, newest first."""
        query = self.read_query(EventsQuery)
        events = usage.usage_events(self.access.tenant, start=query.get("start"), end=query.get("end"))
        for name, column in FILTER_COLUMNS.items():
            if name in query:
                events = events.filter(**{column: query[name]})
        if request.accepted_media_type == CSV:
            return _stream_csv(events)
        return self.answer_page(events, lambda rows: [dict(UsageEventObject(row).data) for row in rows])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: newest first."""
        return ("-admitted_at", "-pk")


def _stream_csv(events: QuerySet[UsageEvent]) -> StreamingHttpResponse:
    newest_first = events.order_by("-admitted_at", "-pk")
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
