"""Waiting instead of failing: for a style that is being loaded, and for an engine that is away.

While a style is on its way a request isn't admitted, so that waiting uses up no limit; its hold is taken once
the style serves. A request that was admitted keeps its hold, looks where its name leads now, and tries again.
One that an engine lets wait goes to another when by now that is better.
"""

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from foundation import months
from inference.contract.prompt_length import min_tokens
from inference.contract.requests import ParsedRequest
from inference.contract.route import Place, Route, read_route
from inference.errors import (
    AdapterAbsent,
    ContextTooLong,
    DomainError,
    EngineBroke,
    EngineBusy,
    EngineDied,
    EngineUnavailable,
    GateUnavailable,
    Limited,
    StyleLoading,
    UnknownModel,
)
from inference.proxy.backends import Backend
from inference.proxy.fair_queue import Ticket
from inference.proxy.runtime import Gateway
from inference.proxy.suspects import SUSPECT_FOR_S, fingerprint
from inference.quota.admission import (
    AdapterNotLoaded,
    CacheMiss,
    Caller,
    Grant,
    PeriodRollover,
    PromptEstimateTooHigh,
    admit,
    period_at,
)

BASE = "base"  # everybody has this name
LOOK_EVERY_S = 0.25
LOAD_PATIENCE_S = 60
ENGINE_PATIENCE_S = 120
# Who waits for a style isn't admitted yet, so nothing else bounds how many do and what they keep in memory.
WAITING_MAX = 1024
WAITING_MAX_PER_TENANT = 128
WAITING_MAX_BYTES = 128 * 1024 * 1024  # of bodies; parsed, one takes a few times as much
WAITING_MAX_BYTES_PER_TENANT = 16 * 1024 * 1024
BREAKS_MAX = 2  # of engines with one request in their hands: what it asks may be what breaks them


