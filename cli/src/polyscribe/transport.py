"""Requests to the service: the key, retries, and errors read from what it answers."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from uuid import uuid4

import httpx

from polyscribe.errors import ERROR_OF_STATUS, ApiError, Object, RateLimited, Unavailable, Unreachable
from polyscribe.settings import Settings
from polyscribe.version import __version__

USER_AGENT = f"polyscribe-cli/{__version__}"
PAGE_SIZE = 100

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
        self._http_transport = http_transport
        headers = {"User-Agent": USER_AGENT}
        if settings.api_key:  # a login by a browser begins without one
            headers["Authorization"] = f"Bearer {settings.api_key}"
        self._http = httpx.Client(base_url=settings.base_url, headers=headers, transport=http_transport)

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()
        if "storage" in vars(self):
            self.storage.close()

    @cached_property
    def storage(self) -> httpx.Client:
        """The way to addresses that the service signed; the key is not sent there."""
        return httpx.Client(timeout=httpx.Timeout(60, connect=10), transport=self._http_transport)

    def get(self, path: str, query: Query | None = None) -> Answer:
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
        response = self._send(method, path, query=query, body=body, headers=headers)
        try:
            answer = Answer(response.json() if response.content else {})
        except (ValueError, TypeError) as error:
            message = f"{self.settings.base_url} doesn't look like Polyscribe. Check the URL."
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
    ) -> Iterator[tuple[httpx.Response, str, str]]:
        """Yield the name and data of each server-sent event, with the answer that they come in.

        Raises Unreachable when the stream breaks; `what` names it then.
        """
        # Who gets no stream of a GET asks again and again instead, so there is no waiting for one.
        response = self._send(
            method,
            path,
            body=body,
            headers={"Accept": "text/event-stream"},
            is_stream=True,
            is_retried=method != "GET",
        )
        try:
            for name, data in parse_events(response.iter_lines()):
                yield response, name, data
        except httpx.TransportError as error:
            raise Unreachable(f"{what} was interrupted ({describe(error)}). Try again.") from error
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str],
        is_stream: bool = False,
        is_retried: bool = True,
    ) -> httpx.Response:
        """Return a successful answer; one that is streamed is not read yet, and its reader closes it.

        Sends again what did not arrive, and what the service asks to send again, as the policy allows.
        """
        given = {"Accept": "application/json", **_without_blanks(headers)}
        if method == "POST":
            given.setdefault("Idempotency-Key", str(uuid4()))
        answer_s = self._timeouts.token_s if is_stream else self._timeouts.answer_s
        request = self._http.build_request(
            method,
            path if path.startswith(("/v1/", "/api/")) else f"/api/v1{path}",
            params=_without_blanks(query or {}),
            json=body,
            headers=given,
            timeout=httpx.Timeout(answer_s, connect=self._timeouts.connect_s),
        )
        attempt = 1
        while True:
            failure: ApiError | Unreachable
            try:
                response = self._http.send(request, stream=True)
                if response.is_success and is_stream:
                    return response
                response.read()
            except httpx.TransportError as error:
                failure = unreachable(self.settings, error)
                wait_s: float | None = self.retries.backoff_s(attempt)
            else:
                if response.is_success:
                    return response
                failure = read_error(response)
                wait_s = self._wait_before_retry(response, failure, attempt)
            if not is_retried or wait_s is None or attempt >= self.retries.attempts:
                raise failure
            self.retries.sleep(wait_s)
            attempt += 1

    def _wait_before_retry(self, response: httpx.Response, failure: ApiError, attempt: int) -> float | None:
        """Return the seconds until a refused request may be sent again; None: it would be refused again."""
        is_busy = isinstance(failure, RateLimited | Unavailable)
        # The first of two equal requests is still at work: its answer is there shortly.
        is_worth_it = is_busy or failure.code == "idempotency_key_in_use"
        if not is_worth_it or response.headers.get("x-should-retry") == "false":
            return None
        retry_after = response.headers.get("Retry-After", "")
        wait_s = float(retry_after) if retry_after.isdigit() else self.retries.backoff_s(attempt)
        return wait_s if wait_s <= self.retries.longest_wait_s else None


def _without_blanks(facts: Mapping[str, T]) -> dict[str, T]:
    return {name: fact for name, fact in facts.items() if fact not in (None, "")}


def parse_events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and data of a stream's events. Comments, ids and times to retry are left out.

    The format is https://html.spec.whatwg.org/multipage/server-sent-events.html.
    """
    name = ""
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if data:
                yield name or "message", "\n".join(data)
            name = ""
            data = []


def read_error(response: httpx.Response) -> ApiError:
    """Return the error that an answer tells: a problem document, or OpenAI's form on /v1."""
    try:
        body = response.json()
    except ValueError:
        body = None
    told: Object = body if isinstance(body, dict) else {}
    failure = told.get("error")
    if isinstance(failure, dict):
        told = {"detail": failure.get("message"), "code": failure.get("code")}
        if failure.get("param"):
            told["errors"] = [{"field": failure["param"], "code": told["code"], "message": told["detail"]}]
    nothing = f"The service returned {response.status_code} without a reason. Check the URL."
    return ERROR_OF_STATUS.get(response.status_code, ApiError)(
        str(told.get("detail") or nothing),
        status=response.status_code,
        code=str(told.get("code") or ""),
        errors=told.get("errors") or [],
        request_id=str(told.get("request_id") or response.headers.get("x-request-id", "")),
    )


def unreachable(settings: Settings, error: httpx.TransportError) -> Unreachable:
    """Return what is said of a service to which a request did not get."""
    failure = Unreachable(
        f"{settings.base_url} is not responding ({describe(error)}). "
        "Check the URL and your network, then try again."
    )
    failure.__cause__ = error
    return failure


def describe(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout):
        return "timed out"
    if isinstance(error, httpx.LocalProtocolError):  # its words repeat the header, which may be the key
        return "the request could not be written"
    return str(error).rpartition("] ")[2] or "the connection was closed"  # without [Errno 111]
