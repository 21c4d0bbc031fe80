"""`Idempotency-Key`: what was asked twice under one key is done, and billed, once.

While the first request runs, a second one is told to wait; once it is done, it gets the same answer, for an
hour. What failed or was hung up on is not kept: it may be tried anew. An answer of over 256 KiB (compressed)
is not kept either, and no more than 16 MiB of a workspace: its oldest answers make room for new ones.
"""

import base64
import hashlib
import zlib
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from foundation import months, valkey
from inference.contract.http_errors import Headers
from inference.errors import BadRequest, GateUnavailable, KeyInUse, KeyUsedOtherwise
from inference.proxy.answer import Answer
from inference.proxy.runtime import LOCK_LEASE_MS, Gateway
from inference.proxy.sse import DONE
from inference.quota.admission import DENIED, Caller

KEY_MAX_CHARACTERS = 255
KEPT_FOR_MS = 3_600_000
KEPT_MAX_BYTES = 256 * 1024
KEPT_MAX_BYTES_PER_TENANT = 16 * 1024 * 1024


@dataclass(eq=False)
class IdempotencyLock:
    """A key that this request has: until its answer is kept, or until `release`."""

    gateway: Gateway
    tenant: str
    name: str
    request_id: str
    is_over: bool = False

    async def recorded(self, answer: Answer) -> Answer:
        """Return an answer as it is, which is kept now, or as soon as its stream is whole."""
        provenance = [pair for pair in answer.headers if pair[0].startswith(b"x-polyscribe-")]
        if answer.stream is None:
            await self._keep(provenance, answer.whole, is_stream=False)
            return answer
        return replace(answer, stream=self._recorded(answer.stream, provenance))

    async def _recorded(self, stream: AsyncGenerator[bytes], headers: Headers) -> AsyncGenerator[bytes]:
        parts = []
        try:
            async for chunk in stream:
                parts.append(chunk)
                if chunk == DONE:
                    await self._keep(headers, b"".join(parts), is_stream=True)
                yield chunk
        finally:
            await stream.aclose()
            await self.release()

    async def _keep(self, headers: Headers, body: bytes, *, is_stream: bool) -> None:
        written = [[name.decode(), value.decode()] for name, value in headers]
        packed = zlib.compress(orjson.dumps([self.request_id, written, body.decode(), is_stream]))
        await self._end(base64.b64encode(packed).decode() if len(packed) <= KEPT_MAX_BYTES else "")

    async def release(self) -> None:
        """Let the next request under this key be done as if this one had not been."""
        await self._end("")

    async def _end(self, answer: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.gateway.held_locks.discard(self.name)
        with suppress(GateUnavailable):  # then the claim ends by itself
            await self.gateway.release_lock(
                (self.name, valkey.kept_key(self.tenant), valkey.kept_bytes_key(self.tenant)),
                (self.request_id, answer, KEPT_FOR_MS, KEPT_MAX_BYTES_PER_TENANT),
            )


async def acquire_lock(
    gateway: Gateway, caller: Caller, key: str, *, parsed: bytes, request_id: str
) -> IdempotencyLock | Answer:
    """Return a claim on an idempotency key, or what was answered before.

    Raises KeyInUse while another request has it, KeyUsedOtherwise when it asked for something else, what
    admission raises for a key or workspace that is no longer served, or GateUnavailable.
    """
    if len(key) > KEY_MAX_CHARACTERS:
        raise BadRequest(f"`Idempotency-Key` may have at most {KEY_MAX_CHARACTERS} characters.")
    digest = hashlib.sha256(caller.key_id.bytes + key.encode()).hexdigest()
    names, name = caller.names, valkey.replay_key(caller.names.tenant, digest)
    keys = (name, names.limits, names.api_key)
    args = (hashlib.sha256(parsed).hexdigest(), request_id, LOCK_LEASE_MS)
    state, *facts = await gateway.acquire_lock(keys, args)
    if state == "cold":
        await gateway.warm(caller.tenant_id, months.current())
        state, *facts = await gateway.acquire_lock(keys, args)
    if state == "new":
        gateway.held_locks.add(name)
        return IdempotencyLock(gateway, names.tenant, name, request_id)
    if state == "done":
        return _replayed(*orjson.loads(zlib.decompress(base64.b64decode(facts[0]))))
    if state == "denied":
        raise DENIED[facts[0]]
    if state == "other":
        raise KeyUsedOtherwise
    if state == "open":
        raise KeyInUse(retry_s=2)
    raise GateUnavailable


def _replayed(request_id: str, headers: list[tuple[str, str]], body: str, is_stream: bool) -> Answer:
    told = [(name.encode(), value.encode()) for name, value in headers]
    told += [(b"x-polyscribe-first-request", request_id.encode()), (b"idempotent-replayed", b"true")]
    if is_stream:
        return Answer(request_id, told, stream=_again(body.encode()))
    return Answer(request_id, told, whole=body.encode())


async def _again(body: bytes) -> AsyncGenerator[bytes]:
    yield body