async def admit_request(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> Grant:
    """Return a grant, after a wait if the style is on its way. Raises DomainError; then nothing is held."""
    prompt, period = parsed.prompt_bound(), months.current()
    least = min(prompt, min_tokens(parsed, gateway.longest_token))
    warm = exact = False
    load_until_s, mark = 0.0, fingerprint(parsed)
    while True:
        try:
            grant = await admit(
                gateway.admission, caller, request_id=request_id, model=parsed.model, user=parsed.user,
                prompt=prompt, least=least, exact=exact, output=parsed.output_tokens, choices=parsed.choices,
                period=period, fingerprint=mark,
            )  # fmt: skip
        except CacheMiss as error:
            if warm:
                raise GateUnavailable from error
            await gateway.warm(caller.tenant_id, period)
            warm = True
        except AdapterNotLoaded as loading:
            load_until_s = load_until_s or time.monotonic() + LOAD_PATIENCE_S
            await _load(gateway, caller, parsed, loading, until_s=load_until_s)
        except PeriodRollover as error:
            period = period_at(error.now_ms)
        except ContextTooLong as error:
            error.facts["param"] = parsed.prompt_field
            raise
        except Limited as error:
            error.facts["is_counted"] = exact
            raise
        except PromptEstimateTooHigh:
            # The byte bound is crude; where it matters, the base model's own tokenizer decides.
            prompt, exact = min(prompt, await gateway.tokens.count(caller.tenant_id, parsed)), True
            least = min(prompt, least)
        else:
            grant.state = "loading" if load_until_s else None
            return grant


async def _load(
    gateway: Gateway, caller: Caller, parsed: ParsedRequest, loading: AdapterNotLoaded, *, until_s: float
) -> None:
    """Have a style loaded; return once its name leads anywhere else. Raises StyleLoading after a while."""
    route: Route | None = loading.route
    with _waiting(gateway, caller.tenant_id, parsed.body_bytes):
        while route and not route.places:
            if time.monotonic() >= until_s:
                raise StyleLoading(model=parsed.model, retry_s=5, adapter_state="loading")
            gateway.demand(route.version_id)
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(GateUnavailable):
                written = await gateway.valkey.execute("HGET", caller.names.styles, loading.field)
                route = read_route(written) if written else None


@contextmanager
def _waiting(gateway: Gateway, tenant_id: UUID, body_bytes: int) -> Iterator[None]:
    """Count one request that waits for a style. Raises EngineBusy when too many or too large ones do."""
    requests, sizes = gateway.loading, gateway.loading_bytes
    is_full = (
        requests[tenant_id] >= WAITING_MAX_PER_TENANT
        or requests.total() >= WAITING_MAX
        or sizes[tenant_id] + body_bytes > WAITING_MAX_BYTES_PER_TENANT
        or sizes.total() + body_bytes > WAITING_MAX_BYTES
    )
    if is_full:
        raise EngineBusy(retry_s=5, adapter_state="loading")
    requests[tenant_id] += 1
    sizes[tenant_id] += body_bytes
    try:
        yield
    finally:
        requests[tenant_id] -= 1
        sizes[tenant_id] -= body_bytes
        if not requests[tenant_id]:
            del requests[tenant_id], sizes[tenant_id]


class Failover:
    """Where an admitted request may go: one place after the other, and after a wait the same ones again."""

    _attempt: asyncio.Timeout
    _turn: Ticket

    def __init__(self, gateway: Gateway, grant: Grant, model: str) -> None:
        self._gateway, self._grant, self._model = gateway, grant, model
        self._route = grant.route
        self._failed: set[str] = set()
        self._breaks = 0
        self._failure: EngineUnavailable | None = None
        self._until_s = 0.0

    async def place(self) -> tuple[Place, Backend]:
        """Return the best place of those that have not failed; wait while there is none.

        Raises EngineUnavailable when it waited long enough, UnknownModel when the name leads nowhere now.
        """
        grant = self._grant
        while not (found := self._gateway.routing.best(self._route, without=self._failed)):
            await self._wait()
        place, backend = found
        grant.engine = place.engine
        if grant.state != "loading":
            grant.state = backend.state(place.adapter)
        return found

    def failed(self, place: Place, error: DomainError, *, is_last: bool) -> None:
        """Note that a place failed. Raises the error when no other may be asked, or that would break, too."""
        if is_last or isinstance(error, EngineDied) or not isinstance(error, EngineUnavailable):
            raise error
        self._failed.add(place.engine)
        self._failure = error
        if isinstance(error, AdapterAbsent):
            self._grant.state = "loading"
            self._gateway.demand(self._route.version_id)
        if isinstance(error, EngineBroke):
            self._count_break()

    def busy(self, place: Place, error: EngineBusy) -> None:
        """Note that too many wait for a place. Raises the error when there is no other healthy one."""
        self._failed.add(place.engine)
        if not self._has_healthy(self._route, without=self._failed):
            raise error

    async def left(self, ticket: Ticket) -> None:
        """Note that an attempt was ended since its engine isn't healthy; raises where `failed` would."""
        if ticket.is_at_work:
            self._count_break()
        await self.refresh_route()

    def watch(self, attempt: asyncio.Timeout, ticket: Ticket) -> None:
        """Let an attempt be ended, until `unwatch`, when its engine isn't healthy any more and another is."""
        self._attempt, self._turn = attempt, ticket
        self._gateway.unanswered[self._grant.request_id] = self._recheck_health

    def unwatch(self) -> None:
        """Leave the attempt alone."""
        self._gateway.unanswered.pop(self._grant.request_id, None)

    async def refresh_route(self) -> None:
        """Read, if Valkey answers, where the name leads now. Raises UnknownModel when it leads nowhere."""
        with suppress(GateUnavailable):
            await self._refresh_route()

    def _count_break(self) -> None:
        self._breaks += 1
        if self._breaks >= BREAKS_MAX:
            raise EngineDied(minutes=SUSPECT_FOR_S // 60)

    async def _recheck_health(self) -> None:
        with suppress(GateUnavailable, UnknownModel):
            if not (written := await self._written()):
                return
            route, here = read_route(written), self._grant.engine
            healthy = {place.engine: place.healthy for place in route.places}
            # Where it isn't placed any more it leaves the line; what it had begun there ends there.
            if healthy.get(here, self._turn.is_at_work):
                return
            if not self._has_healthy(route, without={here}):
                self._gateway.demand(route.version_id)
            elif self._gateway.unanswered.pop(self._grant.request_id, None):
                self._attempt.reschedule(0)

    def _has_healthy(self, route: Route, *, without: Collection[str]) -> bool:
        found = self._gateway.routing.best(route, without=without)
        return found is not None and found[0].healthy

    async def _wait(self) -> None:
        now_s = time.monotonic()
        self._until_s = self._until_s or now_s + ENGINE_PATIENCE_S
        if now_s >= self._until_s:
            raise self._failure or EngineUnavailable(retry_s=5)
        await asyncio.sleep(LOOK_EVERY_S)
        self._gateway.demand(self._route.version_id)  # none of its engines answers: another one may take it
        self._failed.clear()
        await self.refresh_route()

    async def _refresh_route(self) -> None:
        if not (written := await self._written()):
            return
        self._route = read_route(written)
        if not self._route.places:
            self._grant.state = "loading"
        elif written != self._grant.route_json:
            self._grant.route, self._grant.route_json = self._route, written
            await self._gateway.beat(self._grant.request_id)

    async def _written(self) -> str | None:
        """Return where the name leads now: to other engines, another version, or one that is being loaded.

        None when Valkey forgot all names. Raises UnknownModel when it forgot this one alone.
        """
        names, field = self._grant.caller.names, self._grant.field
        asking = self._gateway.valkey.execute("HMGET", names.styles, field, self._model, BASE)
        *base_route, base = await asking
        base_route = [written for written in base_route if written]
        if base and not base_route:
            raise UnknownModel(model=self._model, param="model")
        # A canary's callers wait for it only where the live version is on its way, too.
        return next(
            (written for written in base_route if read_route(written).places),
            base_route[0] if base_route else None,
        )
