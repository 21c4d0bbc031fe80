"""Record each served request exactly once, and sum up what a period has used."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Case, DateTimeField, F, Sum, Value, When
from django.db.models.functions import Greatest

from core import months
from metering import partitions
from metering.earnings import add_to_earnings
from metering.models import Invoice, LedgerEntry, UsageDaily, UsageEvent
from tenants.models import ApiKey, Tenant


@dataclass(frozen=True)
class Event:
    """One served request. Prices are those that were used, in nano-USD a token."""

    request_id: str
    tenant_id: UUID
    key_id: UUID
    style: UUID | None
    style_name: str
    version_number: int | None
    adapter_sha256: str
    base_model: str
    engine: str
    period: str
    admitted_at: datetime
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    finish_reason: str
    outcome: str
    input_nanousd: int
    cached_input_nanousd: int
    output_nanousd: int
    cost_nanousd: int
    watermark: str = ""  # such as `gumbel; epoch=3` (inference/contract/watermark.py)
    text_sha256: str = ""  # of a complete answer, in hex
    constrained: str = ""  # names of the fields that prescribed it (inference/contract/requests.py)

    @property
    def tokens(self) -> int:
        """All tokens. A request that failed before its first one used nothing."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class PeriodUsage:
    """What a tenant and each of its keys have used in a period. It equals the ledger's sum."""

    tokens: int
    nanousd: int
    tokens_by_key: dict[UUID, int]
    nanousd_by_key: dict[UUID, int]


EVENT_COLUMNS = ", ".join(field.name for field in fields(Event))

# Two recorders of one request meet here: the second waits for the first's commit and gets no row back.
# Rows go in by request id, so that two recorders of the same batch can't wait for each other. What the ledger
# has is left out: its event may be deleted, so that no partition would refuse it.
INSERT_NEW = f"""
    INSERT INTO metering_usageevent ({EVENT_COLUMNS}, recorded_at)
    SELECT {EVENT_COLUMNS}, now() FROM jsonb_populate_recordset(NULL::metering_usageevent, %s::jsonb) AS new
    WHERE NOT EXISTS (
        SELECT FROM metering_ledgerentry WHERE kind = 'usage' AND source_id = new.request_id
    )
    ORDER BY request_id
    ON CONFLICT (request_id, period) DO NOTHING
    RETURNING request_id
"""  # noqa: S608 - a dataclass's fields

# A request that failed before its first token is an event, because it tells something about engines and
# versions. It used nothing, so it adds nothing to the ledger and the days.
ADD_TO_LEDGER = """
    INSERT INTO metering_ledgerentry
        (tenant_id, kind, source_id, period, amount_nanousd, tokens, actor, reason, created_at)
    SELECT tenant_id, 'usage', request_id, period, cost_nanousd,
           prompt_tokens::bigint + completion_tokens, '', '', now()
    FROM metering_usageevent
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND (prompt_tokens > 0 OR completion_tokens > 0)
    ORDER BY request_id
"""

# A day always lies within its event's period, also when two machines' clocks disagree about a month's last
# moment. So the days of a month sum up to the ledger's sum of that period.
ADD_TO_DAYS = """
    INSERT INTO metering_usagedaily AS daily
        (tenant_id, key_id, style_name, day, requests, prompt_tokens, completion_tokens, cost_nanousd)
    SELECT tenant_id, key_id, style_name,
           least(greatest((admitted_at AT TIME ZONE 'UTC')::date, first), last) AS day,
           count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost_nanousd)
    FROM metering_usageevent,
         LATERAL (SELECT (period || '-01')::date AS first) AS begin,
         LATERAL (SELECT (first + interval '1 month - 1 day')::date AS last) AS ending
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND (prompt_tokens > 0 OR completion_tokens > 0)
    GROUP BY tenant_id, key_id, style_name, day
    ORDER BY tenant_id, day, style_name, key_id
    ON CONFLICT (tenant_id, day, style_name, key_id) DO UPDATE SET
        requests = daily.requests + excluded.requests,
        prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = daily.completion_tokens + excluded.completion_tokens,
        cost_nanousd = daily.cost_nanousd + excluded.cost_nanousd
"""

