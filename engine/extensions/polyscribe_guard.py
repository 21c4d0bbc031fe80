"""Guard vLLM's server: which addresses it serves, and to whom (`--middleware`).

vLLM asks for its key on /v1 only, and has addresses beside it that load adapters, generate or control the
engine. The guard lets through only what the platform uses, and everything but /health only with a key.

Keys are replaced while the engine runs: where they are in files, the guard reads those again. vLLM itself
knows the key that it was started with; the guard puts that one in place of each that it accepts.

Where the engine marks what it writes, the guard says so in each answer: `x-watermark-epoch` names the key.
"""

import hmac
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
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
        ("POST", "/inference/v1/abort_requests"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
    }
)

WRITING_ADDRESSES = frozenset({"/v1/chat/completions", "/v1/completions"})
WATERMARK = "POLYSCRIBE_WATERMARK"  # engine/serve.py sets it to EPOCH:KEY
OPTIONS_FILE = "POLYSCRIBE_OPTIONS_FILE"  # has the key for a GPU
EPOCH_HEADER = b"x-watermark-epoch"

KEY_VARIABLES = ("ENGINE_API_KEY", "ENGINE_API_KEY_FALLBACKS")
# Not for each request: files are read in the event loop, where every stream waits.
READ_EVERY_S = 1.0
# Two files do not change at one moment, and gateways do not restart at one.
OLD_KEYS_KEPT_S = 10.0


class Keys:
    """The keys that count: ENGINE_API_KEY and ENGINE_API_KEY_FALLBACKS, or what their files say by now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._keys = read_keys()
        self._old: frozenset[bytes] = frozenset()
        self._old_until_s = 0.0
        self._read_at_s = clock()

    def accepts(self, authorization: bytes) -> bool:
        """Return whether a request's header has one of the keys."""
        self._read_again()
        known = self._keys | self._old if self._clock() < self._old_until_s else self._keys
        if not known:
            return True
        # Each is compared, so that the time tells nothing.
        return sum(hmac.compare_digest(authorization, key) for key in known) > 0

    def _read_again(self) -> None:
        now_s = self._clock()
        if now_s - self._read_at_s < READ_EVERY_S:
            return
        self._read_at_s = now_s
        keys = read_keys()
        if keys and keys != self._keys:  # an empty file is one that is being written
            self._old, self._old_until_s = self._keys, now_s + OLD_KEYS_KEPT_S
            self._keys = keys


def read_keys() -> frozenset[bytes]:
    """Return the headers that count just now; without any of ours, that of vLLM's own key."""
    texts = [read_variable(name) for name in KEY_VARIABLES]
    if not any(text.strip() for text in texts):
        texts = [os.environ.get("VLLM_API_KEY", "")]
    keys = ",".join(texts).split(",")
    return frozenset(f"Bearer {key.strip()}".encode() for key in keys if key.strip())


def read_variable(name: str) -> str:
    """Return a variable's value, or what is in the file that NAME_FILE names; "" without either."""
    file = os.environ.get(f"{name}_FILE", "")
    if os.environ.get(name) or not file:
        return os.environ.get(name, "")
    try:
        return Path(file).read_text()
    except OSError:
        return ""


class Guard:
    """Answers 404 to every address that isn't in the lists above, and 401 to a request without a key."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._keys = Keys(clock)
        self._key_of_vllm = f"Bearer {os.environ.get('VLLM_API_KEY', '')}".encode()
        if file := os.environ.get(OPTIONS_FILE):
            Path(file).unlink(missing_ok=True)  # vLLM has read it before it made its app
        self._epoch = os.environ.get(WATERMARK, "").partition(":")[0].encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            return await self.app(scope, receive, send)
        if kind != "http":  # a WebSocket
            return await send({"type": "websocket.close", "code": 1008})
        address = (scope["method"], scope["path"])
        if address in PUBLIC_ADDRESSES:
            return await self.app(scope, receive, send)
        # Before the address is looked at: without a key nobody learns which addresses there are.
        if not self._keys.accepts(dict(scope["headers"]).get(b"authorization", b"")):
            return await refuse(send, 401, "The engine's key is missing or wrong.")
        if address not in KEYED_ADDRESSES:
            return await refuse(send, 404, "The engine doesn't serve this path.")
        if self._epoch and scope["path"] in WRITING_ADDRESSES:
            send = self._with_epoch(send)
        return await self.app({**scope, "headers": self._with_key_of_vllm(scope)}, receive, send)

    def _with_epoch(self, send: Send) -> Send:
        async def send_with_epoch(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (EPOCH_HEADER, self._epoch)]}
            await send(message)

        return send_with_epoch

    def _with_key_of_vllm(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        return [*others, (b"authorization", self._key_of_vllm)]


async def refuse(send: Send, status: int, message: str) -> None:
    """Answer with an error of OpenAI's form."""
    body = json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", "code": status}}
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
