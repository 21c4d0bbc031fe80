"""Settlement: release the hold, charge what was used, and append the usage event, once a request.

Rules: tokens that the engine reported are billed, also when the client hung up. An upstream failure before
the first token bills nothing, but is an event. After a crash the last heartbeat is billed. The period is that
of admission.
"""

import asyncio
from itertools import chain

from core import months, valkey
from inference import metrics, telemetry
from inference.contract.watermark import correct_short
from inference.errors import LimitsUnavailable
from inference.facts import Outcome, Store
from inference.quota.admission import LEASE_MS, Grant, InFlight, read_prices
from inference.quota.scripts import EXTEND_LEASE, RECOVERY_GRACE, RESTORE_HOLD, SETTLEMENT
from inference.wire.valkey_client import ValkeyClient
from metering.price_book import cost_nanousd

# Valkey may be restarting: an answer waits for it, because nothing goes out unbilled.
RETRY_AFTER_S = (0, 0.1, 0.5, 1, 2, 4, 8)
# Beat sweeps again soon, so one run of the task stays short.
SWEEP_BATCH_SIZE = 1000


class Settlement:
    """The scripts that follow an admission: extend the hold, settle it, restore it after a flush."""

    def __init__(self, client: ValkeyClient) -> None:
        self._client = client
        self._settlement = client.script(SETTLEMENT)
        self._extend_lease = client.script(EXTEND_LEASE)
        self._restore_hold = client.script(RESTORE_HOLD)
        self._recovery_grace = client.script(RECOVERY_GRACE)

    async def settle(self, request: InFlight, outcome: Outcome) -> None:
        """Release the hold and append the usage event, at most once; without tokens nothing is billed.

        A request without tokens is an event only after an engine's failure, `upstream_error`.
        """
        grant = request.grant
        usage = request.usage
        names = grant.caller.names
        cost = cost_nanousd(grant.prices, usage.prompt, usage.cached, usage.completion)
        # In the order of settlement.lua's head.
        keys = (
            names.hold + grant.request_id,
            names.leases,
            names.account + grant.period,
            names.bucket,
            names.stream,
        )
        args = (
            grant.request_id,
            names.tenant,
            usage.prompt,
            usage.cached,
            usage.completion,
            cost,
            usage.finish_reason,
            outcome,
            request.route.provenance,
            request.engine,
            "",
            usage.watermark,
            usage.text_sha256,
            usage.constrained,
        )
        settled = await self._settlement(keys, args)
        if settled != 1:
            telemetry.settlement_refused(
                request=grant.request_id,
                tenant=names.tenant,
                tokens=usage.tokens,
                reason="it was swept" if settled else "there is no hold",
            )
        if not settled and usage.tokens:
            # An earlier call settled it and its answer was lost, or the hold fell to a flush. The event must
            # not be lost. PostgreSQL keeps one event a request id, so a second one does no harm.
            await self._append_event(request, cost, outcome)

    async def retry_settle(self, request: InFlight, outcome: Outcome) -> None:
        """Settle, and try again for a while. Raises LimitsUnavailable.

        If all tries fail, the lease runs out and the sweeper bills the last heartbeat.
        """
        for pause_s in RETRY_AFTER_S:
            await asyncio.sleep(pause_s)
            metrics.SETTLEMENT_RETRIES.add()
            try:
                return await self.settle(request, outcome)
            except LimitsUnavailable:
                continue
        metrics.SETTLEMENTS_LOST.add()
        raise LimitsUnavailable

    async def extend(self, request: InFlight) -> bool:
        """Extend the lease and store the running usage; return False when the hold is gone."""
        names = request.grant.caller.names
        keys = (names.hold + request.grant.request_id, names.leases)
        return bool(await self._extend_lease(keys, _heartbeat(request)))

    async def restore(self, request: InFlight) -> None:
        """Put back the hold of a request in flight, after a flush."""
        grant = request.grant
        names = grant.caller.names
        keys = (
            names.hold + grant.request_id,
            names.leases,
            names.account + grant.period,
            names.bucket,
        )
        args = (
            *_heartbeat(request),
            names.key,
            grant.period,
            grant.hold_tokens,
            grant.hold_nanousd,
            grant.admitted_ms,
            _serialize_prices(grant),
            grant.sequences,
        )
        await self._restore_hold(keys, args)

    async def recovery_grace(self, *, grace_ms: int) -> int:
        """Return in how many milliseconds every gateway has restored its holds; 0: all have."""
        return int(await self._recovery_grace((valkey.epoch_key(),), (grace_ms,)))

    async def _append_event(self, request: InFlight, cost: int, outcome: Outcome) -> None:
        grant = request.grant
        usage = request.usage
        names = grant.caller.names
        fields: dict[str, str | int] = {
            "request": grant.request_id,
            "tenant": names.tenant,
            "key": names.key,
            "period": grant.period,
            "admitted_ms": grant.admitted_ms,
            "route": request.route.provenance,
            "engine": request.engine,
            "prices": _serialize_prices(grant),
            "prompt": usage.prompt,
            "cached": usage.cached,
            "completion": usage.completion,
            "cost": cost,
            "finish": usage.finish_reason,
            "outcome": outcome,
            "watermark": usage.watermark,
            "text": usage.text_sha256,
            "constrained": usage.constrained,
        }
        words = chain.from_iterable(fields.items())
        await self._client.execute("XADD", names.stream, "*", *words)


