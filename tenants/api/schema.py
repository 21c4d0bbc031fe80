"""How operations of the management API describe themselves in the OpenAPI document."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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

from core.rest.bodies import StrictSerializer
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
PATH_PARAMETERS = {
    "request_id": "The `x-request-id` of the answer.",
    "style": (
        "The style's name as in `model`, without a version (`brand-voice`, `acme/brand-voice`), or its id."
    ),
    "number": "The version's number.",
    "workspace": "The workspace's slug.",
    "version_id": "The version's id.",
    "training_id": "The training's id.",
    "document_id": "The document's id.",
    "file_id": "The file's id.",
    "job_id": "The job's id.",
    "response_id": "The response's id.",
    "conversation_id": "The conversation's id.",
    "item_id": "The item's id.",
    "key_id": "The key's id.",
    "member_id": "The member's id.",
    "invitation_id": "The invitation's id.",
    "invoice_id": "The invoice's id.",
    "note_id": "The credit note's id.",
    "payment_id": "The payment's id.",
    "endpoint_id": "The endpoint's id.",
    "delivery_id": "The delivery's id.",
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
            parameter["description"] = PATH_PARAMETERS[parameter["name"]]
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


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document names authentication by key."""

    target_class = "tenants.api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the scheme: a bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, `sk-ps-…`."}


class StudioScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document names authentication by the studio's session."""

    target_class = "tenants.api.authentication.StudioAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the scheme: the session's cookie; changes also send `X-CSRFToken`."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class FieldProblem(serializers.Serializer[Any]):
    """An invalid field."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """Why a request failed (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable, machine-readable code.")
    detail = serializers.CharField(help_text="Human-readable message: what is wrong and what to do.")
    errors = FieldProblem(many=True)  # type: ignore[assignment]
    request_id = serializers.CharField()


def operation(
    name: str,
    summary: str,
    *,
    scope: Scope | None,
    needs_key: bool = True,
    needs: Permission | None = None,
    body: Shape | None = None,
    answer: Any = None,
    status: int = 200,
    is_page: bool = False,
    query: Shape | None = None,
    is_edit: bool = False,
    is_post: bool = False,
    is_change: bool = False,
    can_conflict: bool = False,
    example: object = None,
    body_example: object = None,
    tag: str = "",
    others: Mapping[str, object] | None = None,
    says: str = "The response.",
) -> Callable[[Handler], Handler]:
    """Return a decorator that describes one operation: its name, body, answer, examples and every error.

    `is_page`: the answer is a page of a list; `is_edit`: it honours `If-Match`; `is_post`: `Idempotency-Key`;
    `is_change`: it changes something without any of these; `can_conflict`: it changes nothing and may still
    be 409; `others`: media type → shape of answers that are no JSON; `says`: what the answer is; `needs`:
    what a person must be allowed, if the scope does not say it. Without `example` and `body_example`, these
    are the ones of their shapes. `WorkspaceView` asks the handler for the scope and the permission that it
    keeps.
    """
    if example is None:
        example = getattr(answer, "example", None)
    if body_example is None:
        body_example = getattr(body, "example", None)
    shape = _page_of(answer) if is_page and answer else answer
    others = others or {}
    answers = _describe_answers(shape, others, status=status, says=says)
    is_any_change = bool(body or is_edit or is_post or is_change)
    errors = _describe_errors(is_change=is_any_change, can_conflict=can_conflict)
    parameters: list[Any] = [query] if query else []
    parameters += [LIMIT, CURSOR] if is_page else []
    parameters += [IDEMPOTENCY_KEY] if is_post else []
    parameters += [IF_MATCH] if is_edit else []
    shown_as = JSON if shape or not others else next(iter(others))
    examples = _examples(example, body_example, status=status, is_page=is_page, media_type=shown_as)
    rights = _describe_rights(scope, needs, needs_key=needs_key)

    return describe_handler(
        name,
        rights,
        scope=scope,
        permission=needs,
        summary=summary,
        request=body,
        responses=answers | errors,
        parameters=parameters,
        auth=None if needs_key else [],
        examples=examples,
        tags=[tag or name.partition(".")[0]],
    )


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


def _describe_answers(
    shape: Any, others: Mapping[str, object], *, status: int, says: str
) -> dict[Any, OpenApiResponse]:
    """Return the answers of a success by status, or by status and media type where there are several."""
    answers: dict[Any, OpenApiResponse] = {}
    if shape:
        answers[(status, JSON) if others else status] = OpenApiResponse(shape, description=says)
    for media_type, other in others.items():
        answers[(status, media_type)] = OpenApiResponse(other, description=says)
    return answers or {status: OpenApiResponse(description="Done.")}


def _describe_errors(*, is_change: bool, can_conflict: bool) -> dict[Any, OpenApiResponse]:
    sentences = COMMON_ERRORS | (ERRORS_OF_CHANGES if is_change else {})
    if can_conflict:
        sentences = {**sentences, 409: CONFLICT}
    errors = {}
    for code, sentence in sentences.items():
        errors[code, CONTENT_TYPE] = OpenApiResponse(Problem, description=sentence)
    return errors


def _describe_rights(scope: Scope | None, needs: Permission | None, *, needs_key: bool) -> str:
    """Return what a key and a person need."""
    sentence = f"Requires the scope `{scope.value}`." if scope else "Works with any key."
    if not needs_key:
        sentence = "Requires no key."
    return f"{sentence} Roles: {describe_allowed(needs)}." if needs else sentence


def _page_of(shape: Shape) -> Any:
    name = f"{shape.__name__}Page"
    return inline_serializer(
        name,
        {
            "data": shape(many=True),
            "has_more": serializers.BooleanField(),
            "next_cursor": serializers.CharField(allow_null=True, help_text="Pass it as `cursor`."),
        },
    )


def _examples(
    example: object, body_example: object, *, status: int, is_page: bool, media_type: str
) -> Sequence[OpenApiExample]:
    examples = []
    if body_example is not None:
        examples.append(OpenApiExample("Request", body_example, request_only=True))
    if example is not None:
        value = {"data": [example], "has_more": False, "next_cursor": None} if is_page else example
        codes = [str(status)]
        examples.append(
            OpenApiExample("Answer", value, response_only=True, status_codes=codes, media_type=media_type)
        )
    return examples
