"""The log of a workspace's requests: those that were served and those that were refused, newest first.

It holds metadata only. Served ones are usage events; refused ones cost nothing and are kept for two weeks.
One request is shown in full, with its tokens at their prices and its entries in the ledger.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import JSONObject, Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.errors import Invalid
from core.messages import Message
from core.money import decimals_of, usd, usd_rounded
from core.spreadsheets import stream_csv
from metering.forms import MILLION
from metering.models import LedgerEntry, RefusedRequest, UsageEvent
from tenants.models import ApiKey, Tenant

PAGE_SIZE = 50
EXPORT_CHUNK = 2000  # rows that are read at once
# The limit in Valkey bounds a moment, this one two weeks of a client that never stops.
REFUSED_KEPT_ROWS = 5000  # of one workspace
SERVED: Literal[1] = 1
REFUSED: Literal[0] = 0  # of one moment the served ones stand first
REFUSED_LABEL = _("Refused")
OUTCOMES = (
    ("", _("All")),
    ("complete", _("Complete")),
    ("broken", _("Interrupted")),
    ("refused", REFUSED_LABEL),
)
BADGES = {
    UsageEvent.Outcome.COMPLETE: "ok",
    UsageEvent.Outcome.CLIENT_DISCONNECT: "cut",
    UsageEvent.Outcome.UPSTREAM_ERROR: "failed",
    UsageEvent.Outcome.SWEPT: "cut",
}
REASONS = {
    UsageEvent.Outcome.CLIENT_DISCONNECT: _(
        "The client disconnected. Output generated until then is billed."
    ),
    UsageEvent.Outcome.UPSTREAM_ERROR: _("The model server failed. Only the output that was sent is billed."),
    UsageEvent.Outcome.SWEPT: _("Our process crashed. The output recorded until then is billed."),
}
CSV_COLUMNS = ["request_id", "at", "style", "version", "key", "prompt_tokens", "cached_tokens"]
CSV_COLUMNS += ["completion_tokens", "cost_usd", "outcome", "reason", "status", "code"]


class BadCursor(Invalid):
    """This page of the log doesn't exist. Start from the first page."""

    code = "invalid_cursor"
    for_programs = "Invalid cursor for this list. Start again without `cursor`."


class Cursor(NamedTuple):
    """The row after which a page begins."""

    at: datetime
    kind: int
    pk: int

    def __str__(self) -> str:
        # Whole microseconds: a float would lose the last digits, and the page a row.
        microseconds = int(self.at.timestamp()) * 1_000_000 + self.at.microsecond
        return f"{microseconds}.{self.kind}.{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Return the cursor that a text is. Raises BadCursor."""
        try:
            microseconds, kind, pk = map(int, text.split("."))
            seconds, rest = divmod(microseconds, 1_000_000)
            at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
        except (ValueError, OverflowError, OSError) as error:
            raise BadCursor from error
        if kind not in (SERVED, REFUSED) or not 0 <= pk < 2**63:
            raise BadCursor
        return cls(at, kind, pk)


@dataclass(frozen=True)
class LogFilter:
    """Which requests: of a workspace, in [start, end), and what else is given."""

    tenant: Tenant
    start: datetime
    end: datetime
    style: str = ""
    key_id: UUID | None = None
    outcome: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class LoggedRequest:
    """One row of the log."""

    cursor: Cursor
    request_id: str
    style: str
    version: int | None
    key_id: UUID
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_nanousd: int
    outcome: str
    outcome_code: str
    badge: str
    reason: str
    status: int | None = None  # of a refused one
    code: str = ""

    @property
    def kind(self) -> str:
        """Which of OUTCOMES it is."""
        if self.is_refused:
            return "refused"
        return "complete" if self.badge == BADGES[UsageEvent.Outcome.COMPLETE] else "broken"

    @property
    def at(self) -> datetime:
        return self.cursor.at

    @property
    def cost(self) -> str:
        return usd(self.cost_nanousd)

    @property
    def is_refused(self) -> bool:
        return self.cursor.kind == REFUSED


class Refusal(NamedTuple):
    """A refused request, as the gateway noted it."""

    request_id: str
    tenant_id: UUID
    key_id: UUID
    at: datetime
    model_name: str
    status: int
    code: str
    reason: Message


def list_requests(
    chosen: LogFilter, after: Cursor | None = None, *, size: int = PAGE_SIZE
) -> list[LoggedRequest]:
    """Return the next rows after a cursor, newest first; `size` at most."""
    served: Sequence[LoggedRequest] = []
    refused: Sequence[LoggedRequest] = []
    if chosen.outcome != "refused":
        served = [show_served(event) for event in follow(_served(chosen), after, SERVED)[:size]]
    if chosen.outcome in ("", "refused"):
        refused = [show_refused(row) for row in follow(_refused(chosen), after, REFUSED)[:size]]
    merged = sorted([*served, *refused], key=lambda row: row.cursor, reverse=True)
    return merged[:size]


