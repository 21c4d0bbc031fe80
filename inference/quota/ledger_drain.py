"""The drain that moves usage events from Valkey into the ledger, once each, and what waits for it."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from uuid import UUID

import redis
from django.db import InterfaceError, OperationalError, ProgrammingError

from core import valkey
from inference.contract.route import read_provenance
from inference.facts import Store
from inference.quota.admission import read_prices
from inference.quota.scripts import PRUNE_CONSUMERS, REBUILD_COUNTERS
from metering.ledger import Event, find_moved, record_events, usage_of

logger = logging.getLogger(__name__)

GROUP = "ledger"
# One transaction in PostgreSQL, and what is done again when a drain is killed.
BATCH_SIZE = 500
TAKE_OVER_AFTER_MS = 60_000
DEAD_AFTER_MS = 3_600_000  # a drain that lives asks every few seconds
MAX_REBUILDS = 50  # each takes a few reads; only requests that end meanwhile make a second one necessary


def drain_usage(client: Store, consumer: str, *, take_over_after_ms: int = TAKE_OVER_AFTER_MS) -> int:
    """Move usage events from Valkey into the ledger; return how many were new. Safe from many processes.

    An event leaves its stream only after PostgreSQL has it. An event that a dead process had read is taken
    over after a minute. PostgreSQL refuses a second event of the same request.
    """
    recorded = 0
    stream = valkey.usage_key()
    while batch := _read_batch(client, stream, consumer, take_over_after_ms):
        events = _parse_batch(client, batch)
        # In this order a drain that is killed repeats a batch, and never loses one.
        recorded += _record(client, events, partial(_set_event_apart, client))
        ids = [entry_id for entry_id, _ in batch]
        client.pipeline().xack(stream, GROUP, *ids).xdel(stream, *ids).execute()
    return recorded


def prune_consumers(client: Store, *, dead_after_ms: int = DEAD_AFTER_MS) -> int:
    """Take drains that ended long ago out of the stream's group; return how many.

    A drain that still has events stays until another one has taken them over.
    """
    script = client.register_script(PRUNE_CONSUMERS)
    return int(script([valkey.usage_key()], [GROUP, dead_after_ms]))


def forget_counters(client: Store, tenant_id: UUID, period: str) -> None:
    """Forget what a workspace used and spent in a period, until the ledger is asked again.

    What open requests hold stays.
    """
    account = valkey.account_key(tenant_id, period)
    # Keys have counters of their own: `used:<key>`, `spent:<key>`.
    stale = [field for field in client.hkeys(account) if field.startswith(("used", "spent"))]
    if stale:
        client.hdel(account, *stale)


def rebuild_counters(client: Store, tenant_id: UUID, period: str) -> None:
    """Set a period's counters from the ledger and the events that are still on their way to it.

    Raises TimeoutError when requests keep ending while this adds them up.
    """
    account = valkey.account_key(tenant_id, period)
    script = client.register_script(REBUILD_COUNTERS)
    if client.hexists(account, "used"):
        return  # the script would say the same, after the whole stream was read
    for _ in range(MAX_REBUILDS):
        last_id = record_pending(client, tenant_id)
        words = chain.from_iterable(_sum_ledger(tenant_id, period).items())
        if script([account, valkey.usage_key()], [str(tenant_id), last_id, *words]):
            return
    raise TimeoutError(f"the counters of {tenant_id} changed while they were added up")


def record_pending(client: Store, tenant_id: UUID) -> str:
    """Record a tenant's events that are still in the stream; return its last id before."""
    stream = valkey.usage_key()
    # Read before the entries: what comes after it makes the script refuse the sums.
    last_id = "0-0"
    if client.exists(stream):
        last_id = client.xinfo_stream(stream)["last-generated-id"]
    events = []
    for _, fields in client.xrange(stream, max=last_id):
        if fields.get("tenant") == str(tenant_id):
            event = _parse_event(fields)
            if event:
                events.append(event)
    # The drain sets apart what can never be recorded.
    _record(client, events, lambda event: None)
    return str(last_id)


def _sum_ledger(tenant_id: UUID, period: str) -> dict[str, int]:
    """Return a period's counters by their names in Valkey: the tenant's, and each key's."""
    totals = usage_of(tenant_id, period)
    counters = {"used": totals.tokens, "spent": totals.nanousd}
    for key, tokens in totals.tokens_by_key.items():
        counters[f"used:{key}"] = tokens
    for key, nanousd in totals.nanousd_by_key.items():
        counters[f"spent:{key}"] = nanousd
    return counters


