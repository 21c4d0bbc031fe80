"""HTTP/1.1 to the engines: kept-alive connections, and answers as their bytes arrive.

It replaces a client library, because aiohttp took a third of the gateway's time per request.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from inference.errors import EngineBroke, EngineUnavailable
from inference.wire.http_connection import Connection, Response

__all__ = ["HttpClient", "Response"]

UNIX = "unix"
CONNECT_WITHIN_S = 2
# An engine may close an idle connection just when a request is sent: then it never had the request, which is
# sent again. A connection that breaks later broke while the engine had the request, which is not sent again.
IDLE_CLOSE_WITHIN_S = 0.5


class Address(NamedTuple):
    """Where an engine is, and the header line that says so."""

    scheme: str
    host: str
    port: int
    host_line: str


class HttpClient:
    """Connections to all engines of a process."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None  # reading all root certificates takes 20 ms

    def post(self, url: str, path: str, headers: str, body: bytes) -> Coroutine[Any, Any, Response]:
        """Return the answer once it has begun. `headers` are whole lines, each with its line end.

        Awaiting it raises EngineUnavailable when the engine can't be reached, EngineBroke when it had the
        request.
        """
        address = _parse_address(url)
        head = f"POST {path} HTTP/1.1\r\n{address.host_line}{headers}content-length: {len(body)}\r\n\r\n"
        return self._send(address, head.encode() + body)

    def get(self, url: str, path: str, headers: str) -> Coroutine[Any, Any, Response]:
        """Return the answer once it has begun. Awaiting it raises EngineUnavailable or EngineBroke."""
        address = _parse_address(url)
        return self._send(address, f"GET {path} HTTP/1.1\r\n{address.host_line}{headers}\r\n".encode())

    async def aclose(self) -> None:
        """Close all idle connections."""
        for connections in list(self._idle.values()):
            for connection in list(connections):
                connection.transport.abort()
                await connection.closed.wait()

    async def _send(self, address: Address, request: bytes) -> Response:
        loop = asyncio.get_running_loop()
        was_sent = False
        while True:
            connection = self._take_idle(address)
            is_reused = connection is not None
            try:
                connection = connection or await self._connect(address)
            except EngineUnavailable as error:
                if was_sent:  # the last connection was not closed for being idle: the engine stopped
                    raise EngineBroke from error
                raise
            response = connection.send(request)
            was_sent = True
            sent_s = loop.time()
            try:
                await response.begun
            except EngineBroke:
                is_at_once = loop.time() - sent_s < IDLE_CLOSE_WITHIN_S
                # All four together mean that the engine had closed the connection and never read the request.
                if is_reused and is_at_once and not response.has_begun and not response.timed_out:
                    continue
                raise
            except BaseException:
                # The caller was cancelled. Breaking the connection tells the engine to stop.
                response.close()
                raise
            return response

    def _take_idle(self, address: Address) -> Connection | None:
        """Return a connection that was used before, if there is one."""
        idle = self._idle[address]
        while idle:
            # The last one used is the least likely to have been closed for being idle.
            connection = idle.pop()
            if not connection.is_closed_by_peer():
                return connection
        return None

    async def _connect(self, address: Address) -> Connection:
        """Return a new connection. Raises EngineUnavailable."""
        idle = self._idle[address]
        scheme, host, port, _ = address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                if scheme == UNIX:
                    _, connection = await loop.create_unix_connection(lambda: Connection(idle), host)
                else:
                    tls = self._tls_context() if scheme == "https" else None
                    _, connection = await loop.create_connection(
                        lambda: Connection(idle), host, port, ssl=tls
                    )
        except (OSError, TimeoutError) as error:
            raise EngineUnavailable from error
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


@lru_cache(maxsize=1024)
def _parse_address(url: str) -> Address:
    """Return an address's scheme, host and port; of `unix:///run/engine.sock` the scheme and the path."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return Address(UNIX, parts.path, 0, "host: localhost\r\n")
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Address(parts.scheme, host, port, f"host: {host}:{port}\r\n")
