"""`Idempotency-Key`: two equal requests under one key run once, and are billed once.

While the first request runs, the second one gets 409. Once the first is done, the second gets the same
answer, for an hour. The answer of a failed or aborted request is not stored, so the client may try again. An
answer over 256 KiB (compressed) is not stored either. A workspace stores up to 16 MiB; its newest answers
replace its oldest.
"""

import base64
import hashlib
import zlib
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from core import months, valkey
from inference.contract.http_errors import Headers
from inference.errors import BadRequest, KeyInUse, KeyUsedOtherwise, LimitsUnavailable
from inference.facts import Stream
from inference.proxy.answer import GatewayAnswer
from inference.proxy.runtime import LOCK_LEASE_MS, Gateway
from inference.proxy.sse import DONE
from inference.quota.admission import DENIED, Caller

KEY_MAX_CHARACTERS = 255
STORED_FOR_MS = 3_600_000
ANSWER_MAX_BYTES = 256 * 1024
ANSWERS_MAX_BYTES_PER_TENANT = 16 * 1024 * 1024


@dataclass(eq=False)
class IdempotencyLock:
    """A key that this request holds until its answer is stored, or until `release`."""

    gateway: Gateway
    tenant: str
    name: str
    request_id: str
    is_over: bool = False

    async def record(self, answer: GatewayAnswer) -> GatewayAnswer:
        """Return the same answer; store it now, or once its stream ends."""
        provenance = [pair for pair in answer.headers if pair[0].startswith(b"x-polyscribe-")]
        if answer.stream is None:
            await self._store(provenance, answer.body, is_stream=False)
            return answer
        return replace(answer, stream=self._record_stream(answer.stream, provenance))

    async def _record_stream(self, stream: Stream, headers: Headers) -> AsyncGenerator[bytes]:
        parts = []
        try:
            async for chunk in stream:
                parts.append(chunk)
                if chunk == DONE:  # only a complete answer is stored, and before the client has its end
                    await self._store(headers, b"".join(parts), is_stream=True)
                yield chunk
        finally:
            await stream.aclose()
            await self.release()

    async def _store(self, headers: Headers, body: bytes, *, is_stream: bool) -> None:
        texts = [[name.decode(), value.decode()] for name, value in headers]
        serialized = orjson.dumps([self.request_id, texts, body.decode(), is_stream])
        compressed = zlib.compress(serialized)
        is_small = len(compressed) <= ANSWER_MAX_BYTES
        await self._end(base64.b64encode(compressed).decode() if is_small else "")

    async def release(self) -> None:
        """Release the key without an answer: the next request under it runs."""
        await self._end("")

    async def _end(self, answer: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.gateway.held_locks.discard(self.name)
        with suppress(LimitsUnavailable):  # then the lock expires by itself
            await self.gateway.release_lock(
                (self.name, valkey.kept_key(self.tenant), valkey.kept_bytes_key(self.tenant)),
                (self.request_id, answer, STORED_FOR_MS, ANSWERS_MAX_BYTES_PER_TENANT),
            )


async def acquire_lock(
    gateway: Gateway, caller: Caller, key: str, *, identity: bytes, request_id: str
) -> IdempotencyLock | GatewayAnswer:
    """Return the lock of an idempotency key, or the answer that is stored under it.

    `identity` is what makes two requests the same. Raises KeyInUse while another request holds the key,
    KeyUsedOtherwise if that was a different request, what admission raises for a key or workspace that is no
    longer served, or LimitsUnavailable.
    """
    if len(key) > KEY_MAX_CHARACTERS:
        raise BadRequest(f"`Idempotency-Key` can have at most {KEY_MAX_CHARACTERS} characters.")
    # Two API keys of one workspace may use the same idempotency key for different requests.
    digest = hashlib.sha256(caller.key_id.bytes + key.encode()).hexdigest()
    return await lock_digest(gateway, caller, digest, identity=identity, request_id=request_id)


async def lock_digest(
    gateway: Gateway, caller: Caller, digest: str, *, identity: bytes, request_id: str
) -> IdempotencyLock | GatewayAnswer:
    """Return the lock of a digest within the workspace, as `acquire_lock` does."""
    names = caller.names
    lock_name = valkey.replay_key(names.tenant, digest)
    keys = (lock_name, names.limits, names.api_key)
    args = (hashlib.sha256(identity).hexdigest(), request_id, LOCK_LEASE_MS)
    verdict, *facts = await gateway.acquire_lock(keys, args)
    if verdict == "cache_miss":
        await gateway.workspaces.ensure_published(caller.tenant_id, months.current())
        verdict, *facts = await gateway.acquire_lock(keys, args)
    if verdict == "new":
        gateway.held_locks.add(lock_name)
        return IdempotencyLock(gateway, names.tenant, lock_name, request_id)
    if verdict == "done":
        serialized = zlib.decompress(base64.b64decode(facts[0]))
        return _replay(*orjson.loads(serialized))
    if verdict == "denied":
        raise DENIED[facts[0]]
    if verdict == "other":
        raise KeyUsedOtherwise
    if verdict == "open":
        raise KeyInUse(retry_s=2)
    await gateway.workspaces.require_published(caller)
    raise LimitsUnavailable


def _replay(first_request_id: str, texts: list[tuple[str, str]], body: str, is_stream: bool) -> GatewayAnswer:
    headers = [(name.encode(), value.encode()) for name, value in texts]
    headers.append((b"x-polyscribe-first-request", first_request_id.encode()))
    headers.append((b"idempotent-replayed", b"true"))
    if is_stream:
        return GatewayAnswer(first_request_id, headers, stream=_stream_once(body.encode()))
    return GatewayAnswer(first_request_id, headers, body=body.encode())


async def _stream_once(body: bytes) -> AsyncGenerator[bytes]:
    yield body
