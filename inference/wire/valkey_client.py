"""One connection to Valkey for all requests of a process: what is asked at once goes out in one write.

redis-py takes a connection out of a pool for each command, and a write, a read and two task switches with
it; here commands of concurrent requests share them. It has only what the token path needs: commands, scripts
and connecting again.
"""

import asyncio
import hashlib
import ssl
from collections import deque
from typing import Any

import hiredis
from redis.connection import parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError

from inference.errors import GateUnavailable

CONNECT_WITHIN_S = 2
ANSWER_WITHIN_S = 5

type Arg = str | bytes | int | float


class ValkeyClient:
    """Sends commands over one connection that is opened, and opened again, when it is needed.

    `ask` raises GateUnavailable when Valkey can't be reached, breaks off (the command may have been run) or
    refuses; its cause says which.
    """

    def __init__(self, url: str) -> None:
        self._address: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._wire: _Connection | None = None
        self._opening: asyncio.Task[_Connection] | None = None

    async def execute(self, *args: Arg) -> Any:
        """Return Valkey's answer to one command: text, a number, a list, or None."""
        try:
            wire = self._wire
            if wire is None or wire.is_broken:
                wire = await self._opened()
            return await wire.execute(_packed(*args))
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            raise GateUnavailable from error

    def script(self, source: str) -> "Script":
        """Return a script that can be called with keys and arguments."""
        return Script(self, source)

    async def aclose(self) -> None:
        """Close the connection; what is still unanswered fails."""
        if self._opening:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._wire:
            self._wire.close()
            await self._wire.gone.wait()

    async def _opened(self) -> "_Connection":
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._forget_opening)
        # One caller that is cancelled must not take the connection from the others.
        return await asyncio.shield(self._opening)

    def _forget_opening(self, opening: "asyncio.Task[_Connection]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # nobody may be left who asked

    async def _open(self) -> "_Connection":
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                wire = await self._connected()
                try:
                    await self._introduce(wire)
                except BaseException:
                    wire.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise ConnectionError("Valkey can't be reached.") from error
        self._wire = wire
        return wire

    async def _connected(self) -> "_Connection":
        to, loop = self._address, asyncio.get_running_loop()
        if path := to.get("path"):
            return (await loop.create_unix_connection(_Connection, path))[1]
        secure = ssl.create_default_context() if "connection_class" in to else None
        host, port = to.get("host", "localhost"), to.get("port", 6379)
        return (await loop.create_connection(_Connection, host, port, ssl=secure))[1]

    async def _introduce(self, wire: "_Connection") -> None:
        if password := self._address.get("password"):
            await wire.execute(_packed("AUTH", self._address.get("username") or "default", password))
        if database := self._address.get("db"):
            await wire.execute(_packed("SELECT", database))


class Script:
    """A Lua script, sent by its hash; by its source when Valkey does not know it (any more)."""

    def __init__(self, valkey: ValkeyClient, source: str) -> None:
        self._valkey, self._source = valkey, source
        self._hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: tuple[Arg, ...], args: tuple[Arg, ...]) -> Any:
        """Return what the script returns."""
        try:
            return await self._valkey.execute("EVALSHA", self._hash, len(keys), *keys, *args)
        except NoScriptError:
            return await self._valkey.execute("EVAL", self._source, len(keys), *keys, *args)


class _Connection(asyncio.Protocol):
    """One connection: answers come in the order of the questions."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace", replyError=_refusal)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport
        self._heard_s = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self.is_broken = False
        self.gone = asyncio.Event()

    def execute(self, packed: bytes) -> asyncio.Future[Any]:
        if self.is_broken:
            raise ConnectionError("Valkey broke off.")
        future = self._loop.create_future()
        if not self._waiting:
            self._heard_s = self._loop.time()
        self._waiting.append(future)
        self._transport.write(packed)  # uvloop sends what is written in one turn of the loop at once
        return future

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._watch = self._loop.call_later(1, self._look)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            future = self._waiting.popleft()
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_broken = True
        self.gone.set()
        if self._watch:
            self._watch.cancel()
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionError("Valkey broke off."))
        self._waiting.clear()

    def _look(self) -> None:
        """Break a connection that stays silent: a Valkey that hangs must not hang its callers."""
        if self._waiting and self._loop.time() - self._heard_s > ANSWER_WITHIN_S:
            self.close()
        else:
            self._watch = self._loop.call_later(1, self._look)


def _packed(*args: Arg) -> bytes:
    packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub wants exactly one word
    return packed


def _refusal(message: str) -> ResponseError:
    kind = NoScriptError if message.startswith("NOSCRIPT") else ResponseError
    return kind(message)