def csv_lines(chosen: LogFilter) -> AsyncIterator[str]:
    """Return the log as lines of CSV, a chunk of rows at a time; it may be millions."""
    names = dict(ApiKey.objects.filter(tenant=chosen.tenant).values_list("pk", "name"))

    def read(last: LoggedRequest | None) -> list[LoggedRequest]:
        return list_requests(chosen, last.cursor if last else None, size=EXPORT_CHUNK)

    return stream_csv(CSV_COLUMNS, read, partial(_csv_row, names=names))


def record_refusals(refusals: Sequence[Refusal]) -> int:
    """Keep refused requests, once each; return how many were given. The oldest make room for them."""
    keys = {refusal.key_id for refusal in refusals}
    known = set(ApiKey.objects.filter(pk__in=keys).values_list("pk", flat=True))
    # A workspace may have been deleted since.
    rows = [RefusedRequest(**refusal._asdict()) for refusal in refusals if refusal.key_id in known]
    with transaction.atomic():
        RefusedRequest.objects.bulk_create(rows, ignore_conflicts=True)
        for tenant_id in {refusal.tenant_id for refusal in refusals}:
            _keep_newest(tenant_id)
    return len(rows)


def _keep_newest(tenant_id: UUID) -> None:
    of_tenant = RefusedRequest.objects.filter(tenant=tenant_id).order_by("-at", "-id")
    # The newest row that is too many: one DELETE takes it and all older ones.
    too_old = of_tenant.values_list("at", flat=True)[REFUSED_KEPT_ROWS : REFUSED_KEPT_ROWS + 1].first()
    if too_old:
        of_tenant.filter(at__lte=too_old).delete()


def _served(chosen: LogFilter) -> QuerySet[UsageEvent]:
    events = _choose(UsageEvent.objects.all(), chosen, moment="admitted_at", style="style_name")
    if chosen.outcome == "complete":
        return events.filter(outcome=UsageEvent.Outcome.COMPLETE)
    if chosen.outcome == "broken":
        return events.exclude(outcome=UsageEvent.Outcome.COMPLETE)
    return events


def _refused(chosen: LogFilter) -> QuerySet[RefusedRequest]:
    return _choose(RefusedRequest.objects.all(), chosen, moment="at", style="model_name")


def _choose[Rows: QuerySet[Any]](rows: Rows, chosen: LogFilter, *, moment: str, style: str) -> Rows:
    """Return the rows of one kind, newest first. Each kind has its own names for moment and style."""
    within = {"tenant": chosen.tenant, f"{moment}__gte": chosen.start, f"{moment}__lt": chosen.end}
    named = {"request_id": chosen.request_id, style: chosen.style, "key": chosen.key_id}
    given = {name: value for name, value in named.items() if value}
    return rows.filter(**within, **given).order_by(f"-{moment}", "-pk")


def follow[Rows: QuerySet[Any]](rows: Rows, after: Cursor | None, kind: int) -> Rows:
    """Return the rows of one kind that come after a cursor."""
    if after is None:
        return rows
    # Keyset, not OFFSET: a page far back costs as much as the first, and new rows shift none.
    moment = "admitted_at" if kind == SERVED else "at"
    older = Q(**{f"{moment}__lt": after.at})
    if kind == after.kind:
        older |= Q(**{moment: after.at, "pk__lt": after.pk})
    elif kind < after.kind:
        older |= Q(**{moment: after.at})
    # The second condition says no more than the first, but an index can begin there.
    return rows.filter(older, **{f"{moment}__lte": after.at})


def show_served(event: UsageEvent) -> LoggedRequest:
    """Return the log's row of a usage event."""
    outcome = UsageEvent.Outcome(event.outcome)
    return LoggedRequest(
        cursor=Cursor(event.admitted_at, SERVED, event.pk),
        request_id=event.request_id,
        style=event.style_name,
        version=event.version_number,
        key_id=event.key_id,
        prompt_tokens=event.prompt_tokens,
        cached_tokens=event.cached_tokens,
        completion_tokens=event.completion_tokens,
        cost_nanousd=event.cost_nanousd,
        outcome=str(outcome.label),
        outcome_code=outcome.value,
        badge=BADGES[outcome],
        reason=str(REASONS.get(outcome, "")),
    )


