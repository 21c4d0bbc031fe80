"""The least that a gateway in Python can do, for `bench.request_cost`: no key, no limit, no usage.

`bare` answers at once. `two_hops` asks Valkey and the stub engine once each, with the gateway's own clients.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from inference.wire.http_client import HttpClient
from inference.wire.valkey_client import ValkeyClient

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ENGINE_HEADERS = "content-type: application/json\r\n"


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a request and answer 200."""
    if scope["type"] == "lifespan":
        return await _live(scope, receive, send)
    await _read_body(receive)
    return await _answer(send, b'{"status":"ok"}')


async def two_hops(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a request, PING Valkey, pass the request on, and answer what the stub answered."""
    if scope["type"] == "lifespan":
        return await _live(scope, receive, send)
    if scope["method"] != "POST":
        return await _answer(send, b"")
    body = await _read_body(receive)
    await scope["state"]["valkey"].execute("PING")
    response = await scope["state"]["upstream"].post(
        os.environ["FLOOR_STUB_URL"], scope["path"], ENGINE_HEADERS, body
    )
    return await _answer(send, await response.read())


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["valkey"] = ValkeyClient(os.environ["VALKEY_URL"])
    scope["state"]["upstream"] = HttpClient()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _read_body(receive: Receive) -> bytes:
    parts = []
    has_more = True
    while has_more:
        message = await receive()
        parts.append(message.get("body", b""))
        has_more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
