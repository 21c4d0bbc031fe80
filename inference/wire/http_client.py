"""HTTP/1.1 to the engines: kept-alive connections, answers as the bytes come, parsed as little as can be.

It stands where a client library would: aiohttp took a third of the gateway's time a request.
"""

import asyncio
import select
import ssl
from collections import defaultdict
from functools import lru_cache
from urllib.parse import urlsplit

import httptools

from inference.errors import EngineBroke, EngineSilent, EngineUnavailable

CONNECT_WITHIN_S = 2
# A connection that was idle may be closed by the engine in the moment of asking. Whatever breaks later than
# that broke with the request in the engine's hands, and nobody sends it again.
IDLE_CLOSE_WITHIN_S = 0.5
SILENT_FOR_S = 600  # a long prompt on a slow engine
BUFFERED_MAX_BYTES = 256 * 1024

type Address = tuple[str, str, int]


class HttpClient:
    """Connections to all engines of a process."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[_Connection]] = defaultdict(list)

    async def post(self, url: str, path: str, headers: str, body: bytes) -> "Response":
        """Return the answer once it has begun. `headers` are whole lines, each with its line end.

        Raises EngineUnavailable when the engine can't be reached, EngineBroke when it had the request.
        """
        address = _address(url)
        head = f"POST {path} HTTP/1.1\r\n{_host(address)}{headers}"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        return await self._answer(address, request)

    async def get(self, url: str, path: str, headers: str) -> "Response":
        """Return the answer once it has begun. Raises EngineUnavailable or EngineBroke."""
        address = _address(url)
        head = f"GET {path} HTTP/1.1\r\n{_host(address)}{headers}\r\n"
        return await self._answer(address, head.encode())

    async def _answer(self, address: Address, request: bytes) -> "Response":
        was_sent, loop = False, asyncio.get_running_loop()
        while True:
            try:
                connection, is_used = await self._connection(address)
            except EngineUnavailable as error:
                if was_sent:  # it was not idleness that closed the last connection
                    raise EngineBroke from error
                raise
            response, was_sent, sent_s = connection.send(request), True, loop.time()
            try:
                await response.begun()
            except EngineBroke:
                is_at_once = loop.time() - sent_s < IDLE_CLOSE_WITHIN_S
                if is_used and is_at_once and not response.has_begun and not response.was_given_up:
                    continue  # the engine closed a connection that had been idle: not an answer
                raise
            except BaseException:
                response.close()
                raise
            return response

    async def aclose(self) -> None:
        """Close all idle connections."""
        for connection in [c for idle in self._idle.values() for c in idle]:
            connection.transport.abort()
            await connection.gone.wait()

    async def _connection(self, address: Address) -> "tuple[_Connection, bool]":
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if not connection.has_ended():
                return connection, True
        scheme, host, port = address
        secure = ssl.create_default_context() if scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, connection = await loop.create_connection(
                    lambda: _Connection(idle), host, port, ssl=secure
                )
        except (OSError, TimeoutError) as error:
            raise EngineUnavailable from error
        return connection, False


class Response:
    """One answer on its way. Closing it before its end breaks the connection, which stops the engine."""

    def __init__(self, connection: "_Connection") -> None:
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[None] = loop.create_future()
        self.status = 0
        self.has_begun = False
        self.was_given_up = False
        self._connection = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._is_over = False
        self._error: EngineBroke | None = None
        self._news: asyncio.Future[None] | None = None

    async def begun(self) -> None:
        """Return when the first bytes of the body are there, or its end. Raises EngineBroke."""
        await self.head
        if not (self._parts or self._is_over or self._error):
            await self._more()
        if self._error and not self._parts:
            raise self._error

    async def read(self) -> bytes:
        """Return the whole body. Raises EngineBroke."""
        parts = []
        while part := await self.part():
            parts.append(part)
        return b"".join(parts)

    async def part(self) -> bytes:
        """Return all bytes that are there, once there are some; none at the end. Raises EngineBroke."""
        # No generator: asyncio keeps a record of each one, which costs every answer more than this.
        while not self._parts:
            if self._error:
                raise self._error
            if self._is_over:
                return b""
            await self._more()
        part, self._parts, self._size = b"".join(self._parts), [], 0
        return part

    def close(self) -> None:
        """Hang up, unless all was received."""
        if not self._is_over:
            self._connection.transport.abort()

    async def _more(self) -> None:
        self._connection.resume()
        self._news = self._connection.loop.create_future()
        await self._news
        self._news = None

    # what the connection tells

    def begin(self, status: int) -> None:
        self.status, self.has_begun = status, True
        if not self.head.done():
            self.head.set_result(None)

    def receive(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > BUFFERED_MAX_BYTES and self._news is None:
            self._connection.pause()
        self._tell()

    def end(self) -> None:
        self._is_over = True
        self._tell()

    def fail(self, error: EngineBroke) -> None:
        self._error = error
        if not self.head.done():
            self.head.set_exception(error)
            self.head.exception()  # its caller may be gone
        self._tell()

    def _tell(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. The method names without a docstring are httptools'."""

    transport: asyncio.Transport

    def __init__(self, idle: "list[_Connection]") -> None:
        self.loop = asyncio.get_running_loop()
        self._idle = idle
        self._parser: httptools.HttpResponseParser | None = None
        self._response: Response | None = None
        self._is_paused = False
        self._silence: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._incoming = select.poll()
        self.gone = asyncio.Event()

    def has_ended(self) -> bool:
        """Return whether the engine closed this idle connection, also where the loop has not seen it yet.

        An idle connection has nothing to read but its end. Without this look a request would be written into
        the connection of an engine that is gone, and count as one that the engine had.
        """
        return self.transport.is_closing() or bool(self._incoming.poll(0))

    def send(self, request: bytes) -> Response:
        self._parser = httptools.HttpResponseParser(self)
        self._response = Response(self)
        self._heard_s = self.loop.time()
        if self._silence is None:
            self._silence = self.loop.call_later(SILENT_FOR_S, self._look)
        self.transport.write(request)
        return self._response

    def pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._incoming.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self.loop.time()
        if self._parser is None:
            self.transport.abort()  # an answer that nobody asked for
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        if self._silence:
            self._silence.cancel()
        if self in self._idle:
            self._idle.remove(self)
        if response := self._response:
            response.fail(EngineSilent() if response.was_given_up else EngineBroke())

    def on_headers_complete(self) -> None:
        assert self._parser
        assert self._response
        if (status := self._parser.get_status_code()) >= 200:  # 100 Continue and its like come before
            self._response.begin(status)

    def on_body(self, data: bytes) -> None:
        if self._response:
            self._response.receive(data)

    def on_message_complete(self) -> None:
        assert self._parser
        assert self._response
        if self._parser.get_status_code() < 200:
            return
        response, self._response = self._response, None
        self.resume()
        if self._parser.should_keep_alive():
            self._parser = None
            self._idle.append(self)
        else:
            self.transport.close()
        response.end()

    def _look(self) -> None:
        left_s = self._heard_s + SILENT_FOR_S - self.loop.time()
        if self._response and left_s <= 0:
            self._response.was_given_up = True
            self.transport.abort()
        else:
            self._silence = self.loop.call_later(left_s if left_s > 0 else SILENT_FOR_S, self._look)


def _host(address: Address) -> str:
    return f"host: {address[1]}:{address[2]}\r\n"


@lru_cache(maxsize=1024)
def _address(url: str) -> Address:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
