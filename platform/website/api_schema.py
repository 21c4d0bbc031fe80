"""The OpenAPI document of both APIs."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from inference.public import data_plane_paths, data_plane_schemas
from website.api_field_texts import describe_fields


@dataclass(frozen=True)
class Tag:
    """What operations of one kind are called, in the document and on the page that describes them."""

    title: str
    description: str


TAGS = {
    "writing": Tag("Writing", "Generate text in a style, in OpenAI's and Anthropic's formats."),
    "responses": Tag("Stored responses", "Responses that the workspace has stored, in OpenAI's format."),
    "conversations": Tag("Conversations", "Stored conversations, in OpenAI's format."),
    "styles": Tag("Styles", "Create, describe, share and offer styles, and select those of others."),
    "versions": Tag("Versions", "Versions of a style: reports, releases and canaries."),
    "uploads": Tag("Uploads", "Upload the files of a version and follow its progress."),
    "trainings": Tag("Trainings", "Train a style on your own texts."),
    "files": Tag("Files", "Files to train on, in OpenAI's format."),
    "fine_tuning": Tag("Fine-tuning", "Trainings on these files, in OpenAI's format."),
    "provenance": Tag("Provenance", "Receipts, and checks of where a text came from."),
    "erasures": Tag("Erasures", "Erasure of deleted files, with proof of each step."),
    "keys": Tag("API keys", "Create, limit, rotate and revoke keys, and log in from a program."),
    "usage": Tag("Usage", "Usage by day, style or key, and the request log."),
    "billing": Tag("Billing", "The plan, limits, prices, credits and payments."),
    "invoices": Tag("Invoices", "Invoices and credit notes, also as PDFs."),
    "earnings": Tag("Earnings", "What your public styles earn."),
    "workspace": Tag("Workspace", "The workspace's settings and its audit log."),
    "members": Tag("Members", "The people in the workspace and their roles."),
    "invitations": Tag("Invitations", "Invite people to the workspace."),
    "webhooks": Tag("Webhooks", "Webhook endpoints, events and their deliveries."),
}

FORMAT = "The format of the response, instead of `Accept`."

type JsonObject = dict[str, Any]


def add_data_plane(result: JsonObject, **_: Any) -> JsonObject:
    """Add the operations of `/v1`, and what fields mean (drf-spectacular calls this last)."""
    result["paths"] |= data_plane_paths()
    result["components"]["schemas"] |= data_plane_schemas()
    describe_fields(result["components"]["schemas"])
    for methods in result["paths"].values():
        for operation in methods.values():
            operation.setdefault("security", [{}])  # open to everybody, which linters want said
            for parameter in operation.get("parameters", []):
                parameter.setdefault("description", FORMAT)  # REST framework's own parameter
    result["tags"] = [
        {"name": name, "x-displayName": tag.title, "description": tag.description}
        for name, tag in TAGS.items()
    ]
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
