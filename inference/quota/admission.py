"""Admission: one script call that checks every limit and takes every hold, or changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

from foundation import months, valkey
from foundation.money import usd
from inference import errors
from inference.contract.route import Route, State, read_route
from inference.wire.valkey_client import Script

LEASE_MS = 30_000


class ValkeyKeys(NamedTuple):
    """The keys in Valkey that a request of one caller touches.

    `account`, `hold` and `suspect` lack their end.
    """

    tenant: str
    key: str
    limits: str
    api_key: str
    styles: str
    account: str
    bucket: str
    hold: str
    leases: str
    stream: str
    suspect: str
    refusals: str


@dataclass(frozen=True)
class Caller:
    """Who asks: a tenant's key."""

    tenant_id: UUID
    key_id: UUID

    @cached_property
    def names(self) -> ValkeyKeys:
        """The names of its keys in Valkey, made once."""
        tenant, key, tag = str(self.tenant_id), str(self.key_id), valkey.shard(self.tenant_id)
        return ValkeyKeys(
            tenant, key, valkey.limits_key(tenant), valkey.key_key(tenant, key), valkey.styles_key(tenant),
            valkey.account_key(tenant, ""), valkey.bucket_key(tenant),
            valkey.hold_key(tenant, ""), valkey.leases_key(tag), valkey.stream_of(tag),
            valkey.suspect_key(tenant, ""),
            valkey.refusals_key(tenant, key),
        )  # fmt: skip


class Prices(NamedTuple):
    """Nano-USD a token, as they stood at admission."""

    input_nanousd: int
    cached_input_nanousd: int
    output_nanousd: int


class Rates(NamedTuple):
    """What the tighter of the workspace's and the key's minute limits leaves."""

    requests_limit: int
    requests_left: int
    requests_reset_ms: int
    tokens_limit: int
    tokens_left: int
    tokens_reset_ms: int


@dataclass(eq=False, slots=True)
class Grant:
    """An admitted request: its route, its hold, and the prices that count for it; and where it went.

    `field` is the name whose route it has: the model name, or that of its canary. `engine` and `state`, how
    near its adapter was, are of the place that was asked last; "" before.
    """

    request_id: str
    caller: Caller
    period: str
    admitted_ms: int
    field: str
    route: Route
    route_json: str
    output_tokens: int
    hold_tokens: int
    hold_nanousd: int
    prices: Prices
    weight: int = 1
    rates: Rates | None = None
    sequences: int = 1
    engine: str = ""
    state: State | None = None


class CacheMiss(Exception):
    """Valkey does not know this tenant (any more): publish it, then ask again."""


class PromptEstimateTooHigh(Exception):
    """The prompt's byte bound is too crude for an answer: count its tokens, then ask again."""


@dataclass(frozen=True)
class AdapterNotLoaded(Exception):
    """The style is on no engine now: have it loaded, then ask again. `field` is the name that leads to it."""

    field: str
    route: Route


@dataclass(frozen=True)
class PeriodRollover(Exception):
    """By Valkey's clock it is another month; ask again with that one."""

    now_ms: int


async def admit(
    script: Script,
    caller: Caller,
    *,
    request_id: str,
    model: str,
    prompt: int,
    least: int | None = None,
    exact: bool = False,
    output: int,
    choices: int,
    user: str = "",
    period: str = "",
    fingerprint: str = "",
) -> Grant:
    """Return a grant; `prompt` is an upper bound of the prompt's tokens, `least` a lower one (None: as many).

    Where a canary runs, it has its share of the users, each always the same version; of the requests where
    they name no user.

    Raises Cold, Loading, Crude, OtherMonth, ContextTooLong when not even `least` fits, or the error that says
    which limit is reached, what is left and when it resets.
    """
    period = period or months.current()
    names = caller.names
    keys = (
        names.limits, names.api_key, names.styles, names.account + period, names.bucket,
        names.hold + request_id, names.leases, names.suspect + fingerprint,
    )  # fmt: skip
    answer = await script(
        keys,
        (request_id, names.tenant, names.key, model, prompt, output, choices, period,
         *_milliseconds(period), LEASE_MS, int(exact), canary_bucket(model, user or request_id),
         prompt if least is None else least),
    )  # fmt: skip
    if answer[0] != "admitted":
        raise _refusal(answer, model=model, period=period, sequences=choices)
    _, field, route, granted, tokens, nanousd, now, prices, weight, *rates = answer
    return Grant(
        request_id, caller, period, now, field, read_route(route), route, granted, tokens, nanousd,
        read_prices(prices), weight, Rates._make(rates), choices,
    )  # fmt: skip