# Outcomes that say nothing about a version are left out, such as a client that hung up: see figures.py.
ADD_TO_MINUTES = """
    INSERT INTO metering_usageminute AS minutes
        (style, version_number, minute, requests, errors, empty, completion_tokens)
    SELECT style, version_number, date_trunc('minute', admitted_at, 'UTC') AS minute, count(*),
           count(*) FILTER (WHERE outcome = 'upstream_error'),
           count(*) FILTER (WHERE outcome = 'complete' AND finish_reason = 'empty'),
           coalesce(sum(completion_tokens) FILTER (WHERE outcome = 'complete'), 0)
    FROM metering_usageevent
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND outcome IN ('complete', 'upstream_error')
      AND style IS NOT NULL AND version_number IS NOT NULL
    GROUP BY style, version_number, minute
    ORDER BY style, minute, version_number
    ON CONFLICT (style, minute, version_number) DO UPDATE SET
        requests = minutes.requests + excluded.requests,
        errors = minutes.errors + excluded.errors,
        empty = minutes.empty + excluded.empty,
        completion_tokens = minutes.completion_tokens + excluded.completion_tokens
"""

# Entries and events are read by one statement: a drain that commits meanwhile is in both or in neither. The
# last row is the ledger's own sum.
SUM_BY_METER = """
    WITH used AS MATERIALIZED (
        SELECT entry.id, entry.amount_nanousd, event.*
        FROM metering_ledgerentry AS entry
        LEFT JOIN (
            SELECT request_id, style_name, prompt_tokens, cached_tokens, completion_tokens,
                   input_nanousd, cached_input_nanousd, output_nanousd
            FROM metering_usageevent
            WHERE tenant_id = %(tenant)s AND period = %(period)s
        ) AS event ON event.request_id = entry.source_id
        WHERE entry.tenant_id = %(tenant)s AND entry.period = %(period)s AND entry.kind = 'usage'
    )
    SELECT style_name, meter.name, sum(meter.tokens), meter.nanousd, min(id), max(id)
    FROM used, LATERAL (VALUES
        ('input', prompt_tokens::bigint - cached_tokens, input_nanousd),
        ('cached input', cached_tokens::bigint, cached_input_nanousd),
        ('output', completion_tokens::bigint, output_nanousd)
    ) AS meter(name, tokens, nanousd)
    WHERE meter.tokens > 0
    GROUP BY style_name, meter.name, meter.nanousd
    UNION ALL
    SELECT '', '', coalesce(sum(amount_nanousd), 0), 1, 0, 0 FROM used
    ORDER BY 1, 2, 4
"""


def record_events(events: Iterable[Event]) -> int:
    """Record events in one transaction, each request id only once ever; return how many were new.

    Usage of a month that has an invoice already, or whose events are no longer kept, counts in the present
    month.

    Safe to repeat, and safe from several processes at once. Raises IntegrityError, and records nothing of
    the batch, when an event names a missing tenant or key or has impossible counts.
    """
    batch: dict[str, Event] = {}
    for event in events:
        batch.setdefault(event.request_id, event)
    if not batch:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        # Without this, PostgreSQL would refuse a missing tenant only at the commit.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        batch |= _find_late(cursor, batch.values())
        # As JSON, so that one statement takes a batch of any size.
        rows = orjson.dumps(list(batch.values())).decode()
        cursor.execute(INSERT_NEW, [rows])
        new_ids = [request_id for (request_id,) in cursor.fetchall()]
        # All sums are of the rows that this transaction wrote, so a repeated batch adds nothing.
        if new_ids:
            periods = sorted({batch[request_id].period for request_id in new_ids})
            cursor.execute(ADD_TO_LEDGER, [new_ids, periods])
            cursor.execute(ADD_TO_DAYS, [new_ids, periods])
            cursor.execute(ADD_TO_MINUTES, [new_ids, periods])
            styles = {batch[request_id].style for request_id in new_ids}
            add_to_earnings(cursor, new_ids, periods, [style for style in styles if style])
            # Last: these rows are shared by all drains, and are locked for as short as can be.
            _lock_keys({batch[request_id].key_id for request_id in new_ids})
            _mark_keys_used(batch[request_id] for request_id in new_ids)
    return len(new_ids)


def find_moved(events: Iterable[Event]) -> list[tuple[Event, str]]:
    """Return those of some recorded events that count in another month than their own, and in which."""
    earlier = _of_earlier_months(events)
    if not earlier:
        return []
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.USAGE, source_id__in=earlier)
    booked = dict(entries.values_list("source_id", "period"))
    moved = []
    for event in earlier.values():
        period = booked.get(event.request_id, event.period)
        if period != event.period:
            moved.append((event, period))
    return moved


