"""The service that the command line's tests speak to, in this process, and faults on the way to it.

Django's WSGI app answers `/api/v1`, a gateway answers `/v1`, and the storage is a real S3 server.
"""

import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import cache
from typing import Any, Self

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from django.core.handlers.wsgi import WSGIHandler

from inference.asgi import app
from inference.proxy.runtime import Gateway
from tests.inference.builders import read_before_each_request

BASE_URL = "http://testserver"
FORWARD = "http://localhost:9000/hook"  # where a receiver of events is
MOST_WAITS = 20
SITE_PATHS = ("/v1/receipts", "/v1/content_provenance_checks")  # of /v1, what no gateway answers

type Answer = httpx.Response
type Fault = Answer | Exception


class GatewayThread:
    """A gateway in a thread with an event loop, which begins with the first request."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._asgi: httpx.ASGITransport | None = None

    def __enter__(self) -> Self:
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def enter[T](self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context in the gateway's event loop, which is left when the thread ends."""
        return self._stack.enter_context(self._portal.wrap_async_context_manager(context))

    def answer(self, request: httpx.Request) -> Answer:
        with self._lock:
            self._asgi = self._asgi or self.enter(open_gateway())
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> Answer:
        assert self._asgi
        answer = await self._asgi.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class Service:
    """The way to the API, the storage and a receiver. `requests` are those to the API as (method, path)."""

    def __init__(self, gateway: GatewayThread, storage: httpx.HTTPTransport) -> None:
        self.gateway = gateway
        self._storage = storage
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []  # what the next requests get instead
        self.puts: list[tuple[str, int]] = []  # (file, number) of each part that arrived
        self.put_faults: list[Fault] = []
        self.damage = b""  # what is added to the files that the storage gives
        self.received: list[httpx.Request] = []  # by a receiver of events on this machine
        self.happens: list[Callable[[], object]] = []  # while the client sleeps, one after the other
        self.is_interrupted_at_the_end = False
        self.waits = 0

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._pass_on)

    def sleep(self, _: float) -> None:
        """Let the next thing happen; when all has happened, the person presses Ctrl-C."""
        if self.happens:
            self.happens.pop(0)()
        elif self.is_interrupted_at_the_end:
            raise KeyboardInterrupt
        else:
            self.waits += 1
            assert self.waits < MOST_WAITS, "the client waits for ever"

    # Looked up at each request, so that a test may put another `answer` or `store` in their place.
    def _pass_on(self, request: httpx.Request) -> Answer:
        if request.url == FORWARD:
            return self.receive(request)
        if request.url.host != "testserver":
            return self.store(request)
        self.requests.append((request.method, request.url.path))
        if self.faults:
            return _fail(self.faults.pop(0))
        return self.answer(request)

    def answer(self, request: httpx.Request) -> Answer:
        """Answer a request to the API."""
        if not request.url.path.startswith(("/api/", *SITE_PATHS)):
            return self.gateway.answer(request)
        with warnings.catch_warnings():
            # Over WSGI, events are sent once their stream is over, and Django warns of that.
            warnings.filterwarnings("ignore", "StreamingHttpResponse must consume")
            return django_app().handle_request(request)

    def store(self, request: httpx.Request) -> Answer:
        """Pass a part on to the storage, or a file back."""
        with self._lock:
            fault = self.put_faults.pop(0) if self.put_faults else None
        if fault:
            return _fail(fault)
        answer = self._storage.handle_request(request)
        if request.method == "GET":
            assert "Authorization" not in request.headers
            return httpx.Response(answer.status_code, content=answer.read() + self.damage)
        if answer.is_success and "partNumber" in request.url.params:
            file = request.url.path.rpartition("/")[2]
            self.puts.append((file, int(request.url.params["partNumber"])))
        return answer

    def receive(self, request: httpx.Request) -> Answer:
        """Take an event as a receiver does that somebody is writing."""
        self.received.append(request)
        return httpx.Response(204)


@cache
def django_app() -> httpx.WSGITransport:
    return httpx.WSGITransport(WSGIHandler())


@asynccontextmanager
async def open_gateway() -> AsyncIterator[httpx.ASGITransport]:
    async with Gateway() as gateway:
        read_before_each_request(gateway)

        async def with_gateway(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await app(scope | {"state": {"gateway": gateway}}, receive, send)

        yield httpx.ASGITransport(with_gateway)


def _fail(fault: Fault) -> Answer:
    if isinstance(fault, Exception):
        raise fault
    return fault


def problem(status: int, code: str, detail: str, **fields: object) -> Answer:
    """Return a problem document."""
    body = {"status": status, "code": code, "detail": detail, "errors": [], "request_id": "req_1", **fields}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def busy(status: int = 503, retry_after: str = "7") -> Answer:
    """Return a refusal that asks for patience."""
    answer = problem(status, "unavailable", "Part of the service is unavailable.")
    answer.headers["Retry-After"] = retry_after
    return answer
