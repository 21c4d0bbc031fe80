"""The one table from errors to HTTP, in OpenAI's form (as its official Python client reads it)."""

import json

from foundation.errors import DomainError
from inference import errors
from inference.contract.route import NEAREST

type Headers = list[tuple[bytes, bytes]]

# The first row that fits counts: (error, status, type).
TABLE: tuple[tuple[type[DomainError], int, str], ...] = (
    (errors.RequestFailed, 502, "api_error"),
    (errors.EngineDied, 502, "api_error"),
    (errors.TooLarge, 413, "invalid_request_error"),
    (errors.UnknownEncoding, 415, "invalid_request_error"),
    (errors.WrongMethod, 405, "invalid_request_error"),
    (errors.Invalid, 400, "invalid_request_error"),
    (errors.UnknownKey, 401, "invalid_request_error"),
    (errors.NotAllowed, 403, "permission_error"),
    (errors.NotFound, 404, "invalid_request_error"),
    (errors.Conflict, 409, "invalid_request_error"),
    (errors.QuotaExhausted, 429, "insufficient_quota"),
    (errors.TooLargeForLimit, 429, "tokens"),
    (errors.Limited, 429, "requests"),
    (errors.Unavailable, 503, "service_unavailable_error"),
)
NEVER_AGAIN = (
    errors.QuotaExhausted, errors.TooLargeForLimit, errors.TooManyAtOnce, errors.KeyUsedOtherwise,
    errors.RequestFailed, errors.EngineDied, errors.SuspectRequest,
)  # fmt: skip
WITHOUT_CODE = (errors.BadRequest, errors.TooLarge)


def status_and_type(error: DomainError) -> tuple[int, str]:
    """Return the HTTP status and OpenAI's error type."""
    for kind, status, name in TABLE:
        if isinstance(error, kind):
            limit_type = error.facts.get("type")
            return status, limit_type if isinstance(limit_type, str) else name
    return 500, "server_error"


def error(error: DomainError) -> tuple[int, bytes, Headers]:
    """Return an error's status, body and headers."""
    return status_and_type(error)[0], body(error), headers(error)


def body(error: DomainError) -> bytes:
    """Return `{"error": {...}}` with the four keys that clients expect."""
    code = None if isinstance(error, WITHOUT_CODE) else error.code
    kind = status_and_type(error)[1]
    param = error.facts.get("param")
    return json.dumps(
        {"error": {"message": error.message, "type": kind, "param": param, "code": code}}
    ).encode()


def headers(error: DomainError) -> Headers:
    """Return the headers that tell a client whether and when to try again."""
    retry_s, state = error.facts.get("retry_s"), error.facts.get("adapter_state")
    if isinstance(error, NEVER_AGAIN):
        return [(b"x-should-retry", b"false")]
    if isinstance(error, errors.Limited | errors.Unavailable | errors.KeyInUse):
        again = [(b"retry-after", str(retry_s or 2).encode())]
        return again + adapter_state(state) if isinstance(state, str) else again
    if isinstance(error, errors.WrongMethod):
        return [(b"allow", str(error.facts["allowed"]).encode())]
    return []


ADAPTER_STATES: dict[str, Headers] = {
    state: [(b"x-adapter-state", state.encode())] for state in (*NEAREST, "loading")
}


def adapter_state(state: str) -> Headers:
    """Return the header that says how near the style was: warm, cpu, disk, or loading if that took a wait."""
    return ADAPTER_STATES[state]
