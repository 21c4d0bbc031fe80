"""How usage reaches the ledger: one drain moves events from Valkey to PostgreSQL, once each."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import redis
from django.db import InterfaceError, OperationalError, ProgrammingError

from foundation import valkey
from inference.contract.route import read_route
from inference.quota.admission import read_prices
from inference.quota.scripts import PRUNE_CONSUMERS, REBUILD_COUNTERS
from tenants.public import Event, record_events, usage_of

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

logger = logging.getLogger(__name__)

GROUP = "ledger"
BATCH = 500
TAKEN_OVER_AFTER_MS = 60_000
DEAD_AFTER_MS = 3_600_000  # a drain that lives asks every few seconds
REBUILDS = 50  # each as long as a few reads take; none is needed twice but while requests end


def drain_usage(client: Store, consumer: str) -> int:
    """Move usage events from Valkey into the ledger; return how many were new. Safe from many processes.

    An event leaves its stream only after PostgreSQL has it; one that was taken by a process that died is
    taken over after a minute. PostgreSQL refuses a second event of the same request.
    """
    new = 0
    for tag in valkey.tags():
        stream = valkey.stream_of(tag)
        while batch := _next_batch(client, stream, consumer):
            new += _record(_readable(client, tag, batch), partial(_set_apart, client, tag))
            ids = [entry_id for entry_id, _ in batch]
            client.pipeline().xack(stream, GROUP, *ids).xdel(stream, *ids).execute()
    return new


def prune_consumers(client: Store) -> int:
    """Take drains that ended long ago out of the streams' groups; return how many.

    What they had taken was taken over first: one that still has something stays.
    """
    script = client.register_script(PRUNE_CONSUMERS)
    return sum(script([valkey.stream_of(tag)], [GROUP, DEAD_AFTER_MS]) for tag in valkey.tags())


def rebuild_counters(client: Store, tenant_id: UUID, period: str) -> None:
    """Set a period's counters from the ledger and the events that are still on their way to it.

    Raises TimeoutError when the tenant's requests in flight end one after the other all the while.
    """
    script = client.register_script(REBUILD_COUNTERS)
    names = [valkey.account_key(tenant_id, period), valkey.stream_of(valkey.shard(tenant_id))]
    for _ in range(REBUILDS):
        last, known = _known(client, tenant_id, period)
        if script(names, [str(tenant_id), period, last, *known]):
            return
    raise TimeoutError(f"the counters of {tenant_id} changed while they were added up")


def _known(client: Store, tenant_id: UUID, period: str) -> tuple[str, list[str | int]]:
    """Return the stream's last id, and a period's counters (field, value …) with all events up to it."""
    stream = valkey.stream_of(valkey.shard(tenant_id))
    last = client.xinfo_stream(stream)["last-generated-id"] if client.exists(stream) else "0-0"
    own = [fields for _, fields in client.xrange(stream, max=last) if fields.get("tenant") == str(tenant_id)]
    # What can never be recorded is left for the drain to set apart.
    _record([event for fields in own if (event := _readable_event(fields))], lambda event: None)
    totals = usage_of(tenant_id, period)
    counters = {"used": totals.tokens, "spent": totals.nanousd}
    counters |= {f"used:{key}": tokens for key, tokens in totals.tokens_by_key.items()}
    counters |= {f"spent:{key}": nanousd for key, nanousd in totals.nanousd_by_key.items()}
    return last, [word for pair in counters.items() for word in pair]


def _readable(client: Store, tag: str, batch: list[tuple[str, dict[str, str]]]) -> list[Event]:
    """Return a batch's events; what is no event at all is set apart."""
    events = []
    for entry_id, fields in batch:
        if event := _readable_event(fields):
            events.append(event)
        else:
            logger.error("usage entry %s can't be read and is set apart", entry_id)
            client.xadd(valkey.refused_stream_of(tag), {"entry": json.dumps(fields)})
    return events


def _readable_event(fields: dict[str, str]) -> Event | None:
    """Return the event that a stream's entry is, or None if it is none: whatever is wrong with it."""
    try:
        return read_event(fields)
    except Exception:
        logger.exception("an entry of a usage stream can't be read")
        return None


def _record(events: list[Event], refused: Callable[[Event], None]) -> int:
    """Record a batch; an event that PostgreSQL can never take goes to `refused`, and holds up no other.

    Raises what is no event's fault: PostgreSQL is away or asks to try again, or its schema is another one.
    """
    try:
        return record_events(events)
    except (OperationalError, InterfaceError, ProgrammingError):
        raise
    except Exception:  # noqa: BLE001 what one event can do to a batch is not known beforehand
        if len(events) > 1:
            return sum(_record([event], refused) for event in events)
        refused(events[0])
        return 0


def _set_apart(client: Store, tag: str, event: Event) -> None:
    logger.exception("usage event %s is set apart", event.request_id)
    client.xadd(valkey.refused_stream_of(tag), {"event": json.dumps(asdict(event), default=str)})


def _next_batch(client: Store, stream: str, consumer: str) -> list[tuple[str, dict[str, str]]]:
    """Return the next events: first those of consumers that died, then new ones."""
    try:
        _, taken_over, _ = client.xautoclaim(
            stream, GROUP, consumer, min_idle_time=TAKEN_OVER_AFTER_MS, count=BATCH
        )
        if taken_over:
            return list(taken_over)
        answer = client.xreadgroup(GROUP, consumer, {stream: ">"}, count=BATCH)
    except redis.ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        if client.exists(stream):
            _make_group(client, stream)
            return _next_batch(client, stream, consumer)
        return []
    return list(answer[0][1]) if answer else []


def _make_group(client: Store, stream: str) -> None:
    try:
        client.xgroup_create(stream, GROUP, id="0")
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):  # another drain was first
            raise


def read_event(fields: dict[str, str]) -> Event:
    """Return a usage event as a stream keeps it, with the provenance that its route gave."""
    route = read_route(fields["route"])
    return Event(
        request_id=fields["request"],
        tenant_id=UUID(fields["tenant"]),
        key_id=UUID(fields["key"]),
        style=UUID(route.style) if route.style else None,
        style_name=route.name,
        version_number=route.version,
        adapter_sha256=route.sha256,
        base_model=route.base_model,
        engine=fields.get("engine", ""),
        period=fields["period"],
        admitted_at=datetime.fromtimestamp(int(fields["admitted_ms"]) / 1000, UTC),
        prompt_tokens=int(fields["prompt"]),
        cached_tokens=int(fields["cached"]),
        completion_tokens=int(fields["completion"]),
        finish_reason=fields["finish"],
        outcome=fields["outcome"],
        cost_nanousd=int(fields["cost"]),
        **read_prices(fields["prices"])._asdict(),
    )
