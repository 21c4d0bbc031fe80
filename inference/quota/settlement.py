"""Settlement, and how usage reaches the ledger: events → one drain → PostgreSQL, once each.

Rules: tokens that the engine reported are billed, also when the client hung up; an upstream failure before
the first token bills nothing, but is an event; after a crash the last heartbeat is billed; the period is that
of admission.
"""

import logging
from typing import Any

from foundation import months, valkey
from inference import telemetry
from inference.contract.usage import Usage
from inference.quota.admission import LEASE_MS, Grant, read_prices
from inference.quota.scripts import EXTEND_LEASE, RECOVERY_GRACE, RESTORE_HOLD, SETTLEMENT
from inference.wire.valkey_client import ValkeyClient
from tenants.public import cost_nanousd

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

logger = logging.getLogger(__name__)


class Settlement:
    """The scripts that follow an admitted request: extend its hold, settle it, put it back after a flush."""

    def __init__(self, client: ValkeyClient) -> None:
        self._client = client
        self._settlement, self._extend_lease = client.script(SETTLEMENT), client.script(EXTEND_LEASE)
        self._restore_hold, self._recovery_grace = client.script(RESTORE_HOLD), client.script(RECOVERY_GRACE)

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        """Release the hold and append the usage event, at most once; without tokens nothing is billed.

        Of what used no tokens only an engine's failure, `upstream_error`, is an event.
        """
        names = grant.caller.names
        cost = cost_nanousd(grant.prices, usage.prompt, usage.cached, usage.completion)
        settled = await self._settlement(
            (names.hold + grant.request_id, names.leases, names.account + grant.period, names.bucket,
             names.stream),
            (grant.request_id, names.tenant, usage.prompt, usage.cached, usage.completion, cost,
             usage.finish_reason, outcome, grant.route_json, grant.engine, ""),
        )  # fmt: skip
        if settled != 1:
            telemetry.settlement_refused(
                request=grant.request_id, tenant=names.tenant, tokens=usage.tokens,
                reason="it was swept" if settled else "there is no hold",
            )  # fmt: skip
        if not settled and usage.tokens:
            # Settled before by a call whose answer was lost, or the hold fell to a flush. The event must not
            # be lost; PostgreSQL keeps one a request id, so telling it twice does no harm.
            await self._tell(grant, usage, cost, outcome)

    async def extend(self, grant: Grant, usage: Usage) -> bool:
        """Extend the lease and store the running usage; return False when the hold is gone."""
        names = grant.caller.names
        return bool(
            await self._extend_lease((names.hold + grant.request_id, names.leases), _running(grant, usage))
        )

    async def restore(self, grant: Grant, usage: Usage) -> None:
        """Put back the hold of a request in flight, after a flush."""
        names = grant.caller.names
        await self._restore_hold(
            (names.hold + grant.request_id, names.leases, names.account + grant.period, names.bucket),
            (*_running(grant, usage), names.key, grant.period, grant.hold_tokens, grant.hold_nanousd,
             grant.admitted_ms, _written(grant), grant.sequences),
        )  # fmt: skip

    async def recovery_grace(self, tag: str, *, grace_ms: int) -> int:
        """Return how many milliseconds are left until every gateway has put its holds back; 0: whole."""
        return int(await self._recovery_grace((valkey.epoch_key(tag),), (grace_ms,)))

    async def _tell(self, grant: Grant, usage: Usage, cost: int, outcome: str) -> None:
        names = grant.caller.names
        fields: dict[str, str | int] = {
            "request": grant.request_id, "tenant": names.tenant, "key": names.key, "period": grant.period,
            "admitted_ms": grant.admitted_ms, "route": grant.route_json, "engine": grant.engine,
            "prices": _written(grant), "prompt": usage.prompt, "cached": usage.cached,
            "completion": usage.completion, "cost": cost, "finish": usage.finish_reason, "outcome": outcome,
        }  # fmt: skip
        await self._client.execute(
            "XADD", names.stream, "*", *(word for pair in fields.items() for word in pair)
        )


def _running(grant: Grant, usage: Usage) -> tuple[str | int, ...]:
    """Return what a heartbeat tells: how far a request is, and where."""
    return (
        grant.request_id, grant.caller.names.tenant, LEASE_MS, usage.written(), grant.route_json,
        grant.route.version_id, grant.engine,
    )  # fmt: skip


def _written(grant: Grant) -> str:
    return " ".join(map(str, grant.prices))


def sweep_expired_holds(client: Store, *, most: int = 1000) -> int:
    """Settle requests whose lease is over (their process died) by their last heartbeat; return how many."""
    now = _milliseconds(client)
    script = client.register_script(SETTLEMENT)
    swept = 0
    for tag in valkey.tags():
        for member in client.zrangebyscore(valkey.leases_key(tag), 0, now, start=0, num=most):
            tenant, request = member.split(" ", 1)
            hold = client.hgetall(valkey.hold_key(tenant, request))
            prompt, cached, completion = map(int, hold.get("usage", "0 0 0").split())
            cost = cost_nanousd(read_prices(hold["prices"]), prompt, cached, completion) if hold else 0
            period = hold.get("period", months.current())
            keys = [
                valkey.hold_key(tenant, request), valkey.leases_key(tag),
                valkey.account_key(tenant, period), valkey.bucket_key(tenant), valkey.stream_of(tag),
            ]  # fmt: skip
            args = [request, tenant, prompt, cached, completion, cost, "", "swept", "", "", "sweep"]
            swept += script(keys, args) == 1
    return swept


def _milliseconds(client: Store) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
