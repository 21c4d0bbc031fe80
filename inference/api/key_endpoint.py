"""`GET /v1/key` and `GET /v1/usage`: what a key may do, what is left of its limits, and what it used."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from core import months
from core.money import dollars
from inference.api.models_endpoint import Hash, read_snapshot, usable_models
from inference.errors import BadRequest
from inference.facts import JsonObject
from inference.proxy.runtime import Gateway, run_in_thread
from inference.quota.admission import Caller
from metering.price_book import payable_nanousd
from metering.usage_report import report_usage_of_key

# What is left of included tokens and credits is counted from what Valkey has, as admission does.
BOTH, PREVIOUS, CURRENT = "b", "p", "c"  # the months that an amount pays


@dataclass(frozen=True)
class MonthUse:
    """What a month has used until now: tokens, and their cost in nano-USD."""

    tokens: int
    nanousd: int


@dataclass(frozen=True)
class Wallet:
    """The published field `wallet` (quota_sync/credit_field.py): included tokens, and grants in burn order.

    An amount is what was left of it before the month before.
    """

    period: str
    previous: str
    included_tokens: int
    previous_included_tokens: int
    grants: tuple[tuple[int, str], ...]

    @property
    def needs_previous(self) -> bool:
        """Whether what is left depends on what the month before used."""
        return any(covered == BOTH for _, covered in self.grants)

    def left_nanousd(self, used: MonthUse, before: MonthUse | None) -> int:
        """Return the credits that are left for this month; the month before burns first."""
        owed_before = 0
        if before:
            owed_before = payable_nanousd(before.nanousd, before.tokens, self.previous_included_tokens)
        left = 0
        for amount, covered in self.grants:
            # As admission.lua does it, grant by grant, so that both come to the same.
            burned = 0 if covered == CURRENT else min(owed_before, amount)
            owed_before -= burned
            if covered != PREVIOUS:
                left += amount - burned
        return max(0, left - payable_nanousd(used.nanousd, used.tokens, self.included_tokens))


def read_wallet(written: str) -> Wallet | None:
    """Return the wallet that a field means; None where none is published."""
    if not written:
        return None
    period, previous, included, previous_included, *entries = written.split()
    grants = []
    for entry in entries:
        amount, _, covered = entry.partition(":")
        grants.append((int(amount), covered))
    return Wallet(period, previous, int(included), int(previous_included), tuple(grants))


MONTHLY = {"monthly_tokens": ("used", "held"), "monthly_nanousd": ("spent", "reserved")}
PER_MINUTE = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}
MINUTE_MS = 60_000
MAX_PARAMETERS = 20


async def describe_key(gateway: Gateway, caller: Caller) -> JsonObject:
    """Return the key: its scopes and styles; its limits and its workspace's, each with what is left; credits.

    Any live key may ask. Raises what admission raises for one that is not, and LimitsUnavailable.
    """
    snapshot = await read_snapshot(gateway, caller, needs_inference=False)
    limits, key = snapshot.limits, snapshot.key
    period = months.current()
    wallet, before = await _read_wallet(gateway, caller, limits, period)
    suffix = f":{caller.names.key}"
    account = await _read_numbers(gateway, caller.names.account + period, MONTHLY.values(), suffix)
    bucket_fields = [("at", "open"), tuple(PER_MINUTE.values())]
    bucket = await _read_numbers(gateway, caller.names.bucket, bucket_fields, suffix)
    _, resets_at = months.bounds(period)
    models = usable_models(gateway, snapshot)
    return {
        "object": "api_key",
        "id": caller.names.key,
        "name": key.get("name", ""),
        "hint": key.get("hint", ""),
        "scopes": key["scopes"].split(","),
        "workspace": {
            "id": caller.names.tenant,
            "slug": limits.get("slug", ""),
            "name": limits.get("name", ""),
        },
        "expires_at": _moment(key["expires_at"]),
        "styles": sorted({model.route.name for model in models.values()}),
        "limits": {
            "resets_at": resets_at.isoformat().replace("+00:00", "Z"),
            "key": _describe_limits(key, account, bucket, suffix),
            "workspace": {
                **_describe_limits(limits, account, bucket, ""),
                "included_tokens": _describe_included(wallet, account),
            },
        },
        "credits": _describe_credits(wallet, account, before),
    }


async def describe_usage(gateway: Gateway, caller: Caller, query: bytes) -> JsonObject:
    """Return what the key used, by day unless the query says otherwise. Raises BadRequest among others."""
    await read_snapshot(gateway, caller, needs_inference=False)
    try:
        parameters = dict(parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError as error:
        raise BadRequest("Invalid query parameters.") from error
    return await run_in_thread(report_usage_of_key, caller.tenant_id, caller.key_id, parameters)


async def _read_wallet(
    gateway: Gateway, caller: Caller, limits: Hash, period: str
) -> tuple[Wallet | None, MonthUse | None]:
    """Return the wallet of a month and what the month before used; what Valkey lacks is published first."""
    names = caller.names
    wallet = read_wallet(limits.get("wallet", ""))
    before = await _read_use(gateway, names.account, wallet) if wallet else None
    if wallet and wallet.period == period and (before or not wallet.needs_previous):
        return wallet, before
    await gateway.workspaces.ensure_published(caller.tenant_id, period)
    wallet = read_wallet(await gateway.valkey.execute("HGET", names.limits, "wallet") or "")
    if wallet is None or wallet.period != period:  # its clock and Valkey's name two months
        return None, None
    return wallet, await _read_use(gateway, names.account, wallet)


async def _read_use(gateway: Gateway, account: str, wallet: Wallet) -> MonthUse | None:
    """Return what the month before a wallet's used; None where that makes no difference or is not known."""
    if not wallet.needs_previous:
        return None
    used, spent = await gateway.valkey.execute("HMGET", account + wallet.previous, "used", "spent")
    return None if used is None else MonthUse(int(used), int(spent or 0))


