"""Requests of `/v1/responses` of a workspace that has us store responses.

What such a request builds on is put before its own input, and the whole is relayed and billed like any other
input. Its response is stored after the settlement, before the client has its end. PostgreSQL is asked before
the relay: a client learns that its turn would be lost before it pays for it.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import DatabaseError

from core import months
from inference import telemetry
from inference.api import idempotency
from inference.api.exchange import Exchange
from inference.api.idempotency import IdempotencyLock
from inference.contract.dialects.common import translate_stream
from inference.contract.dialects.openai_response_stream import ResponseStream
from inference.contract.dialects.openai_responses import build_response, parse_response_request
from inference.contract.endpoints import Generation
from inference.contract.requests import read_json
from inference.errors import (
    BadRequest,
    ConversationLocked,
    DomainError,
    KeyUsedOtherwise,
    LimitsUnavailable,
    StoreUnavailable,
    TooLarge,
)
from inference.facts import JsonObject, Stream
from inference.proxy.answer import GatewayAnswer
from inference.proxy.bodies import BODY_MAX_BYTES
from inference.proxy.runtime import Gateway, run_in_thread
from inference.proxy.sse import DONE
from inference.quota.admission import Caller
from inference.responses import store
from inference.responses.store import Turn, read_items

PREVIOUS, CONVERSATION = "previous_response_id", "conversation"


@dataclass(frozen=True)
class BuildsOn:
    """What a request builds on, as its client wrote it."""

    previous_id: str | None
    conversation_id: str | None

    def __bool__(self) -> bool:
        return bool(self.previous_id or self.conversation_id)

    def describe(self, *, is_stored: bool) -> JsonObject:
        """Return what a response says of what is stored."""
        state: JsonObject = {"store": is_stored, PREVIOUS: self.previous_id}
        if self.conversation_id:
            state[CONVERSATION] = {"id": self.conversation_id}
        return state


@dataclass(eq=False)
class StatefulRequest:
    """One request with what it builds on, and what becomes of its response."""

    request: JsonObject  # with the whole input
    body: bytes  # the same
    turn: Turn
    state: JsonObject  # what the response says of what is stored
    lock: IdempotencyLock | None

    @property
    def endpoint(self) -> Generation:
        """What translates and stores this request's response."""
        return Generation(
            parse_response_request,
            translate_events=lambda events, _, request_id: self._translate_events(events, request_id),
            store_answer=self._store_answer,
        )

    async def end(self) -> None:
        """Let others write to the conversation."""
        if self.lock:
            await self.lock.release()

    async def _store_answer(self, answer: GatewayAnswer) -> bytes:
        """Store the response to a whole answer, and return it."""
        stream = ResponseStream(answer.request_id, self.request, self.state)
        response = build_response(answer.body, stream)
        await self._save(answer.request_id, response)
        return orjson.dumps(response | self.state)

    async def _translate_events(self, events: Stream, request_id: str) -> AsyncGenerator[bytes]:
        stream = ResponseStream(request_id, self.request, self.state)
        translated = translate_stream(self._save_before_end(events, stream), stream)
        try:
            async for part in translated:
                yield part
        finally:
            await translated.aclose()

    async def _save_before_end(self, events: Stream, stream: ResponseStream) -> AsyncGenerator[bytes]:
        try:
            async for part in events:
                if part == DONE:
                    stream.close()
                    await self._save(stream.request_id, stream.response())
                yield part
        finally:
            await events.aclose()

    async def _save(self, request_id: str, response: JsonObject) -> None:
        """Store a response. Where that fails, the answer is paid for all the same: it says `store: false`."""
        if not (self.turn.is_stored or self.turn.conversation):
            return
        saving = asyncio.ensure_future(run_in_thread(store.save_turn, self.turn, response))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            await asyncio.wait({saving})  # the conversation stays locked until its rows are there
            raise
        except (DomainError, DatabaseError) as error:
            telemetry.response_not_stored(
                request=request_id, tenant=str(self.turn.tenant_id), reason=type(error).__name__
            )
            self.state["store"] = False
            self.state[CONVERSATION] = None


async def begin_turn(
    gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes, *, is_count: bool = False
) -> StatefulRequest | None:
    """Return a request with what it builds on; None where its workspace stores nothing, or it needs nothing.

    Of a request that is only to be counted, nothing is stored. Raises BadRequest and TooLarge; StorageFull,
    PreviousNotFound, NoSuchConversation, ConversationLocked and StoreUnavailable; and what admission raises
    for a key that may not ask.
    """
    if not await _stores_responses(gateway, caller):
        return None
    request = read_json(body)
    builds_on = _read_builds_on(request)
    if not isinstance(request.get("store"), bool | None):
        raise BadRequest("`store` must be true or false.", param="store")
    is_stored = request.get("store") is not False and not is_count
    if not (builds_on or is_stored):
        return None
    items = read_items(request.get("input"))
    lock = None if is_count else await _lock_conversation(gateway, caller, builds_on, exchange.request_id)
    try:
        turn, history = await _load(caller, builds_on, items, is_stored=is_stored, is_count=is_count)
        request["input"] = [*history, *items]
        expanded = _serialize(request)
        exchange.unpacked_bytes = len(expanded)  # what is read for it counts as if the client had sent it
        exchange.take_memory(gateway, caller, len(expanded))
    except BaseException:
        if lock:
            await lock.release()
        raise
    return StatefulRequest(request, expanded, turn, builds_on.describe(is_stored=is_stored), lock)