def _mark_keys_used(events: Iterable[Event]) -> None:
    """Note when keys were last used. Drains record batches out of order, so the later moment stays."""
    newest: dict[UUID, datetime] = {}
    for event in events:
        newest[event.key_id] = max(event.admitted_at, newest.get(event.key_id, event.admitted_at))
    at = Case(*(When(pk=key_id, then=Value(moment)) for key_id, moment in newest.items()))
    used = ApiKey.objects.filter(pk__in=newest)
    used.update(last_used_at=Greatest("last_used_at", at, output_field=DateTimeField()))


def _find_late(cursor: CursorWrapper, events: Iterable[Event]) -> dict[str, Event]:
    """Return the usage of months that are closed, dated in the present month, by request id.

    Those have an invoice, or are older than events are kept. The price, the day of the request and the key
    stay. Call it in the transaction that records.
    """
    earlier = _of_earlier_months(events)
    if not earlier:
        return {}
    tenant_ids = {event.tenant_id for event in earlier.values()}
    # Drafting an invoice takes this lock, too: a draft has read all usage of its month, or is seen here.
    # In one order, so that two recorders can't wait for each other.
    tenants = Tenant.objects.filter(pk__in=tenant_ids).order_by("pk")
    list(tenants.select_for_update(no_key=True).values_list("pk"))  # `list` runs the query
    invoices = Invoice.objects.filter(tenant__in=tenant_ids)
    invoiced = set(invoices.values_list("tenant_id", "period"))
    # The insert's lock, before reading: else this and the drop of a partition could wait for each other.
    cursor.execute(f"LOCK TABLE ONLY {partitions.EVENTS} IN ROW EXCLUSIVE MODE")
    # What its own month has already is a replay there, also where it used nothing and is in no ledger.
    known = UsageEvent.objects.filter(request_id__in=earlier)
    recorded = set(known.values_list("request_id", "period"))
    present = months.current()
    first_kept = partitions.first_kept_month()
    late = {}
    for request_id, event in earlier.items():
        is_closed = (event.tenant_id, event.period) in invoiced or event.period < first_kept
        if is_closed and (request_id, event.period) not in recorded:
            late[request_id] = replace(event, period=present)
    return late


def _of_earlier_months(events: Iterable[Event]) -> dict[str, Event]:
    """Return the events of months that are over, by request id.

    Those without usage are in no sum and keep their month, unless its events are no longer kept.
    """
    present = months.current()
    over = [event for event in events if event.period < present]
    if not over:
        return {}
    first_kept = partitions.first_kept_month()
    return {event.request_id: event for event in over if event.tokens or event.period < first_kept}


def usage_of(tenant_id: UUID, period: str) -> PeriodUsage:
    """Return what a tenant has used in a period. Reads usage by day, not events.

    Raises ValueError for a malformed period.
    """
    start, end = months.bounds(period)
    days = UsageDaily.objects.filter(tenant=tenant_id, day__gte=start.date(), day__lt=end.date())
    tokens_by_key: dict[UUID, int] = {}
    nanousd_by_key: dict[UUID, int] = {}
    by_key = days.values_list("key").annotate(
        tokens=Sum(F("prompt_tokens") + F("completion_tokens")), nanousd=Sum("cost_nanousd")
    )
    for key_id, tokens, nanousd in by_key:
        tokens_by_key[key_id] = tokens
        nanousd_by_key[key_id] = nanousd
    return PeriodUsage(
        tokens=sum(tokens_by_key.values()),
        nanousd=sum(nanousd_by_key.values()),
        tokens_by_key=tokens_by_key,
        nanousd_by_key=nanousd_by_key,
    )


def sum_by_meter(tenant_id: UUID, period: str) -> list[tuple[str, str, int, int, int, int]]:
    """Return a month's usage: style, meter, tokens, nano-USD a token, and its first and last ledger entry.

    One row, without a meter, is the ledger's own sum in nano-USD.
    """
    with connection.cursor() as cursor:
        cursor.execute(SUM_BY_METER, {"tenant": tenant_id, "period": period})
        return list(cursor.fetchall())


def _lock_keys(key_ids: set[UUID]) -> None:
    """Lock keys in one order, so that two recorders with the same keys can't wait for each other."""
    keys = ApiKey.objects.filter(pk__in=key_ids).order_by("pk")
    list(keys.select_for_update(no_key=True).values_list("pk"))  # `list` runs the query
