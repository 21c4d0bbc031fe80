"""`Idempotency-Key`: what was asked twice under one key is done, and billed, once.

While the first request runs, a second one is told to wait; once it is done, it gets the same answer, for an
hour. What failed or was hung up on is not kept: it may be tried anew. An answer of over 256 KiB (compressed)
is not kept either.
"""

import base64
import hashlib
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import orjson
from redis.exceptions import RedisError

from foundation import valkey
from inference.admission import Caller
from inference.errors import BadRequest, GateUnavailable, KeyInUse, KeyUsedOtherwise
from inference.gateway import CLAIMED_FOR_MS, Gateway
from inference.presenting import Headers
from inference.streams import DONE

KEY_MAX_CHARACTERS = 255
KEPT_FOR_MS = 3_600_000
KEPT_MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class Stored:
    """An answer as it was given: its headers and its bytes."""

    headers: Headers
    body: bytes


@dataclass(eq=False)
class Claim:
    """A key that this request has; `keep` or `release` must follow, of which the first counts."""

    gateway: Gateway
    name: str
    request_id: str
    is_over: bool = False

    async def recorded(self, stream: AsyncGenerator[bytes], headers: Headers) -> AsyncGenerator[bytes]:
        """Yield a stream as it is; keep it once it is whole."""
        parts = []
        try:
            async for chunk in stream:
                parts.append(chunk)
                if chunk == DONE:
                    await self.keep(Stored(headers, b"".join(parts)))
                yield chunk
        finally:
            await stream.aclose()
            await self.release()

    async def keep(self, answer: Stored) -> None:
        """Keep the answer for who asks again."""
        packed = zlib.compress(
            orjson.dumps([[[n.decode(), v.decode()] for n, v in answer.headers], answer.body.decode()])
        )
        await self._end(base64.b64encode(packed).decode() if len(packed) <= KEPT_MAX_BYTES else "")

    async def release(self) -> None:
        """Let the next request under this key be done as if this one had not been."""
        await self._end("")

    async def _end(self, answer: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.gateway.claims.discard(self.name)
        try:
            await self.gateway.unclaiming((self.name,), (self.request_id, answer, KEPT_FOR_MS))
        except (RedisError, OSError):
            return  # the claim ends by itself


async def claim(
    gateway: Gateway, caller: Caller, key: str, *, asked: bytes, request_id: str
) -> Claim | Stored:
    """Return a claim on an idempotency key, or what was answered before.

    Raises KeyInUse while another request has it, KeyUsedOtherwise when it asked for something else.
    """
    if len(key) > KEY_MAX_CHARACTERS:
        raise BadRequest(f"`Idempotency-Key` may have at most {KEY_MAX_CHARACTERS} characters.")
    digest = hashlib.sha256(caller.key_id.bytes + key.encode()).hexdigest()
    name = valkey.replay_key(caller.names.tenant, digest)
    try:
        state, *answer = await gateway.claiming(
            (name,), (hashlib.sha256(asked).hexdigest(), request_id, CLAIMED_FOR_MS)
        )
    except (RedisError, OSError) as error:
        raise GateUnavailable from error
    if state == "done":
        headers, body = orjson.loads(zlib.decompress(base64.b64decode(answer[0])))
        return Stored([(name.encode(), value.encode()) for name, value in headers], body.encode())
    if state == "other":
        raise KeyUsedOtherwise
    if state == "open":
        raise KeyInUse(retry_s=2)
    gateway.claims.add(name)
    return Claim(gateway, name, request_id)
