"""The life of one request: admitted, placed, queued, sent, streaming, settled.

An admitted request is settled exactly once, whatever happens. Until its first part is passed on, a failed
attempt is followed by another one at the next engine.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any

from django.conf import settings

from inference import metrics, telemetry, tracing
from inference.contract.http_errors import Headers
from inference.contract.requests import ParsedRequest
from inference.contract.usage import Usage
from inference.contract.watermark import correct_short, is_marked
from inference.errors import (
    DomainError,
    EngineDied,
    EngineUnavailable,
    GrammarFailed,
    GrammarTooExpensive,
    LimitsUnavailable,
    Overloaded,
    RequestFailed,
    UnservableInput,
)
from inference.facts import Outcome
from inference.proxy import diagnosis, response_headers
from inference.proxy.admission_wait import admit_request
from inference.proxy.answer import AnswerStream, Client, GatewayAnswer, Writer, frame_error, headers_of
from inference.proxy.attempt import Attempt
from inference.proxy.failover import Failover
from inference.proxy.runtime import Gateway
from inference.proxy.sse import EventStream
from inference.proxy.vllm import UnaryAnswer
from inference.quota.admission import Caller, Grant, InFlight
from inference.quota.refusals import BODY_BYTES_PER_REFUSAL
from inference.telemetry import RequestRecord

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
        self._failover: Failover | None = None
        self._attempt: Attempt | None = None
        self._reader: EventStream | UnaryAnswer | None = None
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
        stream = AnswerStream(self, first_part, silence=silence, spawn=self._gateway.spawn)
        return GatewayAnswer(self._request_id, self._headers(has_begun=has_begun), stream=stream)

    async def next_part(self) -> bytes:
        """Return the answer's next part: the last one only after the settlement, and b"" after that.

        Raises DomainError before the first part; after it, an error is the last part. A caller that
        stops reading must `close`.
        """
        if self._is_over:
            return b""
        try:
            return await self._advance()
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
            await asyncio.shield(self._gateway.spawn(meter.retry_settle(request, outcome)))
        except asyncio.CancelledError:
            # The client hung up during the call. Of two settlements the script lets only the first one act.
            self._gateway.spawn(meter.retry_settle(request, outcome))
            raise

    async def _advance(self) -> bytes:
        """Return the next part, from as many engines as it takes."""
        while True:
            attempt = self._attempt or await self._choose_engine()
            try:
                part = await self._read(attempt)
            except (EngineUnavailable, RequestFailed, UnservableInput) as error:
                await self._fail_over(attempt, error)
                if self._is_abandoned:
                    raise ConnectionAbortedError from error
                continue
            if part is not None:
                return part
            metrics.FAILOVERS.add(attempt.placement.engine)
            self._close_attempt()  # another engine is better by now

    async def _choose_engine(self) -> Attempt:
        """Admit the request, if it is not yet; return an attempt at the best engine."""
        if self._in_flight is None:
            await self.admit()
        request = self._in_flight
        assert request
        if self._failover is None:
            self._failover = Failover(self._gateway, request, self._parsed.model)
        placement, backend = await self._failover.choose_engine()
        self.state = RequestState.PLACED
        self._attempt = Attempt(
            self._gateway,
            request,
            self._parsed,
            failover=self._failover,
            placement=placement,
            backend=backend,
        )
        return self._attempt

    async def _read(self, attempt: Attempt) -> bytes | None:
        """Return an attempt's next part, or None where its request was not sent."""
        response = attempt.response
        if response is None:
            self.state = RequestState.QUEUED
            response = await attempt.send(self._mark_sent)
            if response is None:
                return None
            self._reader = attempt.reader(self._usage)
            if not self._parsed.stream:
                self._mark_first_byte(attempt)  # a whole answer's first bytes come when it is ready
        reader = self._reader
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
                    self._mark_first_byte(attempt)
                return part
        last_part = reader.end()
        self._usage.mark_empty(self._parsed.choices)
        await self._end(self._end_abandoned() if self._is_abandoned else "complete")
        return last_part

    def _abandon(self, answering: asyncio.Task[object]) -> None:
        """Stop an answer that is not streamed: its client hung up."""
        self._is_abandoned = True
        if self.state == RequestState.SENT and self._attempt:
            # Its connection stays: vLLM reports the usage of what it wrote there, and nowhere else.
            self._gateway.spawn(self._abort_at_engine(self._attempt))
        else:
            answering.cancel()

    def _end_abandoned(self) -> Outcome:
        """Count an answer that ended after its client had gone as a stream would; return the outcome."""
        self._usage.finish_reason = ""
        if not self._usage.completion:
            self._usage.reset()
        return "client_disconnect"

    async def _abort_at_engine(self, attempt: Attempt) -> None:
        """Have the engine end its answer. One that can't be told so writes to its end (decision 48)."""
        with suppress(EngineUnavailable):
            while self._attempt is attempt and await attempt.abort():  # noqa: ASYNC110 it is vLLM that ends it
                await asyncio.sleep(self._gateway.settings.abort_every_s)

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

    async def _fail_over(self, attempt: Attempt, error: DomainError) -> None:
        """Give up an attempt. Raises what the failure means where no other engine may get the request."""
        assert self._failover
        if self._trace:
            self._trace.fail_engine(type(error).__name__)
        try:
            failure = await attempt.diagnose(error, state=self.state)
            self._failover.mark_failed(attempt.placement, failure, is_last=self._has_begun)
            metrics.FAILOVERS.add(attempt.placement.engine)
            self._usage.reset()
        finally:
            self._close_attempt()

    async def _fail(self, error: DomainError) -> bytes:
        """End with an error; return it as the last part of a stream that has begun, else raise it."""
        self._close_attempt()
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
        self._gateway.spawn(counting)

    async def _end(self, outcome: Outcome) -> None:
        """Give everything back, and settle."""
        self._is_over = True
        self._close_attempt()
        self._log_slow_wait(outcome)
        try:
            await self.settle(outcome)
        finally:
            self._record_end(outcome)

    def _headers(self, *, has_begun: bool) -> Headers:
        said = response_headers.tool_choice(drops_tools=self._parsed.drops_tools)
        # How long a stream gets, only its end shows: its last chunk says it.
        if has_begun and (self._is_over or not is_marked(self._usage.watermark)):
            said += response_headers.watermark(self._usage.watermark)
        if has_begun and self._in_flight:
            defaults = self._in_flight.choice.route.sampling
            said += response_headers.sampling(defaults.describe(self._parsed.fields))
        return headers_of(self._in_flight, has_begun=has_begun) + said

    def _close_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt:
            attempt.close()

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
            error.tier = self._in_flight.choice.tier or "loading"
        return "upstream_error" if isinstance(error, EngineUnavailable) else "refused"

    def _mark_sent(self) -> str:
        """Note that an engine gets the request; return the `traceparent` for it, "" without traces."""
        self.state = RequestState.SENT
        self._record.attempts += 1
        self._record.sent_s = time.monotonic() - self._started_s
        if self._trace is None or self._in_flight is None:
            return ""
        return self._trace.begin_engine(self._in_flight.choice.route.base_model)

    def _mark_first_byte(self, attempt: Attempt) -> None:
        self._first_byte_after_s = time.monotonic() - self._started_s
        attempt.mark_first_part()

    def _record_end(self, outcome: Outcome) -> None:
        """Tell the record how this request went, and count it."""
        record = self._record
        record.outcome = outcome
        record.stream = self._parsed.stream
        record.first_byte_s = self._first_byte_after_s
        record.prompt_tokens = self._usage.prompt
        record.cached_tokens = self._usage.cached
        record.completion_tokens = self._usage.completion
        if self._in_flight:
            choice = self._in_flight.choice
            record.style = choice.route.style or ""
            record.version = choice.route.version_id
            record.engine = choice.engine
            record.adapter = choice.tier or ""
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
                engine=self._in_flight.choice.engine if self._in_flight else "",
                state=self.state,
                outcome=outcome,
            )
