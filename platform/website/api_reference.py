"""The pages of the API reference, made of the OpenAPI document once a process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import override
from django.views.decorators.http import require_GET

from core.code_marks import mark_code
from website.api_fields import Field, Reader
from website.api_samples import EVENT_STREAM, Call, Sample, write_samples
from website.api_schema import TAGS, document

JSON = "application/json"

type JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Response:
    """What a successful call returns; `others` are its media types that aren't JSON."""

    status: str
    description: SafeString
    fields: tuple[Field, ...]
    example: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One operation as its page shows it."""

    id: str
    anchor: str
    method: str
    path: str
    summary: str
    description: SafeString
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    is_body_required: bool
    responses: tuple[Response, ...]
    errors: tuple[tuple[str, SafeString], ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Group:
    """Operations of one kind of thing: a page."""

    slug: str
    title: str
    description: str
    operations: tuple[Operation, ...]

    @property
    def url(self) -> str:
        """Return the page's address."""
        return reverse("api_reference_group", args=[self.slug])


@require_GET
def show_index(request: HttpRequest) -> HttpResponse:
    """List every operation by group."""
    return render(request, "api_reference/index.html", _context())


@require_GET
def show_group(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the operations of one group, with every field."""
    found = [group for group in list_groups() if group.slug == slug]
    if not found:
        raise Http404
    return render(request, "api_reference/group.html", {**_context(), "group": found[0]})


@cache
@override("en")  # it is kept for readers of every language
def list_groups() -> tuple[Group, ...]:
    """Return the groups in the order of the document's tags, with the operations in the document's order."""
    operations: dict[str, list[Operation]] = {tag: [] for tag in TAGS}
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            for tag in described["tags"]:
                operations[tag].append(_read_operation(path, method, described))
    groups = []
    for name, tag in TAGS.items():
        groups.append(Group(name.replace("_", "-"), tag.title, tag.description, tuple(operations[name])))
    return tuple(groups)


def _context() -> dict[str, object]:
    return {"groups": list_groups(), "server": document()["servers"][0]["url"]}


def _read_operation(path: str, method: str, described: JsonObject) -> Operation:
    reader = Reader(document()["components"]["schemas"])
    request = described.get("requestBody", {})
    fields: dict[str, Field] = {}
    for body in request.get("content", {}).values():  # of a body as JSON or as a form, each field once
        for field in reader.list_fields(body.get("schema", {})):
            fields.setdefault(field.name, field)
    responses = described["responses"].items()
    good = tuple(_read_response(reader, *item) for item in responses if item[0] < "300")
    errors = [(status, mark_code(error["description"])) for status, error in responses if status >= "400"]
    return Operation(
        id=described["operationId"],
        anchor=described["operationId"].replace(".", "-"),
        method=method.upper(),
        path=path,
        summary=described["summary"],
        description=mark_code(described["description"]),
        parameters=tuple(_read_parameter(reader, one) for one in described.get("parameters", [])),
        body=tuple(fields.values()),
        is_body_required=bool(request.get("required")),
        responses=good,
        errors=tuple(sorted(errors)),
        samples=write_samples(_read_call(path, method, described)),
    )


def _read_parameter(reader: Reader, parameter: JsonObject) -> Field:
    schema = {**parameter["schema"], "description": parameter["description"]}
    is_required = bool(parameter.get("required"))
    return reader.read_field(parameter["name"], schema, is_required=is_required, place=parameter["in"])


def _read_response(reader: Reader, status: str, response: JsonObject) -> Response:
    content = response.get("content", {})
    shown = content.get(JSON) or content.get(EVENT_STREAM, {})
    return Response(
        status=status,
        description=mark_code(response["description"]),
        fields=tuple(reader.list_fields(content.get(JSON, {}).get("schema", {}))),
        example=_write_example(_example_of(shown)),
        others=tuple(kind for kind in content if kind != JSON),
    )


def _read_call(path: str, method: str, described: JsonObject) -> Call:
    content = described.get("requestBody", {}).get("content", {})
    media_types: list[str] = []
    for status, response in described["responses"].items():
        if status < "300":
            media_types += response.get("content", {})
    return Call(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        site=document()["servers"][0]["url"],
        body=_example_of(content.get(JSON, {})),
        media_types=tuple(media_types),
        is_upload=bool(content) and JSON not in content,
        needs_key={} not in described["security"],
    )


def _example_of(content: JsonObject) -> Any:
    """Return the example of a body or a response, None without one."""
    for one in content.get("examples", {}).values():
        return one["value"]
    return content.get("example")


def _write_example(example: object) -> str:
    if example is None or isinstance(example, str):
        return example or ""
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
