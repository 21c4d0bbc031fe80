"""One connection to Valkey for all requests of a process: commands of one moment go out in one write.

redis-py takes a connection out of a pool for each command, which costs a write, a read and two task switches.
Here the commands of concurrent requests share them. This client has only what the token path needs: commands,
scripts, and connecting again.
"""

import asyncio
import hashlib
import ssl
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import Any

import hiredis
from redis.connection import parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError

from inference.errors import LimitsUnavailable
from inference.facts import JsonObject

BROKEN = "The connection to Valkey broke."

type Arg = str | bytes | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeyTimeouts:
    """How long a connection waits before it counts as broken."""

    connect_s: float = 2
    answer_s: float = 5
    check_silence_every_s: float = 1


def read_hash(answer: list[str]) -> dict[str, str]:
    """Return what HGETALL answers, names and values in turn, as a dictionary."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


class ValkeyClient:
    """Sends commands over one connection, which it opens, and opens again, when a command needs it.

    `execute` raises LimitsUnavailable when Valkey can't be reached, when the connection breaks (the command
    may have run) or when Valkey refuses the command; the cause says which.
    """

    def __init__(self, url: str, timeouts: ValkeyTimeouts = ValkeyTimeouts()) -> None:
        self._address: JsonObject = parse_url(url)  # type: ignore[no-untyped-call]
        self._timeouts = timeouts
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[_Connection] | None = None

    async def execute(self, *args: Arg) -> Any:
        """Return Valkey's answer: text, a number, a list, or None. Raises LimitsUnavailable."""
        return await self.send(_pack(*args))

    def send(self, packed: bytes, instead: tuple[Arg, ...] = ()) -> Awaitable[Any]:
        """Send a command; where it names a script that Valkey does not know, send `instead` after it.

        The answer is to be awaited at once. While there is a connection this is a future: a coroutine in
        between would be one more to resume.
        """
        connection = self._connection
        if connection is None or connection.is_broken:
            return self._open_and_send(packed, instead)
        return connection.execute(packed, instead)

    async def _open_and_send(self, packed: bytes, instead: tuple[Arg, ...]) -> Any:
        try:
            connection = await self._ensure_open()
            return await connection.execute(packed, instead)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable from error

    def script(self, source: str) -> "Script":
        """Return a script that can be called with keys and arguments."""
        return Script(self, source)

    async def aclose(self) -> None:
        """Close the connection; what is still unanswered fails."""
        if self._opening:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._connection:
            self._connection.close()
            await self._connection.closed.wait()

    async def _ensure_open(self) -> "_Connection":
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._forget_opening)
        # The task is shielded: one caller that is cancelled must not take the connection from the others.
        return await asyncio.shield(self._opening)

    def _forget_opening(self, opening: "asyncio.Task[_Connection]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # all callers may have been cancelled

    async def _open(self) -> "_Connection":
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                connection = await self._connect()
                try:
                    await self._authenticate(connection)
                except BaseException:
                    connection.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise ConnectionError("Valkey can't be reached.") from error
        self._connection = connection
        return connection

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        open_connection = partial(_Connection, self._timeouts)
        path = self._address.get("path")
        if path:
            _, connection = await loop.create_unix_connection(open_connection, path)
            return connection
        tls = ssl.create_default_context() if "connection_class" in self._address else None
        host = self._address.get("host", "localhost")
        port = self._address.get("port", 6379)
        _, connection = await loop.create_connection(open_connection, host, port, ssl=tls)
        return connection

    async def _authenticate(self, connection: "_Connection") -> None:
        username = self._address.get("username") or "default"
        password = self._address.get("password")
        database = self._address.get("db")
        if password:
            await connection.execute(_pack("AUTH", username, password))
        if database:
            await connection.execute(_pack("SELECT", database))


class Script:
    """A Lua script. It is sent by its hash; by its source only when Valkey does not know it."""

    def __init__(self, valkey: ValkeyClient, source: str) -> None:
        self._valkey = valkey
        self._source = source
        self._hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: tuple[Arg, ...], args: tuple[Arg, ...]) -> Awaitable[Any]:
        """Return what the script returns, to be awaited at once. That raises LimitsUnavailable."""
        words = (len(keys), *keys, *args)
        packed: bytes = hiredis.pack_command(("EVALSHA", self._hash, *words))  # type: ignore[arg-type]
        return self._valkey.send(packed, ("EVAL", self._source, *words))


class _Connection(asyncio.Protocol):
    """One connection: Valkey answers commands in their order."""

    def __init__(self, timeouts: ValkeyTimeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace", replyError=_as_exception)
        # With what is sent instead where Valkey does not know a script. EVAL also stores it, so this happens
        # once after each restart or SCRIPT FLUSH.
        self._waiting: deque[tuple[asyncio.Future[Any], tuple[Arg, ...]]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport
        self._last_data_s = self._loop.time()
        self._silence_timer: asyncio.TimerHandle | None = None
        self.is_broken = False
        self.closed = asyncio.Event()

    def execute(
        self, packed: bytes, instead: tuple[Arg, ...] = (), future: asyncio.Future[Any] | None = None
    ) -> asyncio.Future[Any]:
        """Return the answer's future, a new one where none is given. Its exception is LimitsUnavailable."""
        if self.is_broken:
            raise ConnectionError(BROKEN)
        if future is None:
            future = self._loop.create_future()
        # Silence counts from the first command that waits, not from the last answer of a quiet hour.
        if not self._waiting:
            self._last_data_s = self._loop.time()
        self._waiting.append((future, instead))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        return future

    def _flush(self) -> None:
        """Write the commands of one turn of the loop in one system call: uvloop makes one for each write."""
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._check_silence_later()

    def data_received(self, data: bytes) -> None:
        self._last_data_s = self._loop.time()
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            future, instead = self._waiting.popleft()
            # Its answer must be taken out all the same, else the next command would get it.
            if future.done():  # its caller was cancelled
                continue
            if instead and isinstance(answer, NoScriptError):
                self.execute(_pack(*instead), future=future)
            elif isinstance(answer, Exception):
                future.set_exception(_unavailable(answer))
            else:
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_broken = True
        self.closed.set()
        if self._silence_timer:
            self._silence_timer.cancel()
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(_unavailable(ConnectionError(BROKEN)))
        self._waiting.clear()
        self._unsent.clear()

    def _check_silence(self) -> None:
        """Break a connection that stays silent: a Valkey that hangs must not block its callers."""
        if self._waiting and self._loop.time() - self._last_data_s > self._timeouts.answer_s:
            self.close()
        else:
            self._check_silence_later()

    def _check_silence_later(self) -> None:
        every_s = self._timeouts.check_silence_every_s
        self._silence_timer = self._loop.call_later(every_s, self._check_silence)


def _pack(*args: Arg) -> bytes:
    packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub allows one argument only
    return packed


def _unavailable(cause: Exception) -> LimitsUnavailable:
    error = LimitsUnavailable()
    error.__cause__ = cause
    return error


def _as_exception(message: str) -> ResponseError:
    error_class = NoScriptError if message.startswith("NOSCRIPT") else ResponseError
    return error_class(message)
