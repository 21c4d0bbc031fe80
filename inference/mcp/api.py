"""Calls of the site's own API within the process, by the key and from the address of an MCP client.

So limits, metering and audit are those of the API.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.api.exchange import Exchange, Receive, Scope
from inference.facts import JsonObject
from inference.proxy.runtime import Gateway

REPORT_EVERY_S = 1.0
# What the site must know of the client's request. The rest describes the body or the protocol of `/mcp`.
PASSED_HEADERS = (b"authorization", b"x-api-key", b"host", b"user-agent", b"x-forwarded-proto")

type App = Callable[
    [Scope, Receive, Callable[[Mapping[str, Any]], Awaitable[None]]], Coroutine[Any, Any, None]
]
type Report = Callable[[bytes | bytearray], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """What the API answered. `is_broken`: its body ended before its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_broken: bool = False

    @property
    def is_success(self) -> bool:
        """Whether it is no error."""
        return self.status < 300


class Api:
    """The site's API, as one client of `/mcp` may use it."""

    def __init__(self, app: App, gateway: Gateway, exchange: Exchange) -> None:
        self._app = app
        self._gateway = gateway
        self._scope = exchange.scope
        self._has_left = asyncio.Event()

    def hang_up(self) -> None:
        """Let all calls know that the client has left: they are billed as far as they came."""
        self._has_left.set()

    async def get(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return await self._call("GET", path, b"")

    async def post(self, path: str, body: JsonObject, report: Report | None = None) -> Answer:
        """Return the answer to a POST; meanwhile `report` gets what has come of it, once a second."""
        return await self._call("POST", path, orjson.dumps(body), report)

    async def _call(self, method: str, path: str, body: bytes, report: Report | None = None) -> Answer:
        call = _Call(body, self._has_left)
        # It runs beside the tool, so that it is settled as any other request whose client leaves.
        running = self._gateway.tasks.spawn(
            self._app(self._describe(method, path, body), call.receive, call.send)
        )
        try:
            while not (await asyncio.wait({running}, timeout=REPORT_EVERY_S))[0]:
                if report:
                    await report(call.body)
        except asyncio.CancelledError:
            self.hang_up()
            raise
        if running.exception() and not call.status:
            running.result()  # raises why there is no answer
        return Answer(call.status, call.headers, bytes(call.body), is_broken=not call.is_complete)

    def _describe(self, method: str, path: str, body: bytes) -> Scope:
        headers = [(name, value) for name, value in self._scope["headers"] if name in PASSED_HEADERS]
        if body:
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return {
            "type": "http",
            "asgi": self._scope.get("asgi", {"version": "3.0"}),
            "http_version": "1.1",
            "method": method,
            "scheme": self._scope.get("scheme", "http"),
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": self._scope.get("client"),
            "server": self._scope.get("server"),
            "state": self._scope["state"],
        }


class _Call:
    """One request to the API, and what was answered so far."""

    def __init__(self, body: bytes, has_left: asyncio.Event) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.is_complete = False
        self._request_body: bytes | None = body
        self._has_left = has_left

    async def receive(self) -> dict[str, Any]:
        """Return the body; after it, wait until the client has left."""
        body, self._request_body = self._request_body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)


# What the API answered, as a tool needs it: a stream's text, or an error as a sentence.

EVENT = b"data: "
DONE = b"[DONE]"
FAULT = "Something went wrong on our side."
BROKEN = "The answer broke off. Try again."


class ToolFailed(Exception):
    """A tool can't do what it was asked; the message says why, and what to do."""


@dataclass
class Written:
    """A text, as far as it came."""

    text: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: JsonObject = field(default_factory=dict)


def read_stream(answer: Answer) -> Written:
    """Return what a streamed chat wrote. Raises ToolFailed, with what was written, if it broke off."""
    written = Written()
    failure = BROKEN if answer.is_broken else ""
    for line in answer.body.split(b"\n"):
        if not line.startswith(EVENT) or line == EVENT + DONE:
            continue
        event: JsonObject = orjson.loads(line.removeprefix(EVENT))
        if "error" in event:
            failure = _describe_failure(event, "", answer.headers)
            continue
        written.model = event["model"]
        written.usage = event.get("usage") or written.usage
        for choice in event["choices"]:
            written.text += choice["delta"].get("content") or ""
            written.finish_reason = choice["finish_reason"] or written.finish_reason
    if failure and written.text:
        failure += f"\n\nWritten until then, and billed:\n\n{written.text}"
    if failure:
        raise ToolFailed(failure)
    return written


def read_failure(answer: Answer, hint: str = "") -> ToolFailed:
    """Return the failure that an error of the API is, in OpenAI's form or as a problem document."""
    try:
        body: JsonObject = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = {}
    return ToolFailed(_describe_failure(body, hint, answer.headers))


def _describe_failure(body: JsonObject, hint: str, headers: dict[str, str]) -> str:
    failure = body.get("error")
    message, code = FAULT, ""
    if isinstance(failure, dict):
        message, code = failure.get("message") or message, failure.get("code") or ""
    elif "detail" in body:
        message, code = body["detail"], body.get("code", "")
    parts = [message]
    if hint:
        parts.append(hint)
    retry_after = headers.get("retry-after")
    if retry_after:
        parts.append(f"Try again in {retry_after} s.")
    request_id = headers.get("x-request-id", "")
    facts = ", ".join(fact for fact in (code, request_id) if fact)
    return " ".join(parts) + (f" ({facts})" if facts else "")
