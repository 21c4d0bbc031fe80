"""Every failure of the management API as a problem document (RFC 9457)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import UnionType
from typing import Any

import redis
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from core import errors
from core.errors import PreconditionFailed, TooManyRequests

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
MAX_REPEATED = 200  # characters of what was sent that an error repeats
MAX_FAULTS = 50  # that an error names

type FieldError = dict[str, str]


# (error, status). The first row that matches counts.
STATUSES: tuple[tuple[type[errors.DomainError], int], ...] = (
    (PreconditionFailed, 412),
    (TooManyRequests, 429),
    (errors.Invalid, 400),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
)
TITLES = {
    400: "Invalid request",
    401: "Authentication required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    412: "Precondition failed",
    413: "Payload too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Server error",
    503: "Unavailable",
}
API_CODES = {
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.ParseError: "malformed_body",
}


def answer_failure(error: Exception, context: Mapping[str, object]) -> Response | None:
    """Return the problem document of an exception; REST framework calls it for each failed request.

    A fault of the program is logged with the request's id and answered with a 500 without particulars.
    """
    for kind, answer in ANSWERS:
        if isinstance(error, kind):
            return answer(error)
    if isinstance(error, OUTAGES):
        logger.warning("request %s: %s: %s", _request_id(context), type(error).__name__, error)
        sentence = "Part of the service is unavailable. Nothing was changed. Try again shortly."
        return problem(503, "unavailable", sentence, retry_after_s=RETRY_AFTER_S)
    logger.error("request %s failed", _request_id(context), exc_info=error)
    return problem(500, "server_error", "Something went wrong on our side. Nothing was changed.")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    fields: Sequence[FieldError] = (),
    retry_after_s: int | None = None,
) -> Response:
    """Return a problem document as a response. Its `request_id` is added when it is rendered."""
    body = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "errors": list(fields),
    }
    response = Response(body, status=status, content_type=CONTENT_TYPE)
    if retry_after_s is not None:
        response["Retry-After"] = str(retry_after_s)
    return response


def status_of(error: errors.DomainError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 400)


def _answer_domain_error(error: errors.DomainError) -> Response:
    status = status_of(error)
    field = error.facts.get("field")
    fields: list[FieldError] = []
    if field:
        fields.append({"field": str(field), "code": error.code, "message": error.program_message})
    if isinstance(error, errors.FieldsRefused):
        fields += list(_field_errors(error.errors))
    retry_s = error.facts.get("retry_s")
    if retry_s is None and status == 503:
        retry_s = RETRY_AFTER_S
    retry_after_s = int(str(retry_s)) if retry_s is not None else None
    return problem(status, error.code, error.program_message, fields=fields, retry_after_s=retry_after_s)


def _answer_api_exception(error: exceptions.APIException) -> Response:
    code = API_CODES.get(type(error), str(error.default_code))
    detail = _shorten(str(error.detail))
    response = problem(error.status_code, code, detail)
    if error.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _answer_validation_error(error: exceptions.ValidationError) -> Response:
    fields = []
    for fault in islice(_field_errors(error.detail), MAX_FAULTS):
        fields.append(fault | {"message": _shorten(fault["message"])})
    return problem(400, "invalid", "Some fields are invalid.", fields=fields)


def _answer_missing(_: Exception) -> Response:
    return problem(404, "not_found", "Not found.")


def _answer_forbidden(error: PermissionDenied) -> Response:
    return problem(403, "not_allowed", str(error) or "You don't have permission to do this.")


def _answer_large_body(_: RequestDataTooBig) -> Response:
    return problem(
        413, "too_large", "The request body is too large. Upload files to the storage, not to this endpoint."
    )


def _field_errors(detail: Any, field: str = "") -> Iterator[FieldError]:
    """Yield one entry a fault: nested fields are named with dots, as in `limits.monthly_tokens`."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _field_errors(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list | tuple):
        for position, inner in enumerate(detail):
            is_nested = isinstance(inner, Mapping | list)
            yield from _field_errors(inner, f"{field}.{position}" if is_nested else field)
    else:
        code = getattr(detail, "code", "invalid") or "invalid"
        yield {"field": field[:MAX_REPEATED], "code": str(code), "message": str(detail)}


def _shorten(sentence: str) -> str:
    """Return a sentence that may repeat what was sent without its middle: its end says what is wrong."""
    if len(sentence) <= MAX_REPEATED:
        return sentence
    return f"{sentence[: MAX_REPEATED // 2]} … {sentence[-MAX_REPEATED // 2 :]}"


def _request_id(context: Mapping[str, object]) -> str:
    return str(getattr(context.get("request"), "request_id", "?"))


# (error, what answers it). The first row that matches counts.
ANSWERS: tuple[tuple[type[Exception] | UnionType, Callable[[Any], Response]], ...] = (
    (errors.DomainError, _answer_domain_error),
    (exceptions.ValidationError, _answer_validation_error),
    (Http404 | exceptions.NotFound, _answer_missing),
    (PermissionDenied, _answer_forbidden),
    (RequestDataTooBig, _answer_large_body),
    (exceptions.APIException, _answer_api_exception),
)
OUTAGES = (OperationalError, InterfaceError, redis.RedisError, ConnectionError)
