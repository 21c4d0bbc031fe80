"""The life of one request: admitted, placed, queued, sent, streaming, settled.

An admitted request is settled exactly once, whatever happens. Until its first part is passed on, a failed
attempt is followed by another one at the next engine.
"""

import asyncio
import time
from collections.abc import AsyncGenerator

from inference import telemetry
from inference.contract.requests import ParsedRequest
from inference.contract.usage import Usage
from inference.errors import (
    DomainError,
    EngineDied,
    EngineUnavailable,
    LimitsUnavailable,
    RequestFailed,
    Unavailable,
    UnservableInput,
)
from inference.proxy import diagnosis
from inference.proxy.admission_wait import admit_request
from inference.proxy.answer import Answer, frame_error, headers_of, stream_with_comments
from inference.proxy.attempt import Attempt
from inference.proxy.failover import Failover
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller, Grant


async def relay_request(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> Answer:
    """Return the answer once its first bytes are there. Raises DomainError; then nothing is billed.

    When its client hangs up, a streamed answer is stopped and billed what the engine reported until then. One
    that is not streamed runs to its end and is billed whole: the engine reports its count only there.
    """
    request = ProxyRequest(gateway, caller, parsed, request_id)
    if parsed.stream:
        return await request.start_stream()
    return await request.answer_whole()


async def count_tokens(gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> int:
    """Return a close upper bound of a prompt's tokens: its texts' own count and what a template adds.

    To every limit this is a request of no tokens: it is admitted, and settled with nothing used.
    """
    request = ProxyRequest(gateway, caller, parsed, request_id)
    await request.admit()
    try:
        counted_tokens = await gateway.tokens.count(caller.tenant_id, parsed)
        return min(counted_tokens, parsed.prompt_bound())
    finally:
        await request.settle("complete")


class ProxyRequest:
    """One request on its way through the gateway. `_run` is its state machine."""

    def __init__(self, gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str) -> None:
        self._gateway = gateway
        self._caller = caller
        self._parsed = parsed
        self._request_id = request_id
        self._grant: Grant | None = None
        self._usage = Usage()
        self._started_s = time.monotonic()
        self._first_byte_after_s: float | None = None

    async def answer_whole(self) -> Answer:
        """Return the answer in one piece."""
        parts = [part async for part in self._run()]
        headers = headers_of(self._grant, has_begun=True)
        return Answer(self._request_id, headers, body=b"".join(parts))

    async def start_stream(self) -> Answer:
        """Return the stream once its first part is there, or once the client has waited long in silence."""
        comment_every_s = self._gateway.settings.comment_every_s
        parts = self._run()
        first_part = asyncio.ensure_future(anext(parts))
        try:
            await asyncio.wait({first_part}, timeout=comment_every_s)
        except BaseException:
            first_part.cancel()
            await asyncio.wait({first_part})
            raise
        has_begun = first_part.done()
        if has_begun:
            first_part.result()  # raises: no status line was sent, so an error may have its own status
        stream = stream_with_comments(first_part, parts, comment_every_s=comment_every_s)
        return Answer(self._request_id, headers_of(self._grant, has_begun=has_begun), stream=stream)

    async def admit(self) -> Grant:
        """Return the grant; `settle` must follow."""
        grant = await admit_request(self._gateway, self._caller, self._parsed, self._request_id)
        self._grant = grant
        self._gateway.in_flight[grant.request_id] = (grant, self._usage)
        return grant

    async def settle(self, outcome: str) -> None:
        """Settle once, even if this request is cancelled meanwhile."""
        if self._gateway.in_flight.pop(self._request_id, None) is None:
            return
        assert self._grant
        if outcome == "upstream_error" and not self._usage.completion:
            self._usage.reset()
        meter = self._gateway.meter
        try:
            await meter.settle(self._grant, self._usage, outcome)
        except LimitsUnavailable:
            retrying = meter.retry_settle(self._grant, self._usage, outcome)
            await asyncio.shield(self._gateway.keep(retrying))
        except asyncio.CancelledError:
            self._gateway.keep(meter.retry_settle(self._grant, self._usage, outcome))
            raise

    async def _run(self) -> AsyncGenerator[bytes]:
        """Yield the answer's parts, the last one only after the settlement.

        A client that hangs up closes this generator: its `finally` settles what was used until then.
        """
        outcome = "client_disconnect"
        has_begun = False
        last_part: bytes | None = None
        try:
            grant = await self.admit()
            failover = Failover(self._gateway, grant, self._parsed.model)
            while last_part is None:
                place, backend = await failover.next_place()
                attempt = Attempt(
                    self._gateway, grant, self._parsed, failover=failover, place=place, backend=backend
                )
                try:
                    response = await attempt.send()  # queued, then sent
                    if response is None:
                        continue
                    reader = attempt.reader(self._usage)
                    if not self._parsed.stream:
                        self._mark_first_byte(attempt)  # a whole answer's first bytes come when it is ready
                    while data := await response.part():
                        part = reader.feed(data)
                        if part:
                            if not has_begun:
                                has_begun = True
                                self._mark_first_byte(attempt)
                            yield part
                    last_part = reader.end()
                    outcome = "complete"
                    self._usage.mark_empty(self._parsed.choices)
                except (EngineUnavailable, RequestFailed, UnservableInput) as error:
                    failure = await attempt.diagnose(error)
                    failover.mark_failed(place, failure, is_last=has_begun)
                    self._usage.reset()
                finally:
                    attempt.close()
        except DomainError as error:
            outcome = await self._end_with_error(error, has_begun=has_begun)
            if not has_begun:
                raise
            last_part = frame_error(error)
        finally:
            self._log_slow_wait(outcome)
            await self.settle(outcome)
        yield last_part

    async def _end_with_error(self, error: DomainError, *, has_begun: bool) -> str:
        """Return the outcome of a request that ends with an error."""
        if isinstance(error, EngineDied):
            await diagnosis.mark_suspect(self._gateway, self._caller, self._parsed)
        if has_begun:
            return "upstream_error"
        self._usage.reset()  # what was counted never reached the client
        if isinstance(error, Unavailable) and self._grant:
            error.facts["adapter_state"] = self._grant.state or "loading"
        return "upstream_error" if isinstance(error, EngineUnavailable) else "refused"

    def _mark_first_byte(self, attempt: Attempt) -> None:
        self._first_byte_after_s = time.monotonic() - self._started_s
        attempt.mark_first_part()

    def _log_slow_wait(self, outcome: str) -> None:
        """Log a long wait for the first byte, or for none."""
        waited_s = self._first_byte_after_s
        if waited_s is None:
            waited_s = time.monotonic() - self._started_s
        if waited_s > telemetry.SLOW_FROM_S:
            telemetry.slow_request(
                request=self._request_id,
                tenant=self._caller.names.tenant,
                waited_s=waited_s,
                engine=self._grant.engine if self._grant else "",
                outcome=outcome,
            )