def show_refused(row: RefusedRequest) -> LoggedRequest:
    """Return the log's row of a refused request."""
    return LoggedRequest(
        cursor=Cursor(row.at, REFUSED, row.pk),
        request_id=row.request_id,
        style=row.model_name,
        version=None,
        key_id=row.key_id,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        cost_nanousd=0,
        outcome=str(REFUSED_LABEL),
        outcome_code=row.code,
        badge="failed",
        reason=str(row.reason),
        status=row.status,
        code=row.code,
    )


def _csv_row(row: LoggedRequest, *, names: dict[UUID, str]) -> tuple[object, ...]:
    return (
        row.request_id,
        row.at.isoformat(),
        row.style,
        row.version or "",
        names.get(row.key_id, ""),
        row.prompt_tokens,
        row.cached_tokens,
        row.completion_tokens,
        row.cost.removeprefix("$").replace(",", ""),
        row.outcome,
        row.reason,
        row.status or "",
        row.outcome_code,
    )


@dataclass(frozen=True)
class TokenLine:
    """Tokens of one kind, at the price of the request."""

    name: str
    tokens: int
    price: str  # per million
    cost: str


@dataclass(frozen=True)
class RequestDetails:
    """A row of the log with what the list has no room for. A refused request has no lines and no entries."""

    row: LoggedRequest
    key: ApiKey
    base_model: str = ""
    finish_reason: str = ""
    watermark: str = ""
    has_receipt: bool = False
    lines: Sequence[TokenLine] = ()
    total: str = ""
    entries: Sequence[tuple[LedgerEntry, str]] = ()  # with its amount


def find_request(tenant: Tenant, request_id: str) -> RequestDetails | None:
    """Return a workspace's request, served or refused; None if its log has none with this id."""
    served = UsageEvent.objects.filter(tenant=tenant, request_id=request_id).select_related("key").first()
    if served:
        return _describe_served(served)
    refused = RefusedRequest.objects.filter(tenant=tenant, request_id=request_id).select_related("key")
    row = refused.first()
    return RequestDetails(show_refused(row), row.key) if row else None


def _describe_served(event: UsageEvent) -> RequestDetails:
    kinds = (
        (gettext("Input"), event.prompt_tokens - event.cached_tokens, event.input_nanousd),
        (gettext("Cached input"), event.cached_tokens, event.cached_input_nanousd),
        (gettext("Output"), event.completion_tokens, event.output_nanousd),
    )
    costs = [tokens * token_nanousd for _, tokens, token_nanousd in kinds]
    decimals = max(map(decimals_of, [*costs, event.cost_nanousd]))  # all of them exact, and aligned
    lines = []
    for (name, tokens, token_nanousd), cost in zip(kinds, costs, strict=True):
        lines.append(TokenLine(name, tokens, usd(MILLION * token_nanousd), usd_rounded(cost, decimals)))
    entries = LedgerEntry.objects.filter(
        tenant=event.tenant_id, kind=LedgerEntry.Kind.USAGE, source_id=event.request_id
    )
    return RequestDetails(
        row=show_served(event),
        key=event.key,
        base_model=event.base_model,
        finish_reason=event.finish_reason,
        watermark=event.watermark,
        has_receipt=bool(event.text_sha256 and settings.RECEIPT_KEYS),
        lines=lines,
        total=usd_rounded(event.cost_nanousd, decimals),
        entries=[(entry, usd(entry.amount_nanousd)) for entry in entries],
    )


LATELY = timedelta(hours=24)
SHOWN_REASONS = 3


@dataclass(frozen=True)
class RefusedLately:
    """The refusals with one error code: how many are in the log, and the newest of them."""

    code: str
    count: int
    at: datetime
    model_name: str
    reason: Message


def refused_lately(tenant: OuterRef) -> ArraySubquery:
    """Return, as a part of a query of others, the last day's refusals of a workspace by error code."""
    rows = RefusedRequest.objects.filter(tenant=tenant, at__gt=Now() - LATELY)
    counted = rows.annotate(count=Window(Count("pk"), partition_by=[F("code")]))
    newest = counted.order_by("code", "-at", "-pk").distinct("code")
    shown = JSONObject(code="code", count="count", at="at", model_name="model_name", reason="reason")
    return ArraySubquery(newest.values(shown=shown))


def read_refusals(found: list[dict[str, Any]]) -> list[RefusedLately]:
    """Return what `refused_lately` found, the latest code first."""
    refusals = []
    for row in found:
        read = {"at": datetime.fromisoformat(row["at"]), "reason": Message.read(row["reason"])}
        refusals.append(RefusedLately(**row | read))
    refusals.sort(key=lambda refused: refused.at, reverse=True)
    return refusals[:SHOWN_REASONS]
