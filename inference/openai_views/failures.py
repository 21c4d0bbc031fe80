"""Failures in OpenAI's form, by the same table as those of the gateway."""

import json
import logging
from collections.abc import Iterator, Mapping

import redis
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils.translation import override
from rest_framework import exceptions
from rest_framework.response import Response

from core.errors import Conflict, DomainError, NotFound, Unavailable
from inference.contract import http_errors
from inference.errors import BadRequest, UnknownKey, WrongMethod

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError, redis.RedisError, ConnectionError)


def answer_failure(error: Exception, context: Mapping[str, object]) -> Response:
    """Return the answer to a failed request; REST framework calls it for each.

    A fault of the program is logged with the request's id and answered with a 500 without particulars.
    """
    failure = _as_domain_error(error, context)
    if failure is None:
        request_id = getattr(context.get("request"), "request_id", "?")
        logger.error("request %s failed", request_id, exc_info=error)
        failure = DomainError("Something went wrong on our side. Nothing was changed.")
    with override("en"):  # programs are answered in English
        status, body, headers = http_errors.error(failure)
    answer = json.loads(body)
    answer["error"]["message"] = failure.program_message
    response = Response(answer, status=status)
    for name, value in headers:
        response[name.decode()] = value.decode()
    if isinstance(failure, Conflict):
        response["x-should-retry"] = "false"  # OpenAI's clients send a 409 again by themselves
    return response


def _as_domain_error(error: Exception, context: Mapping[str, object]) -> DomainError | None:
    """Return what a failure is in our own tree; None for a fault of the program."""
    match error:
        case DomainError():
            faults = getattr(error, "errors", None)  # those of a form, by its fields
            return _name_fault(faults) if faults else error
        case UnreadablePostError():
            return BadRequest("The request body broke off.")
        case Http404():
            return NotFound()
        case exceptions.APIException():
            return _explain(error, context)
    return Unavailable() if isinstance(error, OUTAGES) else None


def _explain(error: exceptions.APIException, context: Mapping[str, object]) -> DomainError:
    """Return what REST framework says, in our own tree."""
    match error:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return UnknownKey()
        case exceptions.ValidationError():
            return _name_fault(error.detail)
        case exceptions.MethodNotAllowed():
            return WrongMethod(allowed=", ".join(_allowed_methods(context)), method=_method_of(context))
    return BadRequest(str(error.detail)[:300])


def _name_fault(faults: object) -> BadRequest:
    """Return the first fault: clients show the message alone, so it names the field, too."""
    field, sentence = next(_list_faults(faults))
    return BadRequest(f"`{field}`: {sentence}", param=field) if field else BadRequest(sentence)


def _allowed_methods(context: Mapping[str, object]) -> list[str]:
    methods: list[str] = getattr(context.get("view"), "allowed_methods", [])
    return [method for method in methods if method != "OPTIONS"]


def _method_of(context: Mapping[str, object]) -> str:
    return str(getattr(context.get("request"), "method", ""))[:20]


def _list_faults(detail: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield the faults of a body with the field of each: nested ones are named with dots."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _list_faults(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _list_faults(inner, field)
    else:
        yield field.removesuffix(".non_field_errors"), str(detail)[:300]
