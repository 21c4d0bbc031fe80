"""The OpenAPI document of both APIs, and the page that shows it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import override
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from inference.public import data_plane_paths, data_plane_schemas

TAGS = {
    "writing": "Generate text in a style, in OpenAI's and Anthropic's formats",
    "styles": "Styles and access to them",
    "versions": "Versions of a style: uploads, reports and releases",
    "uploads": "Uploads and their progress",
    "trainings": "Styles trained from your own texts",
    "files": "Files to train on, in OpenAI's format",
    "fine_tuning": "Trainings on these files, in OpenAI's format",
    "erasures": "Erasure of deleted files, with proof",
    "earnings": "Earnings of public styles",
    "keys": "API keys",
    "usage": "Usage and request log",
    "billing": "Plan, limits, prices, credits and payments",
    "invoices": "Invoices and credit notes",
    "workspace": "The workspace and its audit log",
    "members": "Members",
    "invitations": "Invitations to the workspace",
    "webhooks": "Webhooks and their deliveries",
}


type JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation as the page shows it."""

    id: str
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[JsonObject]
    body_example: str
    answer_example: str
    errors: list[tuple[str, str]]


@dataclass(frozen=True)
class Group:
    """Operations of one kind of thing."""

    tag: str
    title: str
    operations: list[Operation]


def add_data_plane(result: JsonObject, **_: Any) -> JsonObject:
    """Add the operations of `/v1` to the document (drf-spectacular calls this last)."""
    result["paths"] |= data_plane_paths()
    result["components"]["schemas"] |= data_plane_schemas()
    for methods in result["paths"].values():
        for operation in methods.values():
            operation.setdefault("security", [{}])  # open to everybody, which linters want said
    result["tags"] = [{"name": tag, "description": text} for tag, text in TAGS.items()]
    return result


@cache
@override("en")  # it is kept for readers of every language
def document() -> JsonObject:
    """Return the OpenAPI document. It changes only with the code."""
    built: JsonObject = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return built


@require_GET
def show_schema(request: HttpRequest) -> HttpResponse:
    """Return the document as JSON."""
    return HttpResponse(orjson.dumps(document()), content_type="application/json")


@require_GET
def show_reference(request: HttpRequest) -> HttpResponse:
    """Show every operation on one page that needs no JavaScript."""
    return render(
        request, "api_reference.html", {"groups": _groups(), "server": document()["servers"][0]["url"]}
    )


@cache
@override("en")
def _groups() -> list[Group]:
    operations: dict[str, list[Operation]] = {}
    for path, methods in sorted(document()["paths"].items()):
        for method, described in methods.items():
            for tag in described["tags"]:
                operations.setdefault(tag, []).append(_operation(path, method, described))
    return [Group(tag, title, operations[tag]) for tag, title in TAGS.items()]


def _operation(path: str, method: str, described: JsonObject) -> Operation:
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    good: JsonObject = next(
        (answer for status, answer in described["responses"].items() if status < "300"), {}
    )
    answer = good.get("content", {}).get("application/json", {})
    errors = [
        (status, response["description"])
        for status, response in described["responses"].items()
        if status >= "400"
    ]
    return Operation(
        id=described["operationId"],
        anchor=described["operationId"].replace(".", "-"),
        method=method.upper(),
        path=path,
        summary=_mark_code(described["summary"]),
        description=_mark_code(described.get("description", "")),
        parameters=described.get("parameters", []),
        body_example=_example_of(body),
        answer_example=_example_of(answer),
        errors=[(status, _mark_code(description)) for status, description in errors],
    )


def _mark_code(text: str) -> SafeString:
    """Return a text with what stands in backticks as code."""
    parts = text.split("`")
    marked = [
        format_html("<code>{}</code>" if number % 2 else "{}", part) for number, part in enumerate(parts)
    ]
    return format_html_join("", "{}", ((part,) for part in marked))


def _example_of(content: JsonObject) -> str:
    example = content.get("example")
    for one in content.get("examples", {}).values():
        example = one["value"]
    if example is None:
        return ""
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
