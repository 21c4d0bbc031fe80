"""The deed of the data plane: admit, wait for a turn, send to the engine, pass the answer on, settle, and
only then the last byte."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

import orjson
from asgiref.sync import sync_to_async
from redis.exceptions import RedisError

from foundation import months
from inference import counting, engine, presenting
from inference.admission import Caller, Cold, Crude, Grant, OtherMonth, admit, period_at
from inference.errors import DomainError, EngineUnavailable, GateUnavailable, Limited
from inference.gateway import Gateway
from inference.metering import Usage
from inference.presenting import Headers
from inference.schemas import Asked
from inference.streams import DONE, EventStream
from inference.turns import Turn
from inference.upstream import Broken

SETTLE_TRIES_S = (0, 0.1, 0.5, 1, 2, 4, 8)  # Valkey may be restarting: an answer waits for it, unbilled never
SILENT_FOR_S = 10  # then a stream begins with a comment, so that nobody on the way thinks it dead
COMMENT = b": waiting\n\n"
# vLLM adds fields of its own (KV transfer, routed experts, …) that are nobody's business.
PUBLIC_FIELDS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")


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


async def relay(gateway: Gateway, caller: Caller, asked: Asked, request_id: str) -> Answer:
    """Return the answer once its first bytes are there. Raises DomainError; then nothing is billed.

    A streamed answer whose client hangs up is stopped, and billed what the engine reported until then. One
    that isn't streamed runs to its end and is billed whole: the engine reports its count only there.
    """
    grant = await _admit(gateway, caller, asked, request_id)
    passage = _Passage(gateway, asked, grant)
    headers = presenting.rate_headers(grant.rates) + presenting.provenance(grant.route_json)
    if not asked.stream:
        return Answer(request_id, headers, whole=await passage.whole())
    return Answer(request_id, headers, stream=await passage.begun())


async def counted(gateway: Gateway, caller: Caller, asked: Asked, request_id: str) -> int:
    """Return a close upper bound of a prompt's tokens: its texts' own count and what a template adds.

    It is a request of no tokens to every limit: admitted, and settled with nothing used.
    """
    passage = _Passage(gateway, asked, await _admit(gateway, caller, asked, request_id))
    try:
        return min(await _prompt_tokens(asked), asked.prompt_bound())
    finally:
        await passage.settle("complete")


async def _prompt_tokens(asked: Asked) -> int:
    return await sync_to_async(counting.prompt_tokens, thread_sensitive=False)(asked)


async def _admit(gateway: Gateway, caller: Caller, asked: Asked, request_id: str) -> Grant:
    prompt, period = asked.prompt_bound(), months.current()
    warm = exact = False
    while True:
        try:
            return await admit(
                gateway.admission, caller, request_id=request_id, model=asked.model, prompt=prompt,
                exact=exact, output=asked.output_tokens, choices=asked.choices, period=period,
            )  # fmt: skip
        except Cold as error:
            if warm:
                raise GateUnavailable from error
            await gateway.warm(caller.tenant_id, period)
            warm = True
        except OtherMonth as error:
            period = period_at(error.now_ms)
        except (Crude, Limited):
            # The byte bound is crude; where it matters, the base model's own tokenizer decides.
            if exact:
                raise
            prompt, exact = min(prompt, await _prompt_tokens(asked)), True
        except (RedisError, OSError) as error:
            raise GateUnavailable from error


class _Passage:
    """One admitted request on its way through the engine; it is settled exactly once, whatever happens."""

    def __init__(self, gateway: Gateway, asked: Asked, grant: Grant) -> None:
        self.grant = grant
        self._gateway, self._asked, self._usage = gateway, asked, Usage()
        self._turns = gateway.turns(grant.route)
        self._turn = Turn(
            grant.caller.tenant_id, grant.route["name"], grant.weight, grant.output_tokens * asked.choices
        )
        gateway.in_flight[grant.request_id] = (grant, self._usage)

    async def whole(self) -> bytes:
        """Return the answer as JSON."""
        try:
            await self._turns.take(self._turn)
            try:
                response = await engine.send(
                    self._gateway.upstream, self._asked, self.grant, rank=self._turn.rank
                )
                answer = _public(await response.read(), self.grant, self._usage)
            finally:
                self._turns.leave(self._turn)
        except BaseException as error:
            await self.settle("upstream_error")
            if isinstance(error, Broken | ValueError | KeyError):
                raise EngineUnavailable from error
            raise
        await self.settle("complete")
        return answer

    async def begun(self) -> AsyncGenerator[bytes]:
        """Return the stream once its first bytes are there, or a comment that says that it is waiting."""
        stream = self._stream()
        first = asyncio.ensure_future(anext(stream))
        try:
            await asyncio.wait({first}, timeout=SILENT_FOR_S)
        except BaseException:
            first.cancel()
            await asyncio.wait({first})
            await self.settle("client_disconnect")  # if it was cancelled before it had begun
            raise
        if first.done():
            first.result()  # an error now has a status of its own
        return self._with_comments(first, stream)

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
                yield _frame(presenting.body(error))
                return
            async for chunk in rest:
                yield chunk
        finally:
            if first.cancel():
                await asyncio.wait({first})
            await rest.aclose()

    async def _stream(self) -> AsyncGenerator[bytes]:
        """Yield the events; settle before the last, or when the client hangs up or the engine breaks off."""
        outcome, closing, response, has_turn, began = "client_disconnect", DONE, None, False, False
        try:
            await self._turns.take(self._turn)
            has_turn = True
            response = await engine.send(
                self._gateway.upstream, self._asked, self.grant, rank=self._turn.rank
            )
            events = EventStream(self._asked, self.grant.route, self._usage)
            async for data in response.chunks():
                if passed := events.feed(data):
                    began = True
                    yield passed
            if not events.is_done:
                raise EngineUnavailable  # it broke off without saying that it was done
            outcome = "complete"
        except (DomainError, Broken) as error:
            outcome = "upstream_error"
            failure = error if isinstance(error, DomainError) else EngineUnavailable()
            if not began:
                raise failure from error
            closing = _frame(presenting.body(failure))
        finally:
            if has_turn:
                self._turns.leave(self._turn)
            if response:
                response.close()
            await self.settle(outcome)
        yield closing

    async def settle(self, outcome: str) -> None:
        """Settle once, even if this request is cancelled meanwhile."""
        if self._gateway.in_flight.pop(self.grant.request_id, None) is None:
            return
        if outcome == "upstream_error" and not self._usage.completion:
            self._usage.forget()
        settling = partial(self._gateway.meter.settle, self.grant, self._usage, outcome)
        try:
            await settling()
        except (RedisError, OSError):
            await asyncio.shield(self._gateway.keep(self._settle_patiently(settling)))
        except asyncio.CancelledError:
            self._gateway.keep(self._settle_patiently(settling))
            raise

    @staticmethod
    async def _settle_patiently(settling: Callable[[], Awaitable[None]]) -> None:
        for pause_s in SETTLE_TRIES_S:
            await asyncio.sleep(pause_s)
            try:
                return await settling()
            except (RedisError, OSError):
                continue
        raise GateUnavailable  # the lease runs out and the sweeper bills the last heartbeat


def _public(body: bytes, grant: Grant, usage: Usage) -> bytes:
    """Return the engine's whole answer as the client sees it, and keep its count."""
    answer = orjson.loads(body)
    usage.take(answer.get("usage") or {})
    usage.finish_reason = answer["choices"][0].get("finish_reason") or ""
    answer["model"] = grant.route["name"]
    return orjson.dumps({name: answer[name] for name in PUBLIC_FIELDS if name in answer})


def _frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
