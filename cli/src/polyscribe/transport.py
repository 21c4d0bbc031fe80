"""Requests to the service: the key, retries, and errors read from what it answers."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import httpx

from polyscribe.errors import ERROR_OF_STATUS, ApiError, Object, Unreachable
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
T = TypeVar("T")
S = TypeVar("S", bound="Transport")


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


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    name: str
    data: str


class Answer(Object):
    """An object of the API, with its ETag: as `if_match`, it keeps an edit from undoing another's."""

    etag: str = ""


class Transport:
    """One service and one key: any request of its API, with `/api/v1` put before paths such as `/keys`.

    Every POST carries an Idempotency-Key, so it can be sent again safely. All raise ApiError and Unreachable.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self.retries = retries or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        headers = {"User-Agent": USER_AGENT}
        if settings.api_key:  # a login by a browser begins without one
            headers["Authorization"] = f"Bearer {settings.api_key}"
        self._http = httpx.Client(
            base_url=settings.base_url,
            headers=headers,
            timeout=httpx.Timeout(self._timeouts.answer_s, connect=self._timeouts.connect_s),
            transport=http_transport,
        )

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Return an object."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: object = None, *, idempotency_key: str = "") -> Answer:
        """Create an object, or run an action; return what is answered."""
        return self.request("POST", path, body=body, idempotency_key=idempotency_key)

    def put(self, path: str, body: object = None) -> Answer:
        """Set an object; return it."""
        return self.request("PUT", path, body=body)

    def patch(self, path: str, body: object, *, if_match: str = "") -> Answer:
        """Edit an object; return it. `if_match`: the ETag that was read; Conflict if it has changed."""
        return self.request("PATCH", path, body=body, if_match=if_match)

    def delete(self, path: str, body: object = None) -> Answer:
        """Delete an object; return what is answered, {} for nothing."""
        return self.request("DELETE", path, body=body)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        idempotency_key: str = "",
        if_match: str = "",
    ) -> Answer:
        """Return what any address of the service answers; {} for nothing."""
        headers = {"Idempotency-Key": idempotency_key, "If-Match": if_match}
        response = self.send(method, path, query=query, body=body, headers=headers)
        try:
            answer = Answer(response.json() if response.content else {})
        except (ValueError, TypeError) as error:
            message = f"{self._http.base_url} doesn't look like Polyscribe. Check the URL."
            raise Unreachable(message) from error
        answer.etag = response.headers.get("ETag", "")
        return answer

    def pages(self, path: str, query: Query | None = None) -> Iterator[Object]:
        """Yield every object of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, {**(query or {}), "limit": PAGE_SIZE, "cursor": cursor})
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def events(
        self, method: str, path: str, body: object = None, *, what: str = "The event stream"
    ) -> Iterator[tuple[httpx.Response, ServerEvent]]:
        """Yield a stream's server-sent events, with the answer that they come in, until its reader stops.

        Raises Unreachable when the stream breaks; `what` names it then.
        """
        headers = {"Accept": "text/event-stream"}
        # Who gets no stream of a GET asks again and again instead, so there is no waiting for one.
        response = self.send(
            method, path, body=body, headers=headers, is_stream=True, is_retried=method != "GET"
        )
        try:
            for event in parse_events(response.iter_lines()):
                yield response, event
        except httpx.TransportError as error:
            raise Unreachable(f"{what} was interrupted ({describe(error)}). Try again.") from error
        finally:
            response.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        is_stream: bool = False,
        is_retried: bool = True,
    ) -> httpx.Response:
        """Return a successful answer; one that is streamed is not read yet, and its reader closes it.

        Sends again what did not arrive, and what the service asks to send again, as the policy allows.
        Raises ApiError or Unreachable.
        """
        given = {"Accept": "application/json", **_without_blanks(headers)}
        if method == "POST":
            given.setdefault("Idempotency-Key", str(uuid4()))
        request = {"params": _without_blanks(query), "json": body, "headers": given}
        if is_stream:
            request["timeout"] = httpx.Timeout(self._timeouts.token_s, connect=self._timeouts.connect_s)
        attempt = 1
        while True:
            wait_s: float | None
            failure: ApiError | Unreachable
            try:
                response = self._send_once(
                    self._http.build_request(method, full_path(path), **request),  # type: ignore[arg-type]
                    is_stream=is_stream,
                )
            except Unreachable as error:
                failure = error
                wait_s = self.retries.backoff_s(attempt)
            else:
                if response.is_success:
                    return response
                failure = read_error(response)
                wait_s = self._wait_before_retry(response, failure, attempt)
            if not is_retried or wait_s is None or attempt >= self.retries.attempts:
                raise failure
            self.retries.sleep(wait_s)
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
        wait_s = float(retry_after) if retry_after.isdigit() else self.retries.backoff_s(attempt)
        return wait_s if wait_s <= self.retries.longest_wait_s else None


WHAT_TO_CHECK = "Check the URL and your network, then try again."


def full_path(path: str) -> str:
    """Return the whole path of an address of the API."""
    return path if path.startswith((f"{WRITING}/", "/api/")) else f"{MANAGEMENT}{path}"


def _without_blanks(facts: Mapping[str, T] | None) -> dict[str, T]:
    return {name: fact for name, fact in (facts or {}).items() if fact not in (None, "")}


def parse_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Yield the events of a stream's lines. Comments, ids and times to retry are left out.

    The format is https://html.spec.whatwg.org/multipage/server-sent-events.html.
    """
    name = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(name or "message", "\n".join(data))
            name = ""
            data = []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


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