def _parse_batch(client: Store, batch: list[tuple[str, dict[str, str]]]) -> list[Event]:
    """Return a batch's events; set aside entries that aren't events."""
    events = []
    for entry_id, fields in batch:
        event = _parse_event(fields)
        if event:
            events.append(event)
        else:
            logger.error("usage entry %s can't be read and was set aside", entry_id)
            client.xadd(valkey.refused_usage_key(), {"entry": json.dumps(fields)})
    return events


def _parse_event(fields: dict[str, str]) -> Event | None:
    """Return the event that a stream's entry is, or None if it is none, whatever is wrong with it."""
    try:
        return read_event(fields)
    except Exception:
        logger.exception("an entry of the usage stream can't be read")
        return None


def _record(client: Store, events: list[Event], refuse: Callable[[Event], None]) -> int:
    """Record a batch; return how many were new. Call `refuse` with an event that PostgreSQL can never take.

    Counters of months between which late usage moved are forgotten: they still say where it was admitted.
    Raises what is no event's fault: PostgreSQL is away or asks to try again, or its schema is another one.
    """
    try:
        recorded = record_events(events)
    except (OperationalError, InterfaceError, ProgrammingError):
        raise
    except Exception:  # noqa: BLE001 what one event can do to a batch is not known beforehand
        # One event that PostgreSQL refuses rolls its whole batch back. One by one, the others get in.
        if len(events) > 1:
            return sum(_record(client, [event], refuse) for event in events)
        refuse(events[0])
        return 0
    # Also of events that were recorded before: the drain that did so may have been killed right after.
    for event, period in find_moved(events):
        forget_counters(client, event.tenant_id, event.period)
        forget_counters(client, event.tenant_id, period)
    return recorded


def _set_event_apart(client: Store, event: Event) -> None:
    logger.exception("usage event %s was set aside", event.request_id)
    client.xadd(valkey.refused_usage_key(), {"event": json.dumps(asdict(event), default=str)})


def _read_batch(
    client: Store, stream: str, consumer: str, take_over_after_ms: int
) -> list[tuple[str, dict[str, str]]]:
    """Return the next events: first those that dead consumers had read, then new ones."""
    try:
        _, taken_over, _ = client.xautoclaim(
            stream, GROUP, consumer, min_idle_time=take_over_after_ms, count=BATCH_SIZE
        )
        if taken_over:
            return list(taken_over)
        answer = client.xreadgroup(GROUP, consumer, {stream: ">"}, count=BATCH_SIZE)
    except redis.ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        if not client.exists(stream):
            return []
        _create_group(client, stream)
        return _read_batch(client, stream, consumer, take_over_after_ms)
    return list(answer[0][1]) if answer else []


def _create_group(client: Store, stream: str) -> None:
    try:
        # From the stream's beginning: events may have come before the first drain.
        client.xgroup_create(stream, GROUP, id="0")
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):  # another drain was first
            raise


def read_event(fields: dict[str, str]) -> Event:
    """Return a usage event as the stream keeps it, with what answered."""
    answered = read_provenance(fields["route"])
    return Event(
        request_id=fields["request"],
        tenant_id=UUID(fields["tenant"]),
        key_id=UUID(fields["key"]),
        style=UUID(answered.style) if answered.style else None,
        style_name=answered.name,
        version_number=answered.version,
        adapter_sha256=answered.sha256,
        base_model=answered.base_model,
        engine=fields.get("engine", ""),
        period=fields["period"],
        admitted_at=datetime.fromtimestamp(int(fields["admitted_ms"]) / 1000, UTC),
        prompt_tokens=int(fields["prompt"]),
        cached_tokens=int(fields["cached"]),
        completion_tokens=int(fields["completion"]),
        finish_reason=fields["finish"],
        outcome=fields["outcome"],
        cost_nanousd=int(fields["cost"]),
        watermark=fields.get("watermark", ""),
        text_sha256=fields.get("text", ""),
        constrained=fields.get("constrained", ""),
        **read_prices(fields["prices"])._asdict(),
    )


@dataclass(frozen=True)
class Backlog:
    """Open requests, and usage events on their way to the ledger. Ages are by Valkey's own clock."""

    open_holds: int
    overdue_holds: int
    pending_events: int
    oldest_event_s: float
    refused_events: int


def read_backlog(store: Store) -> Backlog:
    """Return what waits just now. Raises redis.RedisError."""
    seconds, microseconds = store.time()
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    oldest = store.xrange(valkey.usage_key(), count=1)
    oldest_ms = int(oldest[0][0].split("-")[0]) if oldest else now_ms
    return Backlog(
        open_holds=store.zcard(valkey.leases_key()),
        overdue_holds=store.zcount(valkey.leases_key(), 0, now_ms),
        pending_events=store.xlen(valkey.usage_key()),
        oldest_event_s=max(0, now_ms - oldest_ms) / 1000,
        refused_events=store.xlen(valkey.refused_usage_key()),
    )
