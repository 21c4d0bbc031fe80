"""Admission: one script call that checks every limit and takes every hold, or changes nothing."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from redis.commands.core import AsyncScript

from foundation import months, valkey
from inference import errors

LEASE_MS = 30_000
RATE_NAMES = ("requests_limit", "requests_left", "requests_reset_ms",
              "tokens_limit", "tokens_left", "tokens_reset_ms")  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Who asks: a tenant's key."""

    tenant_id: UUID
    key_id: UUID


class Prices(NamedTuple):
    """Nano-USD a token, as they stood at admission."""

    input_nanousd: int
    cached_input_nanousd: int
    output_nanousd: int


@dataclass(frozen=True)
class Grant:
    """An admitted request: its route to an engine, its hold, and the prices that count for it."""

    request_id: str
    caller: Caller
    period: str
    admitted_ms: int
    route: dict[str, Any]
    output_tokens: int
    hold_tokens: int
    prices: Prices
    rates: dict[str, int] = field(default_factory=dict)


class Cold(Exception):
    """Valkey does not know this tenant (any more): publish it, then ask again."""


class Crude(Exception):
    """The prompt's byte bound would cut the default output short: count its tokens, then ask again."""


async def admit(
    script: AsyncScript,
    caller: Caller,
    *,
    request_id: str,
    model: str,
    prompt: int,
    exact: bool = False,
    output: int,
    choices: int,
) -> Grant:
    """Return a grant; `prompt` is an upper bound of the prompt's tokens.

    Raises Cold, Crude, or the error that says which limit is reached, what is left and when it resets.
    """
    period = months.current()
    tenant, key = caller.tenant_id, caller.key_id
    keys = [
        valkey.limits_key(tenant), valkey.key_key(tenant, key), valkey.styles_key(tenant),
        valkey.used_key(tenant, period), valkey.held_key(tenant, period), valkey.bucket_key(tenant),
        valkey.open_key(tenant), valkey.hold_key(tenant, request_id), valkey.leases_key(valkey.shard(tenant)),
    ]  # fmt: skip
    asked: list[str | int] = [prompt, output, choices, period, LEASE_MS, int(exact)]
    answer = await script(keys, [request_id, str(tenant), str(key), model, *asked])
    if answer[0] != "admitted":
        raise _refusal(answer, model=model, period=period)
    route, granted, hold, now, *prices_and_rates = answer[1:]
    return Grant(
        request_id=request_id, caller=caller, period=period, admitted_ms=int(now), route=json.loads(route),
        output_tokens=int(granted), hold_tokens=int(hold), prices=Prices(*map(int, prices_and_rates[:3])),
        rates=_rates(prices_and_rates[3:]),
    )  # fmt: skip


def _rates(numbers: list[Any]) -> dict[str, int]:
    return {name: int(n) for name, n in zip(RATE_NAMES, numbers, strict=False)}


def _refusal(answer: list[Any], *, model: str, period: str) -> Exception:
    match answer[0]:
        case "cold":
            return Cold()
        case "crude":
            return Crude()
        case "denied":
            return {
                "suspended": errors.Suspended,
                "revoked": errors.RevokedKey,
                "expired": errors.ExpiredKey,
            }[answer[1]]()
        case "unknown_model":
            return errors.UnknownModel(model=model, param="model")
        case "loading":
            return errors.StyleLoading(model=model, retry_s=2)
    return _limit_reached(answer, period)


def _limit_reached(answer: list[Any], period: str) -> errors.Limited:
    limit, retry_ms, allowed, left = answer[1], int(answer[2]), int(answer[3]), int(answer[4])
    facts: dict[str, Any] = {
        "allowed": allowed,
        "left": left,
        "retry_s": max(1, -(-retry_ms // 1000)),
        "rates": _rates(answer[5:11]),
        "hold": int(answer[11]),
        "resets_on": f"{months.bounds(period)[1]:%Y-%m-%d} (UTC)",
    }
    match limit:
        case "month" | "key_month":
            return errors.QuotaExhausted(**facts)
        case "month_in_flight" | "key_month_in_flight":
            return errors.InFlightFull(type="tokens", **facts)
        case "tokens_too_large":
            return errors.TooLargeForLimit(**facts)
        case "parallel":
            return errors.RateLimited(limit="requests in parallel", type="requests", **facts)
        case "tokens":
            return errors.RateLimited(limit="tokens a minute", type="tokens", **facts)
    return errors.RateLimited(limit="requests a minute", type="requests", **facts)
