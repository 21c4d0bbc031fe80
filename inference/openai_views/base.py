"""What the views of this API share: keys alone, failures in OpenAI's form, lists by `after` and `limit`."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import redis
from django.db import InterfaceError, OperationalError
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Conflict, DomainError, NotFound, Unavailable
from core.rest.bodies import StrictParser
from inference.api import cors
from inference.contract import http_errors
from inference.errors import BadRequest, UnknownKey, UnknownPath, WrongMethod
from inference.proxy.bodies import require_json
from tenants.rest import KeyAuthentication, WorkspaceView

# Failures in OpenAI's form, by the same table as those of the gateway.

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


# Pages of allowed origins may ask what Django answers, as they ask the gateway (inference/api/cors.py).


def answer_page(
    request: HttpRequest, answer: Callable[[], HttpResponseBase], *, methods: str
) -> HttpResponseBase:
    """Return an answer that a page of an allowed origin can read; to its preflight, what it may send."""
    headers = cors.origin_headers(request.headers.get("Origin", ""))
    response: HttpResponseBase
    if headers and request.method == "OPTIONS":
        requested = request.headers.get("Access-Control-Request-Headers", "")
        headers += cors.preflight_headers(requested, methods)
        response = HttpResponse(status=204)
    else:
        response = answer()
    for name, value in headers:
        if name != b"vary":
            response[name.decode()] = value.decode("latin-1")
    patch_vary_headers(response, ["Origin"])
    return response


# What any other address answers that is below the site's own of /v1.


@csrf_exempt
def answer_unknown(request: HttpRequest) -> HttpResponse:
    """Answer 404 in OpenAI's form."""
    with override("en"):  # programs are answered in English
        status, body, _ = http_errors.error(UnknownPath())
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


type Present = Callable[[Any], Mapping[str, object]]


class FirstRenderer(BaseContentNegotiation):
    """Answers in JSON whatever a client accepts: OpenAI's asks for `application/binary` to get a file."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return what reads the body, as JSON. Raises UnknownMediaType."""
        require_json(request.content_type or "")
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return what writes the answer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class OpenAiView(WorkspaceView):
    """A view of what one workspace has: that of another one is 404."""

    authentication_classes = [KeyAuthentication]
    parser_classes = [StrictParser]
    content_negotiation_class = FirstRenderer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, also to a page of an allowed origin."""
        answer = partial(super().dispatch, request, *args, **kwargs)
        return answer_page(request, answer, methods=", ".join(self.allowed_methods))

    def get_exception_handler(self) -> Any:
        """Return what turns exceptions into errors of OpenAI's form."""
        return answer_failure

    def answer_list(
        self,
        rows: QuerySet[Any],
        present: Present,
        *,
        find: Callable[[str], Model],
        default_limit: int,
        most: int,
        field: str = "created_at",
        is_ascending: bool = False,
    ) -> Response:
        """Answer with the rows that follow the one that `after` names, the newest first.

        `find` returns the row of an id, and raises where there is none.
        """
        limit = read_limit(self.request, default=default_limit, most=most)
        after = self.request.query_params.get("after")
        if after:
            rows = rows.filter(_follows(find(after), field, is_ascending=is_ascending))
        sign = "" if is_ascending else "-"
        found = list(rows.order_by(f"{sign}{field}", f"{sign}pk")[: limit + 1])
        data = [present(row) for row in found[:limit]]
        return Response(
            {
                "object": "list",
                "data": data,
                "has_more": len(found) > limit,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
            }
        )


def read_limit(request: Request, *, default: int, most: int) -> int:
    """Return how many rows an answer has. Raises BadRequest."""
    written = request.query_params.get("limit", str(default))
    if not (written.isascii() and written.isdigit() and len(written) <= 6 and 1 <= int(written) <= most):
        raise BadRequest(f"`limit` must be a number from 1 to {most}.", param="limit")
    return int(written)


def unix_time(at: datetime | None) -> int | None:
    """Return a moment as seconds since 1970."""
    return None if at is None else int(at.timestamp())


def _follows(row: Model, field: str, *, is_ascending: bool) -> Q:
    """Return the rows behind one, in an order by a field and then by key."""
    way = "gt" if is_ascending else "lt"
    value = getattr(row, field)
    return Q(**{f"{field}__{way}": value}) | Q(**{field: value, f"pk__{way}": row.pk})
