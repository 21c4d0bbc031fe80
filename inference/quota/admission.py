"""Admission: one script call that checks every limit and takes the hold, or changes nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID
from zlib import crc32

from django.utils.translation import gettext_noop as _

from core import months, valkey
from core.messages import MessageCode
from core.money import usd
from inference import errors
from inference.contract.route import BASE_NAME, Route, RouteTables
from inference.contract.usage import Usage
from inference.facts import AdapterTier, Rates, value
from inference.wire.valkey_client import Script
from metering.models import TokenPrices

# Fifteen heartbeats: a gateway that is slow keeps its holds, and those of a dead one are billed soon.
LEASE_MS = 30_000


@dataclass(frozen=True, slots=True)
class ValkeyKeys:
    """The keys in Valkey that a request of one caller touches.

    `account`, `hold` and `suspect` are prefixes: a period, a request id or a fingerprint follows.
    """

    tenant: str
    key: str
    limits: str
    api_key: str
    library: str
    account: str
    bucket: str
    hold: str
    leases: str
    stream: str
    suspect: str
    refusals: str
    styles: str
    versions: str
    incarnation: str


@dataclass(frozen=True)
class Caller:
    """The tenant and the API key of a request, and the digest of the secret that it came with."""

    tenant_id: UUID
    key_id: UUID
    digest: str = field(default="", compare=False)  # "" for a page of ours, which sends none

    @cached_property
    def names(self) -> ValkeyKeys:
        """The caller's keys in Valkey, made once."""
        tenant = str(self.tenant_id)
        key = str(self.key_id)
        return ValkeyKeys(
            tenant=tenant,
            key=key,
            limits=valkey.limits_key(tenant),
            api_key=valkey.key_key(tenant, key),
            library=valkey.library_key(tenant),
            account=valkey.account_key(tenant, ""),
            bucket=valkey.bucket_key(tenant),
            hold=valkey.hold_key(tenant, ""),
            leases=valkey.leases_key(),
            stream=valkey.usage_key(),
            suspect=valkey.suspect_key(tenant, ""),
            # A key's own: no other key of a workspace can use it up.
            refusals=valkey.refusals_key(tenant, key),
            styles=valkey.route_styles_key(),
            versions=valkey.route_versions_key(),
            incarnation=valkey.route_incarnation_key(),
        )


@value
class Grant:
    """What admission granted: the hold, the prices that count, and the route that the name led to then.

    `field` is the full name whose route it has, also if a short one was asked for, or that of its canary.
    Where the request runs now its `InFlight` says: it may move to another engine or version.
    """

    request_id: str
    caller: Caller
    period: str
    admitted_ms: int
    field: str
    route: Route
    output_tokens: int
    hold_tokens: int
    hold_nanousd: int
    prices: TokenPrices
    weight: int = 1
    may_be_unmarked: bool = False  # the workspace or the key has turned the watermark off
    rates: Rates | None = None
    sequences: int = 1


@dataclass(eq=False, slots=True)
class InFlight:
    """An admitted request until it is settled: its grant, what it has used, and where it runs now.

    That is its version's route, the engine's name ("" before one is chosen), and how near the adapter was.
    """

    grant: Grant
    usage: Usage
    route: Route
    engine: str
    tier: AdapterTier | None

    @classmethod
    def begin(cls, grant: Grant, usage: Usage, tier: AdapterTier | None = None) -> "InFlight":
        """Return a request that no engine has yet."""
        return cls(grant, usage, grant.route, "", tier)


# What the script returns: the verdict, then what belongs to it.
type Verdict = list[Any]


class CacheMiss(Exception):
    """Valkey does not know this tenant. The caller publishes the tenant and tries again."""


class PromptEstimateTooHigh(Exception):
    """The byte bound of the prompt does not decide. The caller counts the tokens and tries again."""


@dataclass(frozen=True)
class AdapterNotLoaded(Exception):
    """No engine has the version that `field` leads to. The caller has it loaded and tries again."""

    field: str
    version_id: str


@dataclass(frozen=True)
class PeriodRollover(Exception):
    """By Valkey's clock it is another month. The caller tries again with that one."""

    now_ms: int


