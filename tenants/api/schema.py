"""How operations of the management API describe themselves in the OpenAPI document."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from core.money import dollars
from core.rest.bodies import StrictSerializer
from core.rest.objects import MessageText
from core.rest.pages import DEFAULT_LIMIT, MAX_LIMIT
from core.rest.problems import CONTENT_TYPE
from tenants.api import idempotency
from tenants.models import Scope
from tenants.roles import Permission, describe_allowed

JSON = "application/json"

type Shape = type[serializers.Serializer[Any]]
type Handler = Callable[..., Any]

COMMON_ERRORS = {
    400: "The request is invalid. See `errors` for each field.",
    401: "The API key is missing or invalid.",
    403: "The key lacks the scope, or the member's role doesn't allow this.",
    404: "Not found in this workspace.",
    405: "Method not allowed. See `Allow` for the supported methods.",
    406: "The response is not available in the type requested with `Accept`.",
    429: "Too many requests. Retry after the time in `Retry-After`.",
    503: "Part of the service is unavailable. Nothing was changed.",
}
ERRORS_OF_CHANGES = {
    409: "The current state doesn't allow this, or the Idempotency-Key is in use.",
    412: "The object has changed and no longer matches `If-Match`.",
    413: "The request body is too large.",
    415: "The request body is not JSON.",
}
CONFLICT = "The current state doesn't allow this. See `code` for the reason."
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_NAME},
    OpenApiParameter.HEADER,
    description="Any string of up to 255 characters. Repeating the request with the same key within 24 hours "
    "has no further effect.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The object's ETag. The change is made only if the object hasn't changed since you read it.",
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    description="Number of results per page.",
)
CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="The previous page's `next_cursor`.")
PATH_PARAMETERS = {  # of others: "The key's id."
    "request_id": "The `x-request-id` of the answer.",
    "style": (
        "The style's name as in `model`, without a version (`brand-voice`, `acme/brand-voice`), or its id."
    ),
    "number": "The version's number.",
    "workspace": "The workspace's slug.",
    "note_id": "The credit note's id.",
}
# What an example has where its shape says nothing else: by the field's name, so that examples agree.
SAMPLES: dict[str, Any] = {
    **dict.fromkeys(("created_by", "actor", "invited_by"), "alice@example.com"),
    "model": "acme/brand-voice",
    "style": "acme/brand-voice",
    "number": 4,
    "version": 4,
    "request_id": "req_4f0c",
    "period": "2026-11",
    "first_period": "2026-11",
    "object_id": str(uuid5(NAMESPACE_OID, "api_key")),
    "sha256": "c0ffee" + 58 * "0",
    "config_sha256": "beef" + 60 * "0",
    "size_bytes": 2_459_136,
    "requests": 120,
    "prompt_tokens": 5400,
    "completion_tokens": 18_200,
    "cost_nanousd": 12_940_000,
    "input_nanousd": 500,
    "cached_input_nanousd": 125,
    "output_nanousd": 2000,
    "author_percent": 20,
}
IDS = {  # field or kind of object → the object whose id it is
    "key": "api_key",
    "style_id": "style",
    **dict.fromkeys(("upload", "erasure", "NewUploadObject"), "version"),
}


class ApiSchema(AutoSchema):
    """Describes an operation as drf-spectacular does, with what it leaves out.

    That is the body of a DELETE, what a part of a path names, and that bodies have no unknown fields.
    """

    def _map_basic_serializer(self, serializer: Any, direction: str) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _is_list_view(self, serializer: Any = None) -> bool:
        # A page is described as the object that it is, not as a list of what is on it.
        return not hasattr(self.view, "action") and super()._is_list_view(serializer)

    def _resolve_path_parameters(self, variables: Any) -> Any:
        parameters = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]
        for parameter in parameters:
            name = parameter["name"]
            parameter["description"] = PATH_PARAMETERS.get(name) or f"The {name.removesuffix('_id')}'s id."
        return parameters

    def _get_request_body(self, direction: str = "request") -> Any:
        if self.method != "DELETE":
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        self.method = "PUT"
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        self.method = "DELETE"
        if body:
            body["required"] = False
        return body

    def get_examples(self) -> list[OpenApiExample]:
        operations: Mapping[str, Operation] = getattr(self.view, "operations", {})
        operation = operations.get(getattr(self.view, "action", ""))
        return list(_examples(operation)) if operation else []


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document names authentication by key."""

    target_class = "tenants.api.views.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the scheme: a bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, `sk-ps-…`."}


class StudioScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document names authentication by the studio's session."""

    target_class = "tenants.api.views.StudioAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the scheme: the session's cookie; changes also send `X-CSRFToken`."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class FieldProblem(serializers.Serializer[Any]):
    """An invalid field."""

    field = serializers.CharField(help_text="Name of the field.")
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """Why a request failed (RFC 9457)."""

    type = serializers.CharField(help_text="A URI that identifies the kind of problem.")
    title = serializers.CharField(help_text="The kind of problem, in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    code = serializers.CharField(help_text="Stable, machine-readable code.")
    detail = serializers.CharField(help_text="Human-readable message: what is wrong and what to do.")
    errors = FieldProblem(many=True, help_text="The invalid fields. Empty if the cause is something else.")  # type: ignore[assignment]
    request_id = serializers.CharField()


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """What is so of one operation; a viewset says what differs from the usual one of its method."""

    method: str
    name: str
    summary: str
    tag: str
    scope: Scope | None
    needs: Permission | None  # what a person must be allowed, if the scope does not say it
    needs_key: bool = True
    detail: bool = True  # below the address of one object
    url_path: str
    body: type[StrictSerializer] | None = None
    query: type[StrictSerializer] | None = None
    answer: Shape | None
    status: int
    is_page: bool = False  # the answer is a page of a list
    is_filtered: bool = False  # by the query: the method does not take it
    is_edit: bool = False  # it honours `If-Match`
    is_locked: bool = False  # nobody else changes the object meanwhile
    is_repeatable: bool = False  # it runs in no transaction, and no answer need be kept for a key
    is_post: bool  # it documents `Idempotency-Key`
    can_conflict: bool = False  # it changes nothing, and may still be 409
    example: Any = None  # of the answer: what differs from its shape's
    others: Mapping[str, object] = field(default_factory=dict)  # media type → shape of what is no JSON
    says: str = "The response."
    view_options: Mapping[str, Any] = field(default_factory=dict)  # as `as_view` takes them


def describe(handler: Handler, operation: Operation) -> Handler:
    """Return a handler with what the document says of its operation: name, body, answers and every error."""
    shape = _page_of(operation.answer) if operation.is_page and operation.answer else operation.answer
    errors = _describe_errors(is_change=operation.method != "get", can_conflict=operation.can_conflict)
    parameters: list[Any] = [operation.query] if operation.query else []
    parameters += [LIMIT, CURSOR] if operation.is_page else []
    parameters += [IDEMPOTENCY_KEY] if operation.is_post else []
    parameters += [IF_MATCH] if operation.is_edit else []
    return describe_handler(
        operation.name,
        _describe_rights(operation),
        scope=operation.scope,
        permission=operation.needs,
        summary=operation.summary,
        request=operation.body,
        responses=_describe_answers(operation, shape) | errors,
        parameters=parameters,
        auth=None if operation.needs_key else [],
        tags=[operation.tag],
    )(handler)


def describe_handler(
    name: str, rights: str, *, scope: Scope | None, permission: Permission | None, **facts: Any
) -> Callable[[Handler], Handler]:
    """Return a decorator that describes an operation by its handler's docstring and its `rights`.

    `facts`: as `extend_schema` takes them. The view finds scope and permission on the handler.
    """

    def describe(handler: Handler) -> Handler:
        sentence = inspect.cleandoc(handler.__doc__ or "").replace("\n", " ")
        described: Handler = extend_schema(operation_id=name, description=f"{sentence} {rights}", **facts)(
            handler
        )
        described.scope = scope  # type: ignore[attr-defined]
        described.permission = permission  # type: ignore[attr-defined]
        return described

    return describe


def _describe_answers(operation: Operation, shape: Any) -> dict[Any, OpenApiResponse]:
    """Return the answers of a success by status, or by status and media type where there are several."""
    status, others = operation.status, operation.others
    answers: dict[Any, OpenApiResponse] = {}
    if shape:
        answers[(status, JSON) if others else status] = OpenApiResponse(shape, description=operation.says)
    for media_type, other in others.items():
        answers[status, media_type] = OpenApiResponse(other, description=operation.says)
    return answers or {status: OpenApiResponse(description="Done.")}


def _describe_errors(*, is_change: bool, can_conflict: bool) -> dict[Any, OpenApiResponse]:
    sentences = COMMON_ERRORS | (ERRORS_OF_CHANGES if is_change else {})
    if can_conflict:
        sentences = {**sentences, 409: CONFLICT}
    errors = {}
    for code, sentence in sentences.items():
        errors[code, CONTENT_TYPE] = OpenApiResponse(Problem, description=sentence)
    return errors


def _describe_rights(operation: Operation) -> str:
    """Return what a key and a person need."""
    scope = operation.scope
    sentence = f"Requires the scope `{scope.value}`." if scope else "Works with any key."
    if not operation.needs_key:
        sentence = "Requires no key."
    return f"{sentence} Roles: {describe_allowed(operation.needs)}." if operation.needs else sentence


def _page_of(shape: Shape) -> Any:
    fields: dict[str, Any] = {
        "data": shape(many=True),
        "has_more": serializers.BooleanField(),
        "next_cursor": serializers.CharField(allow_null=True, help_text="Pass it as `cursor`."),
    }
    return inline_serializer(f"{shape.__name__}Page", fields)


@cache
def _examples(operation: Operation) -> Sequence[OpenApiExample]:
    examples = []
    if operation.body:
        examples.append(OpenApiExample("Request", example_of(operation.body), request_only=True))
    value = operation.example
    shown_as = JSON if operation.answer else next(iter(operation.others), JSON)
    if operation.answer:
        value = example_of(operation.answer, operation.example)
    if operation.is_page:
        value = {"data": [value], "has_more": False, "next_cursor": None}
    if value is not None:
        status = [str(operation.status)]
        answer = OpenApiExample("Answer", value, response_only=True, status_codes=status, media_type=shown_as)
        examples.append(answer)
    return examples


def example_of(shape: Shape, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an example of an object: what is said, else its classes' `example`, else its fields' `initial`,
    or what their names and kinds say. A body has what one of the first three says.

    Raises TypeError for a field of which nothing says an example, and for what the shape doesn't have.
    """
    all_said: dict[str, Any] = {}
    for one in reversed(shape.__mro__):
        all_said |= vars(one).get("example", {})
    all_said |= said or {}
    fields = shape().fields
    kind = str(getattr(fields.get("object"), "default", shape.__name__))
    example: dict[str, Any] = {}
    for name, field_ in fields.items():
        if name in all_said:
            example[name] = _fill(field_, all_said[name])
        elif issubclass(shape, StrictSerializer) and not _says_example(field_):
            continue
        elif name.endswith("_usd") and (exact := name.replace("_usd", "_nanousd")) in example:
            example[name] = dollars(example[exact])
        else:
            example[name] = _fill(field_, _sample(kind if name == "id" else name, field_))
    if unknown := all_said.keys() - example.keys():
        raise TypeError(f"{shape.__name__} has no {sorted(unknown)}.")
    return example


def _says_example(field_: Any) -> bool:
    if isinstance(field_, serializers.BaseSerializer):
        inner: Any = getattr(field_, "child", field_)
        return bool(example_of(type(inner)))
    return "initial" in field_._kwargs


def _fill(field_: Any, said: Any) -> Any:
    """Return what is said of a field, with what is not said of objects in it."""
    if isinstance(field_, serializers.ListSerializer):
        return [_fill(field_.child, one) for one in said]
    if isinstance(field_, serializers.Serializer) and said is not None:
        return example_of(type(field_), said)
    return said


def _sample(name: str, field_: Any) -> Any:
    """Return an example of a field. Raises TypeError if neither its name nor its kind says one."""
    is_blank = isinstance(field_, MessageText) or getattr(field_, "allow_blank", False)
    is_id = isinstance(field_, serializers.UUIDField) and not field_.allow_null
    samples: tuple[tuple[bool, Any], ...] = (
        (isinstance(field_, serializers.ListSerializer), [{}]),
        (isinstance(field_, serializers.BaseSerializer), {}),
        ("initial" in field_._kwargs, field_.initial),
        (is_id, str(uuid5(NAMESPACE_OID, IDS.get(name, name)))),
        (isinstance(field_.default, str), field_.default),
        (name in SAMPLES, SAMPLES.get(name)),
        (field_.allow_null, None),
        (is_blank, ""),
        (
            isinstance(field_, serializers.BooleanField | serializers.ListField | serializers.DictField),
            field_.initial,
        ),
        (isinstance(field_, serializers.DateTimeField), "2026-11-26T09:30:00Z"),
    )
    for is_so, sample in samples:
        if is_so:
            return sample
    raise TypeError(f"Nothing says an example of {name}: {field_}.")
