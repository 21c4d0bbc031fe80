"""The life of one request: admitted, placed, queued, sent, streaming, settled.

It is one object, from its admission to its settlement. An admitted request is settled exactly once, whatever
happens. Until its first part is passed on, a failed attempt at an engine is followed by another one at the
next; `failover.py` is asked for it only then.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any

from django.conf import settings

from inference import metrics, telemetry, tracing
from inference.contract.http_errors import NO_TOOLS, Headers, provenance_headers, rate_headers, tier_header
from inference.contract.requests import ParsedRequest
from inference.contract.route import Placement
from inference.contract.usage import Usage
from inference.contract.watermark import correct_short, is_marked
from inference.errors import (
    DomainError,
    EngineBusy,
    EngineDied,
    EngineUnavailable,
    GrammarFailed,
    GrammarTooExpensive,
    Invalid,
    LimitsUnavailable,
    Overloaded,
    RequestFailed,
    UnservableInput,
)
from inference.facts import Outcome
from inference.proxy import diagnosis, vllm
from inference.proxy.admission_wait import admit_request
from inference.proxy.answer import AnswerStream, Client, GatewayAnswer, Writer, frame_error
from inference.proxy.backends import Backend
from inference.proxy.failover import Failover
from inference.proxy.runtime import Gateway
from inference.proxy.sse import EventStream
from inference.proxy.turn_order import Ticket
from inference.proxy.vllm import UnaryAnswer
from inference.quota.admission import Caller, Grant, InFlight
from inference.quota.refusals import BODY_BYTES_PER_REFUSAL
from inference.telemetry import RequestRecord
from inference.wire.http_client import Response

# One may have taken the engine seconds of processor time: by default ten a minute of a key are served.
EXPENSIVE_GRAMMAR_REFUSALS = 120


class RequestState(StrEnum):
    """How far a request is. It goes back to PLACED when an engine fails before the first part."""

    ARRIVED = "arrived"  # nothing is held; its style may still be loading
    ADMITTED = "admitted"  # its hold is taken; no engine can have it yet
    PLACED = "placed"  # an engine is chosen
    QUEUED = "queued"  # it waits for its turn there
    SENT = "sent"  # the engine has it
    STREAMING = "streaming"  # the client has a part of the answer
    SETTLED = "settled"  # its hold is released, and its usage event is written


def relay_request(
    gateway: Gateway,
    caller: Caller,
    parsed: ParsedRequest,
    request_id: str,
    record: RequestRecord | None = None,
    *,
    client: Client | None = None,
) -> Coroutine[Any, Any, GatewayAnswer]:
    """Return the answer once its first bytes are there.

    Awaiting it raises DomainError; then nothing is billed.

    When its client hangs up, an answer is stopped and billed what the engine reported until then. `client`
    tells so of one that is not streamed, which ends with ConnectionAbortedError; a stream is closed by its
    reader. `record` gets the outcome.
    """
    request = ProxyRequest(gateway, caller, parsed, request_id, record)
    return request.start_stream() if parsed.stream else request.answer_whole(client)


@asynccontextmanager
async def admit_without_tokens(
    gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str
) -> AsyncGenerator[Grant]:
    """Admit a request that no engine gets, and settle it with nothing used: to limits it is one request."""
    request = ProxyRequest(gateway, caller, parsed, request_id)
    grant = await request.admit()
    try:
        yield grant
    finally:
        await request.settle("complete")


async def count_tokens(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> int:
    """Return a close upper bound of a prompt's tokens: its texts' own count and what a template adds."""
    async with admit_without_tokens(gateway, caller, parsed, request_id):
        counted_tokens = await gateway.tokens.count(caller.names.tenant, parsed)
        return min(counted_tokens, parsed.prompt_bound())


class ProxyRequest:
    """One request on its way through the gateway; `state` says how far it is.

    `next_part` drives it. It is no generator: asyncio keeps a record of each generator, and a stream would
    resume two for each chunk.
    """

    __slots__ = (
        "_backend",
        "_caller",
        "_failover",
        "_first_byte_after_s",
        "_gateway",
        "_has_begun",
        "_in_flight",
        "_is_abandoned",
        "_is_moved",
        "_is_over",
        "_parsed",
        "_placement",
        "_reader",
        "_record",
        "_request_id",
        "_response",
        "_sending",
        "_started_s",
        "_ticket",
        "_trace",
        "_usage",
        "_writer",
        "state",
    )

    def __init__(
        self,
        gateway: Gateway,
        caller: Caller,
        parsed: ParsedRequest,
        request_id: str,
        record: RequestRecord | None = None,
    ) -> None:
        self.state = RequestState.ARRIVED
        self._gateway = gateway
        self._caller = caller
        self._parsed = parsed
        self._request_id = request_id
        self._in_flight: InFlight | None = None  # once it is admitted
        self._usage = Usage(constrained=parsed.constrained)
        # The attempt at one engine: where, its place in the queue there, and the answer.
        self._placement: Placement | None = None
        self._backend: Backend
        self._ticket: Ticket
        self._response: Response | None = None
        self._reader: EventStream | UnaryAnswer | None = None
        # While no first byte has come, another engine may become the better one: then this task is cancelled.
        self._sending: asyncio.Task[Any] | None = None
        self._is_moved = False
        self._failover: Failover | None = None  # once the first engine is not the last one
        self._record = record or RequestRecord(request_id)
        self._trace = tracing.begin(request_id, parsed.kind)
        self._writer: Writer | None = None
        self._started_s = time.monotonic()
        self._first_byte_after_s: float | None = None
        self._has_begun = False
        self._is_over = False
        self._is_abandoned = False  # its client hung up before its answer, which is not streamed

    @property
    def is_over(self) -> bool:
        """Whether the last part was returned, or the request failed."""
        return self._is_over

    async def answer_whole(self, client: Client | None = None) -> GatewayAnswer:
        """Return the answer in one piece. Raises ConnectionAbortedError where its client hung up."""
        answering = asyncio.current_task()
        assert answering
        if client:
            client.watch_disconnect(lambda: self._abandon(answering))
        try:
            body = await self.next_part()
        except asyncio.CancelledError:
            if not self._is_abandoned:  # the server is stopping
                raise
            answering.uncancel()
            raise ConnectionAbortedError from None
        finally:
            if client:
                client.unwatch_disconnect()
        if self._is_abandoned:  # nobody reads it, and it may be cut
            raise ConnectionAbortedError
        return GatewayAnswer(self._request_id, self._headers(has_begun=True), body=body)

    async def start_stream(self) -> GatewayAnswer:
        """Return the stream once its first part is there, or once the client has waited long in silence."""
        silence = self._gateway.silence
        first_part = asyncio.ensure_future(self.next_part())
        try:
            await silence.wait(first_part)
        except BaseException:
            first_part.cancel()
            await asyncio.wait({first_part})
            await self.close()  # it may have come just before
            raise
        has_begun = first_part.done()
        if has_begun:
            first_part.result()  # raises: no status line was sent, so an error may have its own status
        stream = AnswerStream(self, first_part, silence=silence, spawn=self._gateway.tasks.spawn)
        return GatewayAnswer(self._request_id, self._headers(has_begun=has_begun), stream=stream)

    async def next_part(self) -> bytes:
        """Return the answer's next part: the last one only after the settlement, and b"" after that.

        Raises DomainError before the first part; after it, an error is the last part. A caller that
        stops reading must `close`.
        """
        if self._is_over:
            return b""
        try:
            if self._in_flight is None:
                await self.admit()
            while True:  # from as many engines as it takes
                if self._placement is None:
                    await self._choose_engine()
                try:
                    if self._response or await self._send():
                        return await self._read()
                except (EngineUnavailable, RequestFailed, UnservableInput) as error:
                    await self._fail_over(error)
                else:  # another engine is better by now
                    self._count_failover()
                    self._leave_engine()
        except DomainError as error:
            return await self._fail(error)
        except BaseException:
            await self.close()
            raise

    def write_to(self, writer: Writer) -> None:
        """Write parts after the first one as they arrive, where the client can take them."""
        self._writer = writer

    async def close(self) -> None:
        """Settle what was used until now, if this is not over: the client hung up."""
        if not self._is_over:
            await self._end("client_disconnect")

    async def admit(self) -> Grant:
        """Return the grant; `settle` must follow."""
        grant, tier = await admit_request(self._gateway, self._caller, self._parsed, self._request_id)
        self.state = RequestState.ADMITTED
        self._in_flight = InFlight.begin(grant, self._usage, tier)
        self._record.admitted_s = time.monotonic() - self._started_s
        self._gateway.in_flight[grant.request_id] = self._in_flight
        return grant

    async def settle(self, outcome: Outcome) -> None:
        """Settle once, even if this request is cancelled meanwhile."""
        # Taken out before anything is awaited, so nobody else settles it, and no heartbeat extends its hold.
        request = self._gateway.in_flight.pop(self._request_id, None)
        if request is None:
            return
        self.state = RequestState.SETTLED
        if outcome == "upstream_error" and not self._usage.completion:
            # A prompt that was read for nothing is not billed.
            self._usage.reset()
        usage = self._usage
        usage.watermark = correct_short(
            usage.watermark, completion_tokens=usage.completion, sequences=self._parsed.choices
        )
        meter = self._gateway.meter
        try:
            await meter.settle(request, outcome)
        except LimitsUnavailable:
            await asyncio.shield(self._gateway.tasks.spawn(meter.retry_settle(request, outcome)))
        except asyncio.CancelledError:
            # The client hung up during the call. Of two settlements the script lets only the first one act.
            self._gateway.tasks.spawn(meter.retry_settle(request, outcome))
            raise

    async def _choose_engine(self) -> None:
        """Choose the best engine, and wait while there is none. Raises what `Failover` raises."""
        request = self._in_flight
        assert request
        best = None if self._failover else self._gateway.backends.best(request.grant.route)
        placement, backend = best or await self._use_failover().choose_engine()
        request.engine = placement.engine
        # A request that waited for its style says so to its end: that is why its first byte was late.
        if request.tier != "loading":
            request.tier = backend.tier(placement.adapter)
        self._placement = placement
        self._backend = backend
        self._ticket = Ticket(
            tenant=self._caller.names.tenant,
            style=placement.adapter,
            weight=request.grant.weight,
            cost=request.grant.output_tokens * self._parsed.choices,
            sequences=self._parsed.choices,
        )
        self.state = RequestState.PLACED

    async def _send(self) -> Response | None:
        """Return the engine's answer once it has begun, or None where another engine is better by now."""
        gateway = self._gateway
        backend = self._backend
        placement = self._placement
        sending = self._sending = asyncio.current_task()
        assert placement
        assert sending
        cancelled_before = sending.cancelling()
        self.state = RequestState.QUEUED
        gateway.unanswered[self._request_id] = self._recheck_health
        try:
            await backend.queue.acquire(self._ticket)
            # The circuit may have opened while this request waited for its turn.
            if not backend.try_acquire(placement.adapter):
                return None
            self._response = await self._post(placement)
        except EngineBusy as error:
            self._use_failover().mark_busy(placement, error)
            return None
        except Invalid as error:
            if not isinstance(error, UnservableInput):  # that one was a 500
                backend.mark_refused(placement.adapter)
            raise
        except asyncio.CancelledError:
            if not self._take_back_move(sending) or sending.cancelling() > cancelled_before:
                raise  # the client hung up
            await self._use_failover().mark_moved(self._ticket)
            return None
        finally:
            gateway.unanswered.pop(self._request_id, None)
            if self._is_moved:
                self._take_back_move(sending)
        backend.mark_answered(placement.adapter)
        assert self._in_flight
        route = self._in_flight.route
        if self._parsed.stream:
            self._reader = EventStream(self._parsed, route, placement, self._usage)
        else:
            self._reader = UnaryAnswer(self._parsed, route, self._usage)
            # A whole answer's first bytes come when it is ready.
            self._first_byte_after_s = time.monotonic() - self._started_s
        return self._response

    def _post(self, placement: Placement) -> Coroutine[Any, Any, Response]:
        """Send the request to its engine. Awaiting it raises what `vllm.send_request` raises."""
        assert self._in_flight
        self.state = RequestState.SENT
        self._record.attempts += 1
        self._record.sent_s = time.monotonic() - self._started_s
        traceparent = ""
        if self._trace:
            traceparent = self._trace.begin_engine(self._in_flight.route.base_model)
        return vllm.send_request(
            self._gateway.upstream,
            self._parsed,
            self._in_flight,
            placement,
            rank=self._ticket.rank,
            traceparent=traceparent,
        )

    async def _read(self) -> bytes:
        """Return the answer's next part."""
        response = self._response
        reader = self._reader
        assert response
        assert reader
        # Not before the first part: until then another engine may take over, and nothing may have gone out.
        if self._has_begun and self._writer:
            response.pass_to(self._pass_on)
        while data := await response.part():
            part = reader.feed(data)
            if part:
                if not self._has_begun:
                    self._has_begun = True
                    self.state = RequestState.STREAMING
                    self._first_byte_after_s = time.monotonic() - self._started_s
                return part
        last_part = reader.end()
        self._usage.mark_empty(self._parsed.choices)
        await self._end(self._end_abandoned() if self._is_abandoned else "complete")
        return last_part

    def _recheck_health(self) -> None:
        """End the attempt if its engine is no longer healthy, and another one is."""
        sending = self._sending
        if not (sending and self._use_failover().has_better_engine(self._ticket)):
            return
        if self._gateway.unanswered.pop(self._request_id, None):
            self._is_moved = True
            sending.cancel()

    def _take_back_move(self, sending: asyncio.Task[Any]) -> bool:
        """Take back the cancellation of `_recheck_health`; return whether there was one."""
        was_moved, self._is_moved = self._is_moved, False
        if was_moved:
            sending.uncancel()
        return was_moved

    def _use_failover(self) -> Failover:
        if self._failover is None:
            assert self._in_flight
            self._failover = Failover(self._gateway, self._in_flight, self._parsed.model)
        return self._failover

    def _count_failover(self) -> None:
        assert self._placement
        metrics.FAILOVERS.add(self._placement.engine)

    def _abandon(self, answering: asyncio.Task[object]) -> None:
        """Stop an answer that is not streamed: its client hung up."""
        self._is_abandoned = True
        if self.state == RequestState.SENT and self._placement:
            # Its connection stays: vLLM reports the usage of what it wrote there, and nowhere else.
            self._gateway.tasks.spawn(self._abort_at_engine(self._placement, self._ticket))
        else:
            answering.cancel()

    def _end_abandoned(self) -> Outcome:
        """Count an answer that ended after its client had gone as a stream would; return the outcome."""
        self._usage.finish_reason = ""
        if not self._usage.completion:
            self._usage.reset()
        return "client_disconnect"

    async def _abort_at_engine(self, placement: Placement, ticket: Ticket) -> None:
        """Have the engine end its answer. One that can't be told so writes to its end (decision 48)."""
        gateway = self._gateway
        with suppress(EngineUnavailable):
            while self._placement and self._ticket is ticket:
                can_abort = await vllm.abort_request(
                    gateway.upstream, self._parsed, self._request_id, placement
                )
                if not can_abort:
                    return
                await asyncio.sleep(gateway.settings.abort_every_s)

    def _pass_on(self, data: bytes) -> bool:
        """Write what these bytes are for the client; return False, and read none, where it is too slow."""
        assert self._writer
        assert self._reader
        if not self._writer.can_write():
            return False
        part = self._reader.feed(data)
        if part:
            self._writer.write(part)
        return True

    async def _fail_over(self, error: DomainError) -> None:
        """Give up an attempt. Raises what the failure means where no other engine may get the request."""
        if self._trace:
            self._trace.fail_engine(type(error).__name__)
        try:
            failure = await self._diagnose(error)
            assert self._placement
            self._use_failover().mark_failed(self._placement, failure, is_last=self._has_begun)
            self._count_failover()
            self._usage.reset()
        finally:
            self._leave_engine()
        if self._is_abandoned:
            raise ConnectionAbortedError from error

    async def _diagnose(self, error: DomainError) -> DomainError:
        """Return what a failure means.

        The diagnosis goes on when this client hangs up: other requests at the engine need it, too.
        """
        assert self._in_flight
        assert self._placement
        diagnosing = diagnosis.diagnose(
            self._gateway,
            error,
            grant=self._in_flight.grant,
            parsed=self._parsed,
            placement=self._placement,
            backend=self._backend,
            state=self.state,
        )
        return await asyncio.shield(self._gateway.tasks.spawn(diagnosing))

    async def _fail(self, error: DomainError) -> bytes:
        """End with an error; return it as the last part of a stream that has begun, else raise it."""
        self._leave_engine()
        self._record.code = error.code
        if isinstance(error, GrammarTooExpensive):
            self._count_expensive_grammar()
        # It stays so where `_outcome_of` is cancelled: then the client has hung up.
        outcome: Outcome = "client_disconnect"
        try:
            outcome = await self._outcome_of(error)
        finally:
            await self._end(outcome)
        if not self._has_begun:
            raise error
        return frame_error(error)

    def _count_expensive_grammar(self) -> None:
        """Count an expensive grammar as many refusals: no limit counts the engine's processor time."""
        counting = self._gateway.refusals.count(
            self._caller.names.refusals,
            body_bytes=EXPENSIVE_GRAMMAR_REFUSALS * BODY_BYTES_PER_REFUSAL,
            most=settings.API_REFUSALS_PER_KEY,
        )
        self._gateway.tasks.spawn(counting)

    async def _end(self, outcome: Outcome) -> None:
        """Give everything back, and settle."""
        self._is_over = True
        self._leave_engine()
        self._log_slow_wait(outcome)
        try:
            await self.settle(outcome)
        finally:
            self._record_end(outcome)

    def _headers(self, *, has_begun: bool) -> Headers:
        """Return the headers that are certain by now.

        A stream that still waits may yet go to another engine or a newer version, so it does not say which.
        """
        headers = NO_TOOLS if self._parsed.drops_tools else []
        request = self._in_flight
        if request is None:
            return tier_header("loading") + headers
        headers = headers + rate_headers(request.grant.rates)
        tier = request.tier or "loading"
        if not has_begun:
            return tier_header(tier) + headers
        word = self._usage.watermark
        if is_marked(word) and not self._is_over:
            word = ""  # how long a stream gets, only its end shows: its last chunk says it
        drawn_with = request.route.sampling.describe(self._parsed.fields)
        headers.append((b"x-polyscribe-sampling", drawn_with.encode()))
        return headers + provenance_headers(request.route.provenance, request.engine, tier, word)

    def _leave_engine(self) -> None:
        """Give back all that the attempt has, and hang up on an answer that has not ended."""
        if self._placement is None:
            return
        self._placement = None
        self._backend.queue.release(self._ticket)
        response, self._response = self._response, None
        if response and not response.is_complete:
            response.close()

    async def _outcome_of(self, error: DomainError) -> Outcome:
        """Return the outcome of a request that ends with an error."""
        if isinstance(error, EngineDied):
            await diagnosis.mark_suspect(self._gateway, self._caller, self._parsed)
        if isinstance(error, GrammarFailed) and self._usage.completion:
            return "complete"  # the engine did what was asked as far as it may, and that is billed
        if self._has_begun:
            return "upstream_error"
        self._usage.reset()  # what was counted never reached the client
        if isinstance(error, Overloaded) and self._in_flight:
            error.tier = self._in_flight.tier or "loading"
        return "upstream_error" if isinstance(error, EngineUnavailable) else "refused"

    def _record_end(self, outcome: Outcome) -> None:
        """Tell the record how this request went, and count it."""
        record = self._record
        record.outcome = outcome
        record.stream = self._parsed.stream
        record.first_byte_s = self._first_byte_after_s
        record.prompt_tokens = self._usage.prompt
        record.cached_tokens = self._usage.cached
        record.completion_tokens = self._usage.completion
        if request := self._in_flight:
            record.style = request.route.style or ""
            record.version = request.route.version_id
            record.engine = request.engine
            record.adapter = request.tier or ""
        telemetry.request_written(record)
        if self._trace:
            self._trace.end(record)

    def _log_slow_wait(self, outcome: Outcome) -> None:
        """Log a long wait for the first byte, or for none."""
        waited_s = self._first_byte_after_s
        if waited_s is None:
            waited_s = time.monotonic() - self._started_s
        elif not self._parsed.stream:
            waited_s = self._record.sent_s or 0.0  # a whole answer begins when all of it is written
        if waited_s > telemetry.SLOW_FROM_S:
            telemetry.slow_request(
                request=self._request_id,
                tenant=self._caller.names.tenant,
                waited_s=waited_s,
                engine=self._in_flight.engine if self._in_flight else "",
                state=self.state,
                outcome=outcome,
            )