def canary_bucket(model: str, user: str) -> int:
    """Return which hundredth of a style's users one is in, 0 … 99; the same by the style's short name."""
    style = model.rpartition("/")[2]
    return crc32(f"{style} {user}".encode()) % 100


@lru_cache(maxsize=16)
def _milliseconds(period: str) -> tuple[int, int]:
    begins, ends = months.bounds(period)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


@lru_cache(maxsize=1024)
def read_prices(written: str) -> Prices:
    """Return prices as a hold keeps them: three numbers."""
    return Prices(*map(int, written.split()))


def period_at(now_ms: int) -> str:
    """Return the month of a moment by Valkey's clock."""
    return months.period_of(datetime.fromtimestamp(now_ms / 1000, UTC))


DENIED = {"suspended": errors.Suspended, "revoked": errors.RevokedKey, "expired": errors.ExpiredKey}


def _refusal(answer: list[Any], *, model: str, period: str, sequences: int) -> Exception:
    verdict, *facts = answer
    refusals: dict[str, Callable[[], Exception]] = {
        "cold": CacheMiss,
        "crude": PromptEstimateTooHigh,
        "other_month": lambda: PeriodRollover(facts[0]),
        "denied": lambda: DENIED[facts[0]](),  # noqa: PLW0108 only then is there such a fact
        "unknown_model": lambda: errors.UnknownModel(model=model, param="model"),
        "too_long": lambda: errors.ContextTooLong(max_model_len=facts[0]),
        "loading": lambda: AdapterNotLoaded(facts[0], read_route(facts[1])),
        "suspect": lambda: errors.SuspectRequest(wait_s=max(1, -(-facts[0] // 1000))),
        "sequences": lambda: errors.TooManySequences(sequences=sequences, allowed=facts[0], param="n"),
        "limited": lambda: _limit_reached(answer, period, sequences),
    }
    return refusals[verdict]()


LIMITS: dict[str, tuple[type[errors.Limited], str, str]] = {
    "tokens_spent": (errors.QuotaExhausted, "tokens a month", "insufficient_quota"),
    "nanousd_spent": (errors.QuotaExhausted, "budget a month", "insufficient_quota"),
    "tokens_too_large": (errors.TooLargeForLimit, "tokens a minute", "tokens"),
    "tokens_in_flight": (errors.InFlightFull, "tokens a month", "tokens"),
    "nanousd_in_flight": (errors.InFlightFull, "budget a month", "tokens"),
    "parallel_too_large": (errors.TooManyAtOnce, "requests in parallel", "requests"),
    "parallel": (errors.RateLimited, "requests in parallel (prompts times `n`)", "requests"),
    "requests": (errors.RateLimited, "requests a minute", "requests"),
    "tokens": (errors.RateLimited, "tokens a minute", "tokens"),
}


def _limit_reached(answer: list[Any], period: str, sequences: int) -> errors.Limited:
    _, name, scope, retry_ms, allowed, left, tokens, nanousd, *rates = answer
    error, limit, kind = LIMITS[name]
    shown = usd if name.startswith("nanousd") else "{:,}".format
    needed = nanousd if name.startswith("nanousd") else tokens
    return error(
        scope=scope, limit=limit, type=kind, allowed=shown(allowed), left=shown(left), needed=shown(needed),
        sequences=sequences, retry_s=max(1, -(-retry_ms // 1000)), rates=Rates._make(rates),
        resets_on=f"{months.bounds(period)[1]:%Y-%m-%d} (UTC)",
    )  # fmt: skip
