"""The deed of the data plane: admit, find a place, wait for a turn, send to the engine, pass the answer on,
settle, and only then the last byte. Until the first byte another engine may be asked."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

from inference import telemetry
from inference.contract import http_errors
from inference.contract.http_errors import Headers
from inference.contract.requests import ParsedRequest
from inference.contract.route import Place
from inference.contract.usage import Usage
from inference.errors import (
    DomainError,
    EngineBusy,
    EngineDied,
    EngineUnavailable,
    GateUnavailable,
    RequestFailed,
    Unavailable,
    UnservableInput,
)
from inference.proxy import diagnosis, response_headers, vllm
from inference.proxy.backends import Backend
from inference.proxy.compilations import Compilation
from inference.proxy.fair_queue import Ticket
from inference.proxy.runtime import Gateway
from inference.proxy.sse import EventStream
from inference.proxy.vllm import WholeAnswer
from inference.proxy.waiting import Failover, admit_request
from inference.quota.admission import Caller, Grant
from inference.wire.http_client import Response

SETTLE_TRIES_S = (0, 0.1, 0.5, 1, 2, 4, 8)  # Valkey may be restarting: an answer waits for it, unbilled never
SILENT_FOR_S = 10  # then a stream begins with a comment, so that nobody on the way thinks it dead
COMMENT = b": waiting\n\n"


@dataclass(eq=False, slots=True)
class Answer:
    """An answer on its way: whole, or a stream that is to be read to its end or closed, which settles."""

    request_id: str
    headers: Headers
    whole: bytes = b""
    stream: "AsyncGenerator[bytes] | None" = None


def new_request_id() -> str:
    """Return an id that is unique for ever: it names the hold, the usage event and the ledger entry."""
    return f"req_{token_hex(16)}"


async def relay_request(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> Answer:
    """Return the answer once its first bytes are there. Raises DomainError; then nothing is billed.

    A streamed answer whose client hangs up is stopped, and billed what the engine reported until then. One
    that isn't streamed runs to its end and is billed whole: the engine reports its count only there.
    """
    proxy_request = _ProxyRequest(gateway, caller, parsed, request_id)
    return await (proxy_request.begun() if parsed.stream else proxy_request.whole())


async def count_tokens(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> int:
    """Return a close upper bound of a prompt's tokens: its texts' own count and what a template adds.

    It is a request of no tokens to every limit: admitted, and settled with nothing used.
    """
    proxy_request = _ProxyRequest(gateway, caller, parsed, request_id)
    await proxy_request.admit()
    try:
        return min(await gateway.tokens.count(caller.tenant_id, parsed), parsed.prompt_bound())
    finally:
        await proxy_request.settle("complete")


class _ProxyRequest:
    """One request on its way: once admitted it is settled exactly once, whatever happens."""

    def __init__(self, gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> None:
        self._gateway, self._caller, self._asked, self._request_id = gateway, caller, parsed, request_id
        self._usage = Usage()
        self._grant: Grant | None = None
        self._began_s = time.monotonic()
        self._waited_s: float | None = None
        self._compilation: Compilation | None = None

    async def whole(self) -> Answer:
        """Return the answer in one piece."""
        body = b"".join([part async for part in self._answer()])
        return Answer(self._request_id, self._headers(has_begun=True), whole=body)

    async def begun(self) -> Answer:
        """Return the stream once its first bytes are there, or a comment that says that it is waiting."""
        stream = self._answer()
        first = asyncio.ensure_future(anext(stream))
        try:
            await asyncio.wait({first}, timeout=SILENT_FOR_S)
        except BaseException:
            first.cancel()
            await asyncio.wait({first})
            raise
        if has_begun := first.done():
            first.result()  # an error now has a status of its own
        headers = self._headers(has_begun=has_begun)
        return Answer(self._request_id, headers, stream=self._with_comments(first, stream))

    async def admit(self) -> Grant:
        """Return the grant; `settle` must follow."""
        grant = self._grant = await admit_request(self._gateway, self._caller, self._asked, self._request_id)
        self._gateway.in_flight[grant.request_id] = (grant, self._usage)
        return grant

    async def settle(self, outcome: str) -> None:
        """Settle once, even if this request is cancelled meanwhile."""
        if self._gateway.in_flight.pop(self._request_id, None) is None:
            return
        if outcome == "upstream_error" and not self._usage.completion:
            self._usage.forget()
        assert self._grant
        settling = partial(self._gateway.meter.settle, self._grant, self._usage, outcome)
        try:
            await settling()
        except GateUnavailable:
            await asyncio.shield(self._gateway.keep(self._settle_patiently(settling)))
        except asyncio.CancelledError:
            self._gateway.keep(self._settle_patiently(settling))
            raise

    def _headers(self, *, has_begun: bool) -> Headers:
        """Return what is known: while a stream waits, it may still go to another engine or newer version."""
        grant = self._grant
        if grant is None:
            return http_errors.adapter_state("loading")
        headers = response_headers.rate_headers(grant.rates) + http_errors.adapter_state(
            grant.state or "loading"
        )
        return headers + response_headers.provenance(grant.route_json, grant.engine) if has_begun else headers

    async def _with_comments(
        self, first: asyncio.Future[bytes], rest: AsyncGenerator[bytes]
    ) -> AsyncGenerator[bytes]:
        try:
            while not first.done():
                yield COMMENT
                await asyncio.wait({first}, timeout=SILENT_FOR_S)
            try:
                yield first.result()
            except DomainError as error:
                yield _frame(http_errors.body(error))
                return
            async for chunk in rest:
                yield chunk
        finally:
            if first.cancel():
                await asyncio.wait({first})
            await rest.aclose()

    async def _answer(self) -> AsyncGenerator[bytes]:
        """Yield the answer; settle before its last part, or when the client hangs up or the engine fails."""
        outcome, has_begun = "client_disconnect", False
        try:
            grant = await self.admit()
            failover = Failover(self._gateway, grant, self._asked.model)
            while True:
                place, backend = await failover.place()
                ticket, response = self._turn(place), None
                try:
                    response = await self._sent(failover, place, backend, ticket)
                    if response is None:
                        continue
                    backend.answered(place.adapter)
                    reader = self._reader(place)
                    while data := await response.part():
                        if passed := reader.feed(data):
                            has_begun = has_begun or self._end_wait()
                            yield passed
                    closing, outcome = reader.end(), "complete"
                    self._usage.end(self._asked.choices)
                    break
                except (EngineUnavailable, RequestFailed, UnservableInput) as error:
                    failure = await self._diagnosed(place, backend, error)
                    failover.failed(place, failure, is_last=has_begun)
                    self._usage.forget()
                finally:
                    backend.queue.release(ticket)
                    if self._compilation:
                        self._compilation.release()
                    if response:
                        response.close()
        except DomainError as error:
            outcome = await self._ended(error, has_begun=has_begun)
            if not has_begun:
                raise
            closing = _frame(http_errors.body(error))
        finally:
            self._tell_wait(outcome)
            await self.settle(outcome)
        yield closing

    def _end_wait(self) -> bool:
        self._waited_s = time.monotonic() - self._began_s
        if self._compilation:
            self._tell_compilation(self._compilation.compiled())
        return True

    def _tell_compilation(self, took_s: float) -> None:
        assert self._grant
        telemetry.grammar_compiled(
            request=self._request_id, tenant=self._caller.names.tenant, engine=self._grant.engine,
            grammar=self._asked.grammar[:12], took_s=took_s,
        )  # fmt: skip

    def _tell_wait(self, outcome: str) -> None:
        """Log a wait that was long: until the first byte, or for none."""
        waited_s = time.monotonic() - self._began_s if self._waited_s is None else self._waited_s
        if waited_s > telemetry.SLOW_FROM_S:
            telemetry.slow_request(
                request=self._request_id, tenant=self._caller.names.tenant, waited_s=waited_s,
                engine=self._grant.engine if self._grant else "", outcome=outcome,
            )  # fmt: skip

    async def _sent(
        self, failover: Failover, place: Place, backend: Backend, ticket: Ticket
    ) -> Response | None:
        """Return the answer once it has begun, or None where another place is the better choice by now.

        `leave` of the turn must follow, also after an error.
        """
        assert self._grant
        try:
            async with asyncio.timeout(None) as attempt:  # the search may end it
                failover.watch(attempt, ticket)
                if self._asked.grammar:
                    await self._await_compilation(place)
                await backend.queue.acquire(ticket)
                if not backend.lets_through(place.adapter):
                    return None  # its circuit has opened while this one waited
                if self._compilation:
                    self._compilation.sent()
                return await vllm.send_request(
                    self._gateway.upstream, self._asked, self._grant, place, rank=ticket.rank
                )
        except EngineBusy as error:
            failover.busy(place, error)
        except TimeoutError:
            await failover.left(ticket)
        finally:
            failover.unwatch()
        return None

    async def _await_compilation(self, place: Place) -> None:
        """Wait until no other new grammar of this workspace is being compiled."""
        self._compilation = await self._gateway.compilations.begin(
            self._caller.tenant_id, place.engine, self._asked.grammar
        )

    async def _diagnosed(self, place: Place, backend: Backend, error: DomainError) -> DomainError:
        """Return what a failure means; that is found out for others, too, though this client may hang up."""
        diagnosing = diagnosis.diagnose(
            self._gateway, place, backend, error, caller=self._caller, parsed=self._asked,
            request_id=self._request_id,
        )  # fmt: skip
        return await asyncio.shield(self._gateway.keep(diagnosing))

    async def _ended(self, error: DomainError, *, has_begun: bool) -> str:
        """Return the outcome of a request that ends with an error."""
        if isinstance(error, EngineDied):
            await diagnosis.suspect(self._gateway, self._caller, self._asked)
        if not has_begun:
            self._usage.forget()  # what was counted never reached the client
            if isinstance(error, Unavailable) and self._grant:
                error.facts["adapter_state"] = self._grant.state or "loading"
        return "upstream_error" if has_begun or isinstance(error, EngineUnavailable) else "refused"

    def _turn(self, place: Place) -> Ticket:
        assert self._grant
        cost = self._grant.output_tokens * self._asked.choices
        return Ticket(self._caller.names.tenant, place.adapter, self._grant.weight, cost, self._asked.choices)

    def _reader(self, place: Place) -> EventStream | WholeAnswer:
        assert self._grant
        if self._asked.stream:
            return EventStream(self._asked, self._grant.route, place, self._usage)
        self._end_wait()  # its first bytes come when all is generated
        return WholeAnswer(self._asked, self._grant.route, self._usage)

    @staticmethod
    async def _settle_patiently(settling: Callable[[], Awaitable[None]]) -> None:
        for pause_s in SETTLE_TRIES_S:
            await asyncio.sleep(pause_s)
            try:
                return await settling()
            except GateUnavailable:
                continue
        raise GateUnavailable  # the lease runs out and the sweeper bills the last heartbeat


def _frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