async def _read_numbers(
    gateway: Gateway, name: str, groups: Iterable[Iterable[str]], suffix: str
) -> dict[str, float]:
    """Return fields of a hash, the workspace's and the key's, as numbers, without those that are missing."""
    names = [field for group in groups for field in group]
    fields = [*names, *(field + suffix for field in names)]
    values = await gateway.valkey.execute("HMGET", name, *fields)
    return {field: float(value) for field, value in zip(fields, values, strict=True) if value}


def _describe_limits(
    limits: Hash, account: dict[str, float], bucket: dict[str, float], suffix: str
) -> JsonObject:
    """Return each limit with what is left of it; null: no limit."""
    described: JsonObject = {}
    for name, (used_field, held_field) in MONTHLY.items():
        used = int(account.get(used_field + suffix, 0))
        held = int(account.get(held_field + suffix, 0))
        limit = _number(limits, name)
        left = None if limit is None else max(0, limit - used - held)
        described[name] = {"limit": limit, "used": used, "in_flight": held, "remaining": left}
    elapsed_ms = max(0.0, time.time() * 1000 - bucket.get("at" + suffix, 0))
    for name, field in PER_MINUTE.items():
        limit = _number(limits, name)
        left = None if limit is None else _refilled(bucket.get(field + suffix), limit, elapsed_ms)
        described[name] = {"limit": limit, "remaining": left}
    open_sequences = int(bucket.get("open" + suffix, 0))
    parallel = _number(limits, "parallel_requests")
    left = None if parallel is None else max(0, parallel - open_sequences)
    described["parallel_requests"] = {"limit": parallel, "remaining": left}
    return described


def _describe_included(wallet: Wallet | None, account: dict[str, float]) -> JsonObject | None:
    """Return the tokens that the plan includes, and what is left of them."""
    if wallet is None:
        return None
    limit = wallet.included_tokens
    used = int(account.get("used", 0))
    held = int(account.get("held", 0))
    return {"limit": limit, "used": min(used, limit), "remaining": max(0, limit - used - held)}


def _describe_credits(
    wallet: Wallet | None, account: dict[str, float], before: MonthUse | None
) -> JsonObject | None:
    """Return what is left of the workspace's credits. Requests in flight have burned nothing yet."""
    if wallet is None:
        return None
    used = MonthUse(int(account.get("used", 0)), int(account.get("spent", 0)))
    left = wallet.left_nanousd(used, before)
    return {"left_nanousd": left, "left_usd": dollars(left)}


def _number(limits: Hash, name: str) -> int | None:
    return int(limits[name]) if limits.get(name) else None


def _refilled(level: float | None, per_minute: int, elapsed_ms: float) -> int:
    """Return what a minute's bucket holds now, as admission.lua counts it."""
    start = per_minute if level is None else level
    return max(0, int(min(per_minute, start + elapsed_ms * per_minute / MINUTE_MS)))


def _moment(seconds: str) -> str | None:
    if not seconds:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
