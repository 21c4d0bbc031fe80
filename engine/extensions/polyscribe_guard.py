"""Guard vLLM's server: which addresses it serves, and to whom (`--middleware`).

vLLM asks for its key on /v1 only, and has addresses beside it that load adapters, generate or control the
engine. The guard lets through only what the platform uses, and everything but /health only with the key.
"""

import hmac
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PUBLIC_ADDRESSES = frozenset({("GET", "/health")})
KEYED_ADDRESSES = frozenset(
    {
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
    }
)


class Guard:
    """Answers 404 to every address that isn't in the lists above, and 401 to a request without the key."""

    def __init__(self, app: App) -> None:
        self.app = app
        key = os.environ.get("VLLM_API_KEY", "")
        self._authorization = f"Bearer {key}".encode() if key else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            return await self.app(scope, receive, send)
        if kind != "http":  # a WebSocket
            return await send({"type": "websocket.close", "code": 1008})
        address = (scope["method"], scope["path"])
        if address in PUBLIC_ADDRESSES:
            return await self.app(scope, receive, send)
        if not self._is_authorised(scope):
            return await refuse(send, 401, "The engine's key is missing or wrong.")
        if address not in KEYED_ADDRESSES:
            return await refuse(send, 404, "The engine doesn't serve this address.")
        return await self.app(scope, receive, send)

    def _is_authorised(self, scope: Scope) -> bool:
        if not self._authorization:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._authorization)


async def refuse(send: Send, status: int, message: str) -> None:
    """Answer with an error of OpenAI's form."""
    body = json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", "code": status}}
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
