"""Settlement, and how usage reaches the ledger: events → one drain → PostgreSQL, once each.

Rules: tokens that the engine reported are billed, also when the client hung up; an upstream failure before
the first token bills nothing; after a crash the last heartbeat is billed; the period is that of admission.
"""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import redis
from django.db import IntegrityError
from redis.commands.core import AsyncScript

from foundation import months, valkey
from inference.admission import LEASE_MS, Caller, Grant, Prices
from inference.scripts import REBUILDING, SETTLEMENT
from tenants.public import Event, cost_nanousd, record, used

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

logger = logging.getLogger(__name__)

GROUP = "ledger"
BATCH = 500
TAKEN_OVER_AFTER_MS = 60_000


@dataclass
class Usage:
    """The engine's own running count for one request, in tokens."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    finish_reason: str = ""

    def take(self, reported: dict[str, Any]) -> None:
        """Keep the counts of a `usage` object that the engine reported."""
        details = reported.get("prompt_tokens_details") or {}
        self.prompt = reported.get("prompt_tokens") or 0
        self.cached = min(details.get("cached_tokens") or 0, self.prompt)
        self.completion = reported.get("completion_tokens") or 0

    def forget(self) -> None:
        """Count nothing: the engine failed before the first token."""
        self.prompt = self.cached = self.completion = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion


async def settle(script: AsyncScript, grant: Grant, usage: Usage, outcome: str) -> None:
    """Release the hold and append the usage event, at most once; without tokens nothing is billed."""
    event = event_of(grant, usage, outcome) if usage.tokens else None
    await script(
        _settlement_keys(grant.caller.tenant_id, grant.request_id, grant.period),
        [grant.request_id, str(grant.caller.tenant_id), *_settlement_args(event)],
    )


async def extend(script: AsyncScript, grant: Grant, usage: Usage) -> None:
    """Extend the lease and store the running usage."""
    tenant, request = grant.caller.tenant_id, grant.request_id
    keys = [
        valkey.hold_key(tenant, request),
        valkey.open_key(tenant),
        valkey.leases_key(valkey.shard(tenant)),
    ]
    await script(keys, [request, str(tenant), LEASE_MS, usage.prompt, usage.cached, usage.completion])


def event_of(grant: Grant, usage: Usage, outcome: str) -> Event:
    """Return the usage event of a request, with the provenance that its route gave."""
    route = grant.route
    return Event(
        request_id=grant.request_id,
        tenant_id=grant.caller.tenant_id,
        key_id=grant.caller.key_id,
        style=UUID(route["style"]) if route.get("style") else None,
        style_name=route["name"],
        version_number=route.get("version"),
        adapter_sha256=route.get("sha256") or "",
        base_model=route["base_model"],
        engine=route["engine"],
        period=grant.period,
        admitted_at=datetime.fromtimestamp(grant.admitted_ms / 1000, UTC),
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        completion_tokens=usage.completion,
        finish_reason=usage.finish_reason,
        outcome=outcome,
        cost_nanousd=cost_nanousd(grant.prices, usage.prompt, usage.cached, usage.completion),
        **grant.prices._asdict(),
    )


def sweep(client: Store, *, most: int = 1000) -> int:
    """Settle requests whose lease is over (their process died) by their last heartbeat; return how many."""
    now = _milliseconds(client)
    script = client.register_script(SETTLEMENT)
    swept = 0
    for tag in valkey.tags():
        for member in client.zrangebyscore(valkey.leases_key(tag), 0, now, start=0, num=most):
            tenant, request = member.split(" ", 1)
            hold = client.hgetall(valkey.hold_key(tenant, request))
            event = _swept_event(tenant, request, hold) if hold else None
            period = hold.get("period", months.current())
            args = [request, tenant, *_settlement_args(event), "sweep"]
            swept += int(script(_settlement_keys(tenant, request, period), args))
    return swept


def drain(client: Store, consumer: str) -> int:
    """Move usage events from Valkey into the ledger; return how many were new. Safe from many processes.

    An event leaves its stream only after PostgreSQL has it; one that was taken by a process that died is
    taken over after a minute. PostgreSQL refuses a second event of the same request.
    """
    new = 0
    for tag in valkey.tags():
        stream = valkey.stream_of(tag)
        while batch := _next_batch(client, stream, consumer):
            new += _record(client, tag, [_read_event(fields) for _, fields in batch])
            ids = [entry_id for entry_id, _ in batch]
            client.pipeline().xack(stream, GROUP, *ids).xdel(stream, *ids).execute()
    return new


def rebuild(client: Store, tenant_id: UUID, period: str) -> None:
    """Set a period's counters from the ledger, after events still on their way to it have arrived there."""
    stream, script = valkey.stream_of(valkey.shard(tenant_id)), client.register_script(REBUILDING)
    keys = [valkey.used_key(tenant_id, period), stream]
    while True:
        last = client.xinfo_stream(stream)["last-generated-id"] if client.exists(stream) else "0-0"
        record(_read_event(fields) for _, fields in client.xrange(stream))
        totals = used(tenant_id, period)
        fields = {"tokens": totals.tokens, "nanousd": totals.nanousd}
        fields |= {f"tokens:{key}": tokens for key, tokens in totals.tokens_by_key.items()}
        if script(keys, [last, *(part for pair in fields.items() for part in pair)]):
            return


def _record(client: Store, tag: str, events: list[Event]) -> int:
    """Record a batch; an event that PostgreSQL can never take is set apart, so that it holds up no other."""
    try:
        return record(events)
    except IntegrityError:
        if len(events) > 1:
            return sum(_record(client, tag, [event]) for event in events)
        logger.exception("usage event %s is set apart", events[0].request_id)
        client.xadd(valkey.refused_stream_of(tag), {"event": json.dumps(asdict(events[0]), default=str)})
        return 0


def _settlement_keys(tenant: UUID | str, request_id: str, period: str) -> list[str]:
    tag = valkey.shard(tenant)
    return [
        valkey.hold_key(tenant, request_id), valkey.open_key(tenant), valkey.leases_key(tag),
        valkey.used_key(tenant, period), valkey.held_key(tenant, period), valkey.bucket_key(tenant),
        valkey.limits_key(tenant), valkey.stream_of(tag),
    ]  # fmt: skip


def _settlement_args(event: Event | None) -> list[Any]:
    if event is None:
        return [0, 0, ""]
    written = json.dumps(asdict(event), default=str)
    return [event.prompt_tokens + event.completion_tokens, event.cost_nanousd, written]


def _swept_event(tenant: str, request: str, hold: dict[str, str]) -> Event | None:
    usage = Usage(int(hold["prompt"]), int(hold["cached"]), int(hold["completion"]))
    prices = Prices(*(int(hold[name]) for name in Prices._fields))
    grant = Grant(
        request_id=request, caller=Caller(UUID(tenant), UUID(hold["key"])), period=hold["period"],
        admitted_ms=int(hold["admitted_ms"]), route=json.loads(hold["route"]), output_tokens=0,
        hold_tokens=int(hold["tokens"]), prices=prices,
    )  # fmt: skip
    return event_of(grant, usage, "swept") if usage.tokens else None


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


def _read_event(fields: dict[str, str]) -> Event:
    raw = json.loads(fields["event"])
    raw["tenant_id"], raw["key_id"] = UUID(raw["tenant_id"]), UUID(raw["key_id"])
    raw["style"] = UUID(raw["style"]) if raw["style"] else None
    raw["admitted_at"] = datetime.fromisoformat(raw["admitted_at"])
    return Event(**raw)


def _milliseconds(client: Store) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
