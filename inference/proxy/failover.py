"""Which engine an admitted request goes to next, and when it waits because there is none.

A request that was admitted keeps its hold. While no engine can take it, it reads where its name leads now and
tries again. One that an engine lets wait goes to another engine as soon as that is the better choice.
"""

import asyncio
import time
from collections.abc import Collection

from inference.contract.route import BASE_NAME, Placement, Route
from inference.errors import (
    AdapterAbsent,
    DomainError,
    EngineBroke,
    EngineBusy,
    EngineDied,
    EngineUnavailable,
    LimitsUnavailable,
    UnknownModel,
)
from inference.proxy.backends import Backend
from inference.proxy.runtime import Gateway
from inference.proxy.suspects import SUSPECT_FOR_S
from inference.proxy.turn_order import Ticket
from inference.quota.admission import InFlight

MAX_BREAKS = 2  # engines that broke off with one request: what it asks may be what breaks them


class Failover:
    """The engines of one admitted request: one after the other, and after a wait the same ones again.

    Few requests need it: it is made when an engine fails, or when none can take the request.
    """

    def __init__(self, gateway: Gateway, request: InFlight, model: str) -> None:
        grant = request.grant
        self._gateway = gateway
        self._request = request
        self._grant = grant
        self._model = model
        style, _, _ = grant.field.partition("@")
        _, at, alias = model.partition("@")
        # Callers of a canary may get the live version instead, as admission would have it.
        self._fields = (grant.field, f"{style}{at}{alias}")
        self._route = grant.route
        self._failed_engines: set[str] = set()
        self._last_failure: EngineUnavailable | None = None
        self._breaks = 0
        self._deadline_s: float | None = None

    async def choose_engine(self) -> tuple[Placement, Backend]:
        """Choose the best engine of those that have not failed; wait while there is none.

        Raises EngineUnavailable after `engine_wait_s`, UnknownModel when the name no longer leads anywhere.
        """
        best = self._best()
        while best is None:
            await self._wait()
            best = self._best()
        return best

    def mark_failed(self, placement: Placement, error: DomainError, *, is_last: bool) -> None:
        """Note that an engine failed. Raises the error where no other engine may get the request."""
        if is_last or isinstance(error, EngineDied) or not isinstance(error, EngineUnavailable):
            raise error
        self._failed_engines.add(placement.engine)
        self._last_failure = error
        if isinstance(error, AdapterAbsent):
            self._request.tier = "loading"
            self._gateway.loading.request_placement(self._route.version_id)
        if isinstance(error, EngineBroke):
            self._count_break()

    def mark_busy(self, placement: Placement, error: EngineBusy) -> None:
        """Note that too many wait at an engine. Raises the error when there is no other healthy one."""
        self._failed_engines.add(placement.engine)
        if not self._has_healthy_engine(self._route, without=self._failed_engines):
            raise error

    async def mark_moved(self, ticket: Ticket) -> None:
        """Note that an attempt ended for a better engine. Raises EngineDied or UnknownModel."""
        # The engine had the request and gave no byte: that may be the request's doing, like a break.
        if ticket.is_running:
            self._count_break()
        await self._refresh_route()

    def has_better_engine(self, ticket: Ticket) -> bool:
        """Return whether the attempt with this ticket should end, for another engine's sake.

        That is where its engine is no longer healthy and another one is, by the memory of this process.
        """
        engine = self._request.engine
        tables = self._gateway.routes.tables
        version_id = self._request.route.version_id or BASE_NAME
        route = tables.route(version_id)
        if _is_well_chosen(route, engine, ticket):
            return False
        is_retired = version_id not in tables  # its name leads to another version, or nowhere
        if is_retired or self._has_healthy_engine(route, without={engine}):
            return True
        self._gateway.loading.request_placement(route.version_id)
        return False

    def _best(self) -> tuple[Placement, Backend] | None:
        return self._gateway.backends.best(self._route, without=self._failed_engines)

    def _count_break(self) -> None:
        self._breaks += 1
        if self._breaks >= MAX_BREAKS:
            raise EngineDied(minutes=SUSPECT_FOR_S // 60)

    def _has_healthy_engine(self, route: Route, *, without: Collection[str]) -> bool:
        best = self._gateway.backends.best(route, without=without)
        return best is not None and best[0].healthy

    async def _wait(self) -> None:
        """Wait a moment, then let every engine be tried again. Raises the last failure at the deadline."""
        settings = self._gateway.settings
        now_s = time.monotonic()
        if self._deadline_s is None:
            self._deadline_s = now_s + settings.engine_wait_s
        if now_s >= self._deadline_s:
            raise self._last_failure or EngineUnavailable(retry_s=5)
        await asyncio.sleep(settings.route_poll_s)
        # None of its engines answers, so another engine may have to load the style.
        self._gateway.loading.request_placement(self._route.version_id)
        self._failed_engines.clear()
        await self._refresh_route()

    async def _refresh_route(self) -> None:
        """Follow the name to where it leads now. Raises UnknownModel if nowhere, or why the key may not ask.

        While Valkey is away the version stays, and its engines are those that this process knows last.
        """
        try:
            route = await self._find_route()
        except LimitsUnavailable:
            route = None
        if route is None:
            route = self._find_known_route()
        self._route = route
        earlier = self._request.route
        if not route.placements:
            self._request.tier = "loading"
        elif route is not earlier:
            self._request.route = route
            if route.version_id != earlier.version_id:  # the hold tells which version it is on
                await self._gateway.heartbeat(self._grant.request_id)

    async def _find_route(self) -> Route | None:
        """Return where the name leads now: to other engines, another version, or one that is being loaded.

        Returns None when Valkey forgot what it knew of the workspace. Raises LimitsUnavailable, UnknownModel,
        or the error that says why the caller may ask no more.
        """
        gateway = self._gateway
        targets = await gateway.access.find_targets(self._grant.caller, self._fields)
        if targets is None:
            return None
        if not targets:
            raise UnknownModel(model=self._model, param="model")
        candidates = [gateway.routes.tables.route(target.version_id) for target in targets]
        # Callers of a canary wait for it only where the live version is being loaded, too.
        for route in candidates:
            if route.placements:
                return route
        return candidates[0]

    def _find_known_route(self) -> Route:
        """Return the route of this version as the process's tables have it, while they have it."""
        version_id = self._route.version_id or BASE_NAME
        tables = self._gateway.routes.tables
        return tables.route(version_id) if version_id in tables else self._route


def _is_well_chosen(route: Route, engine: str, ticket: Ticket) -> bool:
    for placement in route.placements:
        if placement.engine == engine:
            return placement.healthy
    # The style left this engine: what runs there ends there, what waits there leaves the queue.
    return ticket.is_running
