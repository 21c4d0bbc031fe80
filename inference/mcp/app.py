"""The ASGI app of `/mcp`: what it checks before the protocol's SDK sees a request.

Streamable HTTP without sessions: each message is a POST with an API key, and any process can answer it.
"""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from sse_starlette.sse import AppStatus

from inference.api import cors
from inference.api.app import answer_exchange, answer_preflight, authenticate
from inference.api.exchange import Exchange, Receive, Scope, Send
from inference.api.models_endpoint import read_snapshot
from inference.contract import http_errors
from inference.contract.endpoints import MCP, POST
from inference.errors import ForeignOrigin, WrongMethod
from inference.mcp.api import Api, App
from inference.mcp.server import API, make_server
from inference.proxy.bodies import BODY_MAX_BYTES
from inference.proxy.runtime import Gateway

__all__ = ["MCP", "McpApp"]

# Else a server that is told to stop would cut tools that write. None of these streams is endless.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


class McpApp:
    """Answers `/mcp` by the API that it is given. `run` must be open meanwhile."""

    def __init__(self, api: App) -> None:
        self._api = api
        self._sdk: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run what requests need, until the context ends."""
        self._sdk = StreamableHTTPSessionManager(
            make_server(), stateless=True, max_request_body_size=BODY_MAX_BYTES
        )
        async with self._sdk.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await answer_exchange(Exchange(scope, receive, send), self._route)

    async def _route(self, gateway: Gateway, exchange: Exchange) -> None:
        """Check who asks, as `/v1` does, read the body within its limits, and pass it to the SDK.

        Raises ForeignOrigin, and what `/v1` raises for a key or a body.
        """
        origin = exchange.header(b"origin")
        # Only browsers send it. Without this check, a page that rebinds its name could use a server at home.
        if origin and not cors.origin_headers(origin):
            raise ForeignOrigin(origin=origin[:200])
        if exchange.method == "OPTIONS" and origin:
            return await answer_preflight(exchange, POST)
        caller = await authenticate(gateway, exchange)
        if await gateway.access.check(caller) is None:
            await read_snapshot(gateway, caller)  # it publishes what Valkey forgot, or raises
        if exchange.method not in POST:
            # Not counted as a refusal: clients of older revisions ask for a stream, and then do without.
            wrong = WrongMethod(allowed=", ".join(POST), method=exchange.method[:20])
            status, data, headers = http_errors.error(wrong)
            return await exchange.send_json(status, data, headers)
        try:
            body = await exchange.read_body(gateway, caller)
            await self._pass_on(gateway, exchange, body)
        finally:
            exchange.release_body(gateway, caller)

    async def _pass_on(self, gateway: Gateway, exchange: Exchange, body: bytes) -> None:
        assert self._sdk
        api = Api(self._api, gateway, exchange)
        unread: list[bytes] = [body]

        async def receive() -> dict[str, Any]:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            message = await exchange.receive()
            if message["type"] == "http.disconnect":
                api.hang_up()
            return message

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                return await exchange.send_head(message["status"], list(message["headers"]))
            await exchange.send(dict(message))

        await self._sdk.handle_request({**exchange.scope, API: api}, receive, send)
