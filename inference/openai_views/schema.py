"""How operations of this API describe themselves in the OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import serializers

from inference.contract.openapi import ERROR_NAME as ERROR_COMPONENT
from tenants.models import Scope
from tenants.rest import describe_handler

type Handler = Callable[..., Any]

FAULT = {"$ref": f"#/components/schemas/{ERROR_COMPONENT}"}
ERRORS = {
    400: "The request is invalid. See `param`.",
    401: "The API key is missing or invalid.",
    403: "The key lacks the scope.",
    404: "Not found in this workspace.",
    405: "Method not allowed. See `Allow` for the supported methods.",
    429: "Too many requests. Retry after the time in `Retry-After`.",
    503: "Part of the service is unavailable. Retry after the time in `Retry-After`.",
}
ERRORS_OF_BODIES = {415: "The request body is not JSON."}
ERRORS_OF_CHANGES = {409: "The current state doesn't allow this. See `code` for the reason."}
AFTER = OpenApiParameter(
    "after", OpenApiTypes.STR, description="The id of the last object on the previous page."
)


def operation(
    name: str,
    summary: str,
    *,
    scope: Scope,
    answer: Any = None,
    body: Any = None,
    body_example: object = None,
    parameters: Sequence[OpenApiParameter] = (),
    is_list: bool = False,
) -> Callable[[Handler], Handler]:
    """Return a decorator that describes one operation, and lets only keys with a scope call it.

    `answer`: a shape, whose `example` is shown; None for a file's bytes; `is_list`: it lists such shapes.
    """
    is_change = scope == Scope.STYLES_WRITE
    examples = [OpenApiExample("Request", body_example, request_only=True)] if body_example else []
    if answer:
        examples.append(OpenApiExample("Answer", _example_of(answer, is_list=is_list), response_only=True))
    errors = _describe_errors(has_body=bool(body), is_change=is_change)
    return describe_handler(
        name,
        f"Requires the scope `{scope.value}`.",
        scope=scope,
        permission=None,
        summary=summary,
        request=body,
        responses=_describe_answer(answer, is_list=is_list) | errors,
        parameters=list(parameters),
        examples=examples,
        tags=[name.partition(".")[0]],
    )


def limit_of(default: int, most: int) -> OpenApiParameter:
    """Return the parameter `limit` of a list."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return OpenApiParameter("limit", schema, description="Number of objects per page.")


def _describe_answer(answer: Any, *, is_list: bool) -> dict[Any, OpenApiResponse]:
    if answer is None:
        media_type = "application/octet-stream"
        return {(200, media_type): OpenApiResponse(OpenApiTypes.BINARY, description="The content.")}
    shape = _list_of(answer) if is_list else answer
    return {200: OpenApiResponse(shape, description="The response.")}


def _describe_errors(*, has_body: bool, is_change: bool) -> dict[Any, OpenApiResponse]:
    sentences = ERRORS | (ERRORS_OF_BODIES if has_body else {}) | (ERRORS_OF_CHANGES if is_change else {})
    errors = {}
    for status, sentence in sentences.items():
        errors[status, "application/json"] = OpenApiResponse(FAULT, description=sentence)
    return errors


@cache
def _list_of(shape: Any) -> Any:
    fields = {
        "object": serializers.CharField(help_text="Always `list`."),
        "data": shape(many=True),
        "has_more": serializers.BooleanField(help_text="Whether there is another page."),
        "first_id": serializers.CharField(allow_null=True),
        "last_id": serializers.CharField(allow_null=True, help_text="Pass it as `after`."),
    }
    return inline_serializer(f"{shape.__name__}List", fields)


def _example_of(shape: Any, *, is_list: bool) -> Mapping[str, object]:
    example: Mapping[str, object] = shape.example
    if not is_list:
        return example
    ends = {"first_id": example["id"], "last_id": example["id"]}
    return {"object": "list", "data": [example], "has_more": False, **ends}
