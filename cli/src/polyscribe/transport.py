"""Requests to the service: the key, retries, and errors read from what it answers."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import httpx

from polyscribe.errors import ERROR_OF_STATUS, ApiError, Unreachable
from polyscribe.objects import Object
from polyscribe.settings import Settings
from polyscribe.version import __version__

USER_AGENT = f"polyscribe-cli/{__version__}"
MANAGEMENT = "/api/v1"
WRITING = "/v1"
PAGE_SIZE = 100
RETRIED_STATUSES = (429, 502, 503, 504)
# The first of two equal requests is still at work: its answer is there shortly.
RETRIED_CODES = ("idempotency_key_in_use",)

Query = Mapping[str, str | int | None]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is sent again, and how long it waits for that."""

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0  # a service that asks for more patience is told as an error
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def backoff_s(self, attempt: int) -> float:
        """Return the wait after a failed attempt: twice the last one, and a little chance in it."""
        wait_s = self.first_wait_s * 2.0 ** (attempt - 1)
        return min(wait_s * random.uniform(0.8, 1.2), self.longest_wait_s)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Timeouts:
    """Seconds until a connection, an answer of the management API, and the next token count as lost."""

    connect_s: float = 10.0
    answer_s: float = 60.0
    token_s: float = 300.0  # a style may have to be loaded first, and its engine may be busy


class Transport:
    """One service and one key. Every POST carries an Idempotency-Key, so it can be sent again safely."""

    def __init__(
        self,
        settings: Settings,
        *,
        retries: RetryPolicy,
        timeouts: Timeouts,
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries
        self._timeouts = timeouts
        headers = {"User-Agent": USER_AGENT}
        if settings.api_key:  # a login by a browser begins without one
            headers["Authorization"] = f"Bearer {settings.api_key}"
        self._http = httpx.Client(
            base_url=settings.base_url,
            headers=headers,
            timeout=httpx.Timeout(timeouts.answer_s, connect=timeouts.connect_s),
            transport=http_transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        idempotency_key: str = "",
    ) -> Object:
        """Return what the service answers; {} for an empty answer. Raises ApiError, Unreachable."""
        response = self.send(method, path, query=query, body=body, idempotency_key=idempotency_key)
        try:
            answer: Object = response.json() if response.content else {}
        except ValueError as error:
            message = f"{self._http.base_url} doesn't look like Polyscribe. Check the URL."
            raise Unreachable(message) from error
        return answer

    def pages(self, path: str, query: Query | None = None) -> Iterator[Object]:
        """Yield every object of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.call("GET", path, query={**(query or {}), "limit": PAGE_SIZE, "cursor": cursor})
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        idempotency_key: str = "",
        is_stream: bool = False,
        is_retried: bool = True,
        accept: str = "application/json",
    ) -> httpx.Response:
        """Return a successful answer; one that is streamed is not read yet, and its reader closes it.

        Sends again what did not arrive, and what the service asks to send again, as the policy allows.
        Raises ApiError or Unreachable.
        """
        headers = {"Accept": accept}
        if method == "POST":
            headers["Idempotency-Key"] = idempotency_key or str(uuid4())
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        request = {"params": given, "json": body, "headers": headers}
        if is_stream:
            request["timeout"] = httpx.Timeout(self._timeouts.token_s, connect=self._timeouts.connect_s)
        attempt = 1
        while True:
            wait_s: float | None
            failure: ApiError | Unreachable
            try:
                response = self._send_once(
                    self._http.build_request(method, path, **request),  # type: ignore[arg-type]
                    is_stream=is_stream,
                )
            except Unreachable as error:
                failure = error
                wait_s = self._retries.backoff_s(attempt)
            else:
                if response.is_success:
                    return response
                failure = read_error(response)
                wait_s = self._wait_before_retry(response, failure, attempt)
            if not is_retried or wait_s is None or attempt >= self._retries.attempts:
                raise failure
            self._retries.sleep(wait_s)
            attempt += 1

    def _send_once(self, request: httpx.Request, *, is_stream: bool) -> httpx.Response:
        """Return what is answered, read whole unless it is a stream. Raises Unreachable."""
        try:
            response = self._http.send(request, stream=True)
            if not (response.is_success and is_stream):
                _read_whole(response)
        except httpx.TransportError as error:
            host = str(self._http.base_url).rstrip("/")
            raise Unreachable(f"{host} is not responding ({describe(error)}). {WHAT_TO_CHECK}") from error
        return response

    def _wait_before_retry(self, response: httpx.Response, failure: ApiError, attempt: int) -> float | None:
        """Return the seconds until a refused request may be sent again; None: it would be refused again."""
        is_worth_it = response.status_code in RETRIED_STATUSES or failure.code in RETRIED_CODES
        if not is_worth_it or response.headers.get("x-should-retry") == "false":
            return None
        retry_after = response.headers.get("Retry-After", "")
        wait_s = float(retry_after) if retry_after.isdigit() else self._retries.backoff_s(attempt)
        return wait_s if wait_s <= self._retries.longest_wait_s else None


WHAT_TO_CHECK = "Check the URL and your network, then try again."


def read_error(response: httpx.Response) -> ApiError:
    """Return the error that an answer tells: a problem document, or OpenAI's form on /v1."""
    kind = ERROR_OF_STATUS.get(response.status_code, ApiError)
    request_id = response.headers.get("x-request-id", "")
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    failure = body.get("error")
    if isinstance(failure, dict):
        param = failure.get("param")
        errors = (
            [{"field": param, "code": failure.get("code"), "message": failure.get("message")}]
            if param
            else []
        )
        detail = str(failure.get("message") or _without_reason(response))
        code = str(failure.get("code") or "")
        return kind(detail, status=response.status_code, code=code, errors=errors, request_id=request_id)
    return kind(
        str(body.get("detail") or _without_reason(response)),
        status=response.status_code,
        code=str(body.get("code") or ""),
        errors=body.get("errors") or [],
        request_id=str(body.get("request_id") or request_id),
    )


def describe(error: httpx.TransportError) -> str:
    """Return why a request did not arrive, in a few words."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout):
        return "timed out"
    if isinstance(error, httpx.LocalProtocolError):  # its words repeat the header, which may be the key
        return "the request could not be written"
    return str(error).rpartition("] ")[2] or "the connection was closed"  # without [Errno 111]


def _without_reason(response: httpx.Response) -> str:
    return f"The service returned {response.status_code} without a reason. Check the URL."


def _read_whole(response: httpx.Response) -> None:
    try:
        response.read()
    finally:
        response.close()