async def admit(
    script: Script,
    tables: RouteTables,
    caller: Caller,
    *,
    request_id: str,
    model: str,
    prompt_tokens: int,
    min_prompt_tokens: int | None = None,
    is_exact: bool = False,
    output_tokens: int,
    sequences: int,
    user: str = "",
    period: str = "",
    fingerprint: str = "",
    wants_unmarked: bool = False,
) -> Grant:
    """Return a grant. Its route is of the tables; while they do not know the version, it has no placement.

    `prompt_tokens` is an upper bound of the prompt, `min_prompt_tokens` a lower one (None: the same).
    `output_tokens` is what the client asks for, 0 for the default. Where a canary runs, it gets its share of
    the users, each always the same version, or of the requests where they name no user.

    Raises CacheMiss, AdapterNotLoaded, PromptEstimateTooHigh, PeriodRollover, ContextTooLong when not even
    the lower bound fits, WatermarkRequired, or the error that says which limit is reached, what is
    left and when it resets.
    """
    period = period or months.current()
    if min_prompt_tokens is None:
        min_prompt_tokens = prompt_tokens
    names = caller.names
    # Keys and arguments stand in the order that the head of admission.lua names.
    keys = (
        names.limits,
        names.api_key,
        names.library,
        names.account + period,
        names.bucket,
        names.hold + request_id,
        names.leases,
        names.suspect + fingerprint,
        names.versions,
        names.styles,
        names.incarnation,
    )
    args = (
        request_id,
        names.tenant,
        names.key,
        model,
        prompt_tokens,
        output_tokens,
        sequences,
        period,
        *_period_bounds_ms(period),
        LEASE_MS,
        int(is_exact),
        canary_bucket(model, user or request_id),
        min_prompt_tokens,
        tables.base_context,
        int(wants_unmarked),
    )
    answer = await script(keys, args)
    if answer[0] != "admitted":
        raise _refusal(answer, model=model, period=period, sequences=sequences)
    _, field, version_id, granted_tokens, hold_tokens, hold_nanousd, now_ms, prices, *others = answer
    weight, may_be_unmarked, *rates = others
    return Grant(
        request_id=request_id,
        caller=caller,
        period=period,
        admitted_ms=now_ms,
        field=field,
        route=tables.route(version_id),
        output_tokens=granted_tokens,
        hold_tokens=hold_tokens,
        hold_nanousd=hold_nanousd,
        prices=read_prices(prices),
        weight=weight,
        may_be_unmarked=bool(may_be_unmarked),
        rates=Rates._make(rates),
        sequences=sequences,
    )


def canary_bucket(model: str, user: str) -> int:
    """Return a user's bucket of a style, 0 … 99. A style's short and long names give the same one."""
    style = model.rpartition("/")[2]
    # Not `hash()`, which differs between processes: a user must get the same version from all of them.
    return crc32(f"{style} {user}".encode()) % 100


@lru_cache(maxsize=16)
def _period_bounds_ms(period: str) -> tuple[int, int]:
    begins, ends = months.bounds(period)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


@lru_cache(maxsize=1024)
def read_prices(written: str) -> TokenPrices:
    """Return prices as a hold keeps them: three numbers."""
    return TokenPrices(*map(int, written.split()))


def period_at(now_ms: int) -> str:
    """Return the month of a moment by Valkey's clock."""
    return months.period_of(datetime.fromtimestamp(now_ms / 1000, UTC))


DENIED: dict[str, type[errors.DomainError]] = {
    "suspended": errors.Suspended,
    "revoked": errors.RevokedKey,
    "expired": errors.ExpiredKey,
    "unscoped": errors.InsufficientScope,
    "watermarked": errors.WatermarkRequired,
}


def _refusal(answer: Verdict, *, model: str, period: str, sequences: int) -> Exception:
    """Return the error that a verdict of the script means."""
    match answer:
        case ["cache_miss"]:
            return CacheMiss()
        case ["estimate_too_high"]:
            return PromptEstimateTooHigh()
        case ["period_rollover", now_ms]:
            return PeriodRollover(now_ms)
        case ["loading", field, version_id]:
            return AdapterNotLoaded(field, "" if version_id == BASE_NAME else version_id)
        case _:
            return _client_error(answer, model=model, period=period, sequences=sequences)