def _heartbeat(request: InFlight) -> tuple[str | int, ...]:
    """Return what a heartbeat tells: how far a request is, and where."""
    return (
        request.grant.request_id,
        request.grant.caller.names.tenant,
        LEASE_MS,
        request.usage.serialize(),
        request.route.provenance,
        request.route.version_id,
        request.engine,
        request.usage.watermark,
    )


def _serialize_prices(grant: Grant) -> str:
    # A hold keeps its prices as text: settlement and sweeper bill by them, whatever prices follow.
    return " ".join(map(str, grant.prices))


def sweep_expired_holds(client: Store, *, batch_size: int = SWEEP_BATCH_SIZE) -> int:
    """Settle requests whose lease is over (their process died) by their last heartbeat; return how many."""
    # By Valkey's clock, which set the leases.
    seconds, microseconds = client.time()
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    script = client.register_script(SETTLEMENT)
    swept = 0
    for lease in client.zrangebyscore(valkey.leases_key(), 0, now_ms, start=0, num=batch_size):
        tenant, request_id = lease.split(" ", 1)
        swept += _sweep_hold(client, script, tenant, request_id)
    return swept


def open_periods(client: Store) -> set[str]:
    """Return the months of the requests that are open now: their usage is not in the ledger yet."""
    held = valkey.read_open_holds(client, "period")
    return {period for period in held if period}


def _sweep_hold(client: Store, script: Store, tenant: str, request_id: str) -> bool:
    """Settle one hold; return whether this call did it."""
    hold_key = valkey.hold_key(tenant, request_id)
    hold = client.hgetall(hold_key)
    # Where the hold is gone (a flush), the script only takes the lease away.
    prompt, cached, completion = map(int, hold.get("usage", "0 0 0").split())
    cost = cost_nanousd(read_prices(hold["prices"]), prompt, cached, completion) if hold else 0
    period = hold.get("period", months.current())
    keys = [
        hold_key,
        valkey.leases_key(),
        valkey.account_key(tenant, period),
        valkey.bucket_key(tenant),
        valkey.usage_key(),
    ]
    word = correct_short(
        hold.get("watermark", ""), completion_tokens=completion, sequences=int(hold.get("sequences", 1))
    )
    args = [request_id, tenant, prompt, cached, completion, cost, "", "swept", "", "", "sweep", word, "", ""]
    return bool(script(keys, args) == 1)