async def recall_turn(gateway: Gateway, caller: Caller, request_id: str, body: bytes) -> StatefulRequest:
    """Return the request whose answer an Idempotency-Key has: it says whether the response is there.

    Saving it may have failed, and it may have been deleted. Nothing else is checked: the answer was paid for.
    """
    request = read_json(body)
    builds_on = _read_builds_on(request)
    response_id = ResponseStream(request_id, request).response_id
    is_stored = request.get("store") is not False and await _has_response(gateway, caller, response_id)
    turn = Turn(caller.tenant_id, caller.key_id, [], is_stored=False)
    return StatefulRequest(request, _serialize(request), turn, builds_on.describe(is_stored=is_stored), None)


async def _has_response(gateway: Gateway, caller: Caller, response_id: str) -> bool:
    if not await _stores_responses(gateway, caller):
        return False
    try:
        await run_in_thread(store.find_response, caller.tenant_id, response_id)
    except (DomainError, DatabaseError):
        return False
    return True


async def _stores_responses(gateway: Gateway, caller: Caller) -> bool:
    """Ask Valkey, which has each workspace's settings. Raises what `check` raises, or UnknownKey."""
    answer = await gateway.access.stores_responses(caller)
    if answer is None:
        await gateway.workspaces.ensure_published(caller.tenant_id, months.current())
        answer = await gateway.access.stores_responses(caller)
    if answer is None:
        await gateway.workspaces.require_published(caller)
        raise LimitsUnavailable
    return answer


def _read_builds_on(request: JsonObject) -> BuildsOn:
    """Take what a request builds on out of it. Raises BadRequest."""
    previous_id = request.pop(PREVIOUS, None)
    conversation: Any = request.pop(CONVERSATION, None)
    if isinstance(conversation, dict) and conversation.keys() == {"id"}:
        conversation = conversation["id"]
    for name, written in ((PREVIOUS, previous_id), (CONVERSATION, conversation)):
        if not isinstance(written, str | None):
            raise BadRequest(f"`{name}` must be an id.", param=name)
    if previous_id and conversation:
        raise BadRequest(f"Send `{PREVIOUS}` or `{CONVERSATION}`, not both.", param=CONVERSATION)
    return BuildsOn(previous_id or None, conversation or None)


async def _lock_conversation(
    gateway: Gateway, caller: Caller, builds_on: BuildsOn, request_id: str
) -> IdempotencyLock | None:
    """Keep other requests from writing to a conversation: they would not have read this one's answer."""
    if not builds_on.conversation_id:
        return None
    digest = hashlib.sha256(f"{CONVERSATION} {builds_on.conversation_id}".encode()).hexdigest()
    try:
        lock = await idempotency.lock_digest(
            gateway, caller, digest, identity=request_id.encode(), request_id=request_id
        )
    except KeyUsedOtherwise as error:
        raise ConversationLocked(retry_s=2) from error
    assert isinstance(lock, IdempotencyLock)  # it is released without an answer
    return lock


async def _load(
    caller: Caller, builds_on: BuildsOn, items: list[JsonObject], *, is_stored: bool, is_count: bool
) -> tuple[Turn, list[JsonObject]]:
    try:
        return await run_in_thread(
            _load_rows, caller, builds_on, items, is_stored=is_stored, is_count=is_count
        )
    except LimitsUnavailable as error:
        raise StoreUnavailable from error


def _load_rows(
    caller: Caller, builds_on: BuildsOn, items: list[JsonObject], *, is_stored: bool, is_count: bool
) -> tuple[Turn, list[JsonObject]]:
    """Return a turn, and the items before its own."""
    tenant_id = caller.tenant_id
    if not is_count and (is_stored or builds_on.conversation_id):
        store.require_room(tenant_id)
    previous = conversation = None
    history: list[JsonObject] = []
    if builds_on.previous_id:
        previous, history = store.load_previous(tenant_id, builds_on.previous_id)
        if previous.conversation_id:
            raise BadRequest(
                f"This response is part of a conversation: send `{CONVERSATION}` instead.", param=PREVIOUS
            )
    if builds_on.conversation_id:
        conversation, history = store.load_conversation(tenant_id, builds_on.conversation_id)
        store.require_room_in(conversation, items)
    turn = Turn(tenant_id, caller.key_id, items, is_stored, previous, conversation)
    return turn, history


def _serialize(request: JsonObject) -> bytes:
    try:
        body = orjson.dumps(request)
    except orjson.JSONEncodeError:  # orjson reads deeper nesting than it writes
        raise BadRequest("The request body is nested too deeply.") from None
    if len(body) > BODY_MAX_BYTES:
        raise TooLarge(limit_bytes=BODY_MAX_BYTES)
    return body