def _client_error(answer: Verdict, *, model: str, period: str, sequences: int) -> errors.DomainError:
    match answer:
        case ["denied", reason]:
            return DENIED[reason]()
        case ["unknown_model"]:
            return errors.UnknownModel(model=model, param="model")
        case ["too_long", max_model_len]:
            return errors.ContextTooLong(max_model_len=max_model_len)
        case ["suspect", left_ms]:
            return errors.SuspectRequest(wait_s=_seconds_up(left_ms))
        case ["sequences", allowed]:
            return errors.TooManySequences(sequences=sequences, allowed=allowed, param="n")
        case _:
            return _limit_reached(answer, period, sequences)


class LimitScope(MessageCode):
    """Whose limit it is, as readers know what the script names."""

    KEY = _("key")
    WORKSPACE = _("workspace")


class LimitName(MessageCode):
    """Which limit it is."""

    TOKENS_PER_MONTH = _("monthly tokens")
    BUDGET = _("monthly budget")
    TOKENS_PER_MINUTE = _("tokens per minute")
    CREDITS = _("credits")
    UNPAID = _("limit for unpaid usage")
    PARALLEL = _("concurrent requests")
    PARALLEL_PROMPTS = _("concurrent requests (prompts times `n`)")
    REQUESTS_PER_MINUTE = _("requests per minute")


LIMIT_ERRORS: dict[str, tuple[type[errors.Limited], LimitName, str]] = {
    "tokens_spent": (errors.QuotaExhausted, LimitName.TOKENS_PER_MONTH, "insufficient_quota"),
    "nanousd_spent": (errors.QuotaExhausted, LimitName.BUDGET, "insufficient_quota"),
    "tokens_too_large": (errors.TooLargeForLimit, LimitName.TOKENS_PER_MINUTE, "tokens"),
    "tokens_in_flight": (errors.InFlightFull, LimitName.TOKENS_PER_MONTH, "tokens"),
    "nanousd_in_flight": (errors.InFlightFull, LimitName.BUDGET, "tokens"),
    "credits_spent": (errors.CreditsExhausted, LimitName.CREDITS, "insufficient_quota"),
    "credits_in_flight": (errors.InFlightFull, LimitName.CREDITS, "tokens"),
    "unpaid_spent": (errors.UnpaidLimitReached, LimitName.UNPAID, "insufficient_quota"),
    "unpaid_in_flight": (errors.InFlightFull, LimitName.UNPAID, "tokens"),
    "parallel_too_large": (errors.TooManyAtOnce, LimitName.PARALLEL, "requests"),
    "parallel": (errors.RateLimited, LimitName.PARALLEL_PROMPTS, "requests"),
    "requests": (errors.RateLimited, LimitName.REQUESTS_PER_MINUTE, "requests"),
    "tokens": (errors.RateLimited, LimitName.TOKENS_PER_MINUTE, "tokens"),
}


def _limit_reached(answer: Verdict, period: str, sequences: int) -> errors.Limited:
    _, name, scope, retry_ms, allowed, left, tokens, nanousd, *rates = answer
    error, limit, kind = LIMIT_ERRORS[name]
    is_money = name.startswith(("nanousd", "credits", "unpaid"))
    show: Callable[[int], str] = usd if is_money else "{:,}".format
    _, period_ends = months.bounds(period)
    return error(
        scope=LimitScope[scope.upper()](),
        limit=limit(),
        limit_type=kind,
        allowed=show(allowed),
        left=show(left),
        needed=show(nanousd if is_money else tokens),
        sequences=sequences,
        retry_s=_seconds_up(retry_ms),
        rates=Rates._make(rates),
        resets_on=f"{period_ends:%Y-%m-%d} (UTC)",
    )


def _seconds_up(milliseconds: int) -> int:
    """Return whole seconds, rounded up, 1 at least."""
    return max(1, math.ceil(milliseconds / 1000))
