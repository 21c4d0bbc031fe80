"""One attempt at one engine: wait for a turn, send the request, read the answer.

`close` gives the turn, the connection and the lock of a new grammar back, however the attempt ended.
"""

import asyncio
from collections.abc import Callable

from inference import telemetry
from inference.contract.requests import ParsedRequest
from inference.contract.route import Placement
from inference.contract.usage import Usage
from inference.errors import DomainError, EngineBusy, Invalid, UnservableInput
from inference.proxy import diagnosis, vllm
from inference.proxy.backends import Backend
from inference.proxy.compilations import Compilation
from inference.proxy.failover import Failover
from inference.proxy.runtime import Gateway
from inference.proxy.sse import EventStream
from inference.proxy.tickets import Ticket
from inference.proxy.vllm import UnaryAnswer
from inference.quota.admission import InFlight
from inference.wire.http_client import Response


class Attempt:
    """One admitted request at one engine. `failover` may end it while no first byte has come."""

    def __init__(
        self,
        gateway: Gateway,
        request: InFlight,
        parsed: ParsedRequest,
        *,
        failover: Failover,
        placement: Placement,
        backend: Backend,
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._grant = grant = request.grant
        self._parsed = parsed
        self._failover = failover
        self.placement = placement
        self.response: Response | None = None
        self._backend = backend
        self._compilation: Compilation | None = None
        self._ticket = Ticket(
            tenant=grant.caller.names.tenant,
            style=placement.adapter,
            weight=grant.weight,
            cost=grant.output_tokens * parsed.choices,
            sequences=parsed.choices,
        )

    async def send(self, mark_sent: Callable[[], str]) -> Response | None:
        """Return the engine's answer once it has begun, or None where another engine is better by now.

        `mark_sent` is called when the request's turn came and it goes out; it returns the `traceparent` that
        the engine gets.
        """
        try:
            async with asyncio.timeout(None) as deadline:  # `failover` may set it
                self._failover.watch(deadline, self._ticket)
                # Before the queue: a wait for another grammar must take no place at the engine.
                await self._await_compilation()
                await self._backend.queue.acquire(self._ticket)
                # The circuit may have opened while this request waited for its turn.
                if self._backend.try_acquire(self.placement.adapter):
                    await self._post(mark_sent())
        except EngineBusy as error:
            self._failover.mark_busy(self.placement, error)
        except TimeoutError:
            await self._failover.mark_moved(self._ticket)
        finally:
            self._failover.unwatch()
        if self.response:
            self._backend.mark_answered(self.placement.adapter)
        return self.response

    def reader(self, usage: Usage) -> EventStream | UnaryAnswer:
        """Return what turns the engine's bytes into the client's, and keeps the count in `usage`."""
        route = self._request.choice.route
        if self._parsed.stream:
            return EventStream(self._parsed, route, self.placement, usage)
        return UnaryAnswer(self._parsed, route, usage)

    def mark_first_part(self) -> None:
        """Note that the answer has begun: a grammar that was new to the engine is compiled."""
        if self._compilation:
            telemetry.grammar_compiled(
                request=self._grant.request_id,
                tenant=self._grant.caller.names.tenant,
                engine=self.placement.engine,
                grammar=self._parsed.grammar[:12],
                took_s=self._compilation.finish(),
            )

    async def abort(self) -> bool:
        """Have the engine end an answer that is not streamed; return whether it can.

        Raises EngineUnavailable.
        """
        upstream = self._gateway.upstream
        return await vllm.abort_request(upstream, self._parsed, self._grant.request_id, self.placement)

    async def diagnose(self, error: DomainError, *, state: str) -> DomainError:
        """Return what a failure means. `state` is how far the request was, for the log.

        The diagnosis goes on when this client hangs up: other requests at the engine need it, too.
        """
        diagnosing = diagnosis.diagnose(
            self._gateway,
            error,
            grant=self._grant,
            parsed=self._parsed,
            placement=self.placement,
            backend=self._backend,
            state=state,
        )
        return await asyncio.shield(self._gateway.spawn(diagnosing))

    def close(self) -> None:
        """Give everything back, and hang up on an answer that has not ended."""
        self._backend.queue.release(self._ticket)
        if self._compilation:
            self._compilation.release()
        if self.response:
            self.response.close()

    async def _await_compilation(self) -> None:
        """Wait until the engine compiles no other new grammar of this workspace."""
        if self._parsed.grammar:
            self._compilation = await self._gateway.compilations.begin(
                self._grant.caller.names.tenant, self._backend.memory, self._parsed.grammar
            )

    async def _post(self, traceparent: str) -> None:
        if self._compilation:
            self._compilation.mark_sent()
        try:
            self.response = await vllm.send_request(
                self._gateway.upstream,
                self._parsed,
                self._request,
                self.placement,
                rank=self._ticket.rank,
                traceparent=traceparent,
            )
        except Invalid as error:
            if not isinstance(error, UnservableInput):  # that one was a 500
                self._backend.mark_refused(self.placement.adapter)
            raise
