"""The OpenAPI document of both APIs, and the page on which Redoc shows it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.translation import override
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from inference.public import data_plane_paths, data_plane_schemas
from website.api_field_texts import describe_fields
from website.snippets import KEY_VARIABLE


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

REDOC = "redoc/redoc.standalone.js"
# By script, Redoc fills style elements that are empty in the page. One has its text.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
REFERENCE_POLICY: dict[str, list[str]] = settings.SECURE_CSP | {
    "connect-src": [CSP.SELF],
    "style-src": [CSP.SELF, *REDOC_STYLES],
    "worker-src": ["blob:"],
}

FORMAT = "The format of the response, instead of `Accept`."

type JsonObject = dict[str, Any]


def add_data_plane(result: JsonObject, **_: Any) -> JsonObject:
    """Add the operations of `/v1`, and what fields mean (drf-spectacular calls this last)."""
    result["paths"] |= data_plane_paths()
    result["components"]["schemas"] |= data_plane_schemas()
    describe_fields(result["components"]["schemas"])
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            operation.setdefault("security", [{}])  # open to everybody, which linters want said
            sample = write_curl(path, method, operation)
            operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": sample}]
            for parameter in operation.get("parameters", []):
                parameter.setdefault("description", FORMAT)  # REST framework's own parameter
    result["tags"] = [
        {"name": name, "x-displayName": tag.title, "description": tag.description}
        for name, tag in TAGS.items()
    ]
    return result


def write_curl(path: str, method: str, operation: JsonObject) -> str:
    """Return a command for a POSIX shell that sends an operation's example."""
    lines = [f"curl -X {method.upper()} {settings.SITE_URL}{path}"]
    if {} not in operation["security"]:
        lines.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    named = [example["value"] for example in content.get("examples", {}).values()]
    example = named[0] if named else content.get("example")
    if example is not None:
        text = orjson.dumps(example).decode().replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{text}'"]
    return " \\\n  ".join(lines)


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
@csp_override(REFERENCE_POLICY)
def show_reference(request: HttpRequest) -> HttpResponse:
    """Show the document to people, by Redoc."""
    return render(request, "api_reference.html", {"redoc": REDOC})


def reference_address(operation: JsonObject) -> str:
    """Return where the reference shows an operation."""
    return f"{reverse('api_reference')}#tag/{operation['tags'][0]}/operation/{operation['operationId']}"
