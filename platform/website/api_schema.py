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
from keys.snippets import KEY_VARIABLE
from metering.plan_limits import PLAN_LIMITS

# Descriptions of fields whose name says almost all, for the OpenAPI document.
#
# A serializer's own `help_text` comes first. `FIELDS` is for a field of any component, `FIELDS_OF` for one of
# a component where the general sentence would be wrong or too vague.

FIELDS = {limit.name: limit.about for limit in PLAN_LIMITS if limit.about} | {
    "address": "Postal address.",
    "alias": "`live` or `canary`.",
    "alpha": "LoRA alpha.",
    "amount_nanousd": "Amount in billionths of a dollar.",
    "at": "When it happened.",
    "author_percent": "Percentage of what other workspaces pay that goes to the style's author.",
    "base": "The base model's answer.",
    "cached_input_nanousd": "Price per cached input token, in billionths of a dollar.",
    "cached_tokens": "Prompt tokens served from the cache.",
    "chat_template": "The chat template, in Jinja.",
    "choices": "The generated choices.",
    "code": "Stable, machine-readable code.",
    "completion_tokens": "Generated tokens.",
    "config_sha256": "SHA-256 of adapter_config.json.",
    "content": "The generated content blocks.",
    "cost_nanousd": "Cost in billionths of a dollar.",
    "cost_usd": "Cost in dollars.",
    "count": "Number of tokens.",
    "created": "When it was created, in Unix seconds.",
    "created_at": "When it was created.",
    "credits": "The workspace's credits.",
    "credits_left_nanousd": "Remaining credits, in billionths of a dollar.",
    "data": "The objects.",
    "deleted": "Always `true`.",
    "description": "A description for people.",
    "device_code": "The `device_code` from the start of the login.",
    "disabled_at": "When it was disabled. `null` while enabled.",
    "disabled_reason": "Why it was disabled. Empty while enabled.",
    "email": "Email address.",
    "end": "End date (exclusive).",
    "ended_at": "When it ended. `null` while it hasn't.",
    "eos_token": "The token that ends a text.",
    "error": "What went wrong.",
    "error_percent": "Percentage of requests that failed on the engine.",
    "event_types": "The events to send. Empty for all.",
    "expires_at": "When it expires. `null` for never.",
    "failing_since": "When deliveries began to fail. `null` if they succeed.",
    "failure": "Why it failed. Empty otherwise.",
    "fields": "Form fields to send before the file.",
    "file": "The file's content.",
    "files": "The files.",
    "files_gone_at": "When its files were erased. `null` while they exist.",
    "findings": "What was found, each with a fix.",
    "epoch": "Epoch of the watermark key that was found.",
    "finish_reason": "Why generation ended, such as `stop` or `length`.",
    "finished_at": "When it was finished. `null` while in progress.",
    "first_id": "Id of the first object on the page. `null` if it is empty.",
    "first_period": "First month of the range, such as `2026-11`.",
    "fix": "How to fix it.",
    "form": "The form to post the file with. `null` if it is uploaded in parts.",
    "format": "File format, as detected.",
    "has_more": "Whether there is another page.",
    "hyperparameters": "How to train.",
    "id": "Unique id.",
    "included_tokens": "Tokens included per month.",
    "included_tokens_left": "Included tokens left this month.",
    "input_nanousd": "Price per input token, in billionths of a dollar.",
    "input_tokens": "Number of tokens.",
    "integrations": "Must be empty.",
    "invoice": "Id of the invoice.",
    "invoice_number": "Number of the invoice.",
    "is_enabled": "Whether events are sent to it.",
    "is_final": "Whether the upload has ended: the version is serving, or was rejected.",
    "is_left_out": "Whether the training leaves it out.",
    "is_overage_allowed": "Whether usage beyond the included tokens and credits can be invoiced.",
    "key": "Id of the API key.",
    "kind": "What kind it is.",
    "label": "A label for people.",
    "last_period": "Last month of the range, such as `2026-11`.",
    "last_used_at": "When it was last used. `null` for never.",
    "latency_ms": "How long the last response took, in milliseconds.",
    "left_nanousd": "What is left, in billionths of a dollar.",
    "left_usd": "What is left, in dollars.",
    "limits": "Limits.",
    "lines": "The invoice's lines.",
    "live_version": "Number of the live version.",
    "max_model_len": "The context length, in tokens.",
    "message": "Human-readable message.",
    "metadata": "Up to 16 pairs of strings of your own.",
    "model": "The value for `model`.",
    "monthly_fee_nanousd": "Monthly fee in billionths of a dollar.",
    "name": "A name for people.",
    "number": "Number, counted from 1.",
    "object_name": "Name of the object at the time.",
    "object_type": "Kind of the object that was changed.",
    "offered_at": "When it was offered. `null` if it isn't.",
    "outcome": "How the request ended.",
    "output_nanousd": "Price per output token, in billionths of a dollar.",
    "owned_by": "Slug of the owning workspace.",
    "param": "The field that caused the error, or `null`.",
    "part_bytes": "Size of each part but the last. `null` if the file is uploaded in one request.",
    "part_count": "Number of parts. `null` if the file is uploaded in one request.",
    "peer_strength": "Its effect size. `null` without a style to compare with.",
    "percent_of_base": "The version's share, in percent of the base model's. `null` if `keeps` is.",
    "period": "The UTC month, such as `2026-11`.",
    "plan": "The plan.",
    "previous_secret_until": "When the previous secret stops being used to sign. `null` if there is none.",
    "prompt": "The prompt.",
    "prompt_tokens": "Tokens of the prompt.",
    "provider": "Who handles the payment.",
    "public_since": "When it became public. `null` if it isn't.",
    "purpose": "What the payment is for.",
    "rank": "LoRA rank.",
    "reason": "The reason, in words.",
    "reference": "Your own reference, printed on invoices.",
    "replaced_by": "Id of the key that replaced it in a rotation. `null` if none.",
    "request_id": "Id of the request.",
    "requests": "Number of requests.",
    "revoked_at": "When it was revoked. `null` if it wasn't.",
    "role": "The member's role.",
    "sample_prompt": "The prompt behind the sample.",
    "scopes": "What the key can do.",
    "secret": "The secret. Shown only once.",
    "seed": "Makes a training repeatable.",
    "sentence": "What it means, in words.",
    "share_usd": "The same, in dollars.",
    "since": "When it began.",
    "size_bytes": "Size in bytes.",
    "source": "Where the credits come from.",
    "start": "Start date (inclusive).",
    "state": "Its state.",
    "stated_quantisation": "Quantisation of the base model used in training. Empty if unspecified.",
    "status": "Its status.",
    "status_code": "HTTP status of the last response. `null` if there was none.",
    "steps": "The steps.",
    "stop_reason": "Why generation ended, such as `end_turn` or `max_tokens`.",
    "style": "The style's model name.",
    "style_name": "The style's model name. Empty if the line isn't about one.",
    "supervised": "Settings of supervised training.",
    "takes_effect_at": "When it takes effect.",
    "target_modules": "The layers it changes.",
    "tax_id": "Tax id, printed on invoices.",
    "text": "The text.",
    "threshold_nanousd": "Top up when credits fall below this, in billionths of a dollar. `null` for never.",
    "token_strs": "The text of each token, if requested.",
    "tokenizer_class": "Class of the tokenizer.",
    "tokens": "Number of tokens.",
    "total": "The total.",
    "total_nanousd": "Total in billionths of a dollar.",
    "training_file": "Id of the file to train on.",
    "training_loss": "Loss on the training texts. `null` if not measured.",
    "type": "Its type.",
    "unit_nanousd": "Price per unit, in billionths of a dollar.",
    "url": "The URL.",
    "usage": "Tokens of the prompt and the output.",
    "validation_file": "Id of a file to check the training with.",
    "validation_loss": "Loss on the held-out texts. `null` if not measured.",
    "version": "Number of the version.",
    "words": "Number of words.",
    "workspace": "Slug of the workspace.",
    "workspace_name": "Name of the workspace.",
}
FIELDS_OF = {
    "AuditObject.address": "Network address of the caller. `null` if unknown.",
    "CanaryBody.percent": "Percentage of requests that the canary answers.",
    "CanaryBody.version": "Number of the version to try.",
    "CanaryObject.percent": "Percentage of requests that the canary answers.",
    "CanaryShare.percent": "Percentage of requests that the canary answers.",
    "CreditGrantObject.last_period": "The month at whose end (UTC) it expires. `null` for never.",
    "CreditNoteObject.number": "Number of the credit note.",
    "DataPlaneFault.code": "Stable, machine-readable code, or `null`.",
    "DataPlaneFault.type": "Kind of error, as in OpenAI's API.",
    "DeliveryObject.next_attempt_at": "When it is attempted next. `null` if it won't be.",
    "DocumentUploadObject.name": "The file's name.",
    "EvaluationObject.model": "The version that was evaluated.",
    "HyperparametersBody.learning_rate_multiplier": "Multiplies the learning rate.",
    "HyperparametersBody.batch_size": "Maximum examples per step.",
    "HyperparametersBody.n_epochs": "Passes over the examples.",
    "InvitationBody.role": "The role that the invited person gets.",
    "InvitationObject.invited_by": "Email address of the person who invited. `null` for a program.",
    "InvitationObject.role": "The role that the invited person gets.",
    "JobBody.method": "How to train. Only `supervised` is available.",
    "JobBody.suffix": "Short name of the style to add a version to. By default, the file's name.",
    "KeyLimits.monthly_usd": "Monthly budget in dollars. `null` for none.",
    "KeyLimits.styles": "Ids of the only styles it can use. Empty for all.",
    "KeyObject.is_live": "Whether it works: neither expired nor revoked.",
    "KeyWithSecret.is_live": "Whether it works: neither expired nor revoked.",
    "LeftObject.last_period": "The month at whose end (UTC) it expires. `null` for never.",
    "LimitsBody.styles": "Ids of the only styles it can use. Empty for all.",
    "MessageAnswer.role": "Always `assistant`.",
    "MethodBody.type": "Always `supervised`.",
    "NewFile.expires_after[seconds]": "Delete the file after this many seconds.",
    "NewUploadObject.method": "`post` for one request per file, `multipart` for parts.",
    "OwnKeyAnswer.name": "The key's name.",
    "OwnKeyAnswer.styles": "The styles it can use.",
    "OwnUsageAnswer.data": "Usage by group.",
    "PatchedDetailsBody.name": "Name on invoices. If empty, the workspace's name is used.",
    "PaymentObject.closed_at": "When it was paid or cancelled. `null` while open.",
    "ResponseAnswer.output": "The generated items.",
    "RotateBody.old_secret_hours": "Hours until the old secret expires.",
    "StepObject.name": "Which step.",
    "TokenizeAnswer.tokens": "The token ids.",
    "TrainingObject.words": "Words of its documents that it learns from and is checked with.",
    "UploadObject.method": "`post` for one request per file, `multipart` for parts.",
    "VersionObject.number": "The version's number.",
    "WorkspaceObject.is_suspended": "Whether operators suspended it.",
}


def describe_fields(schemas: dict[str, Any]) -> None:
    """Give each field of each component a description, where it has none or one in a docstring's words."""
    for component, schema in schemas.items():
        for name, field in schema.get("properties", {}).items():
            described = FIELDS_OF.get(f"{component}.{name}") or _own_text(field) or _general_text(name, field)
            if described:
                _describe(field, described)


def _own_text(field: dict[str, Any]) -> str:
    """Return what a serializer says about a field, without the verb that a method's docstring begins with."""
    text = str(field.get("description", ""))
    bare = text.removeprefix("Return ")
    return bare[:1].upper() + bare[1:]


def _general_text(name: str, field: dict[str, Any]) -> str:
    if name == "object":
        return f"Always `{field['default']}`." if "default" in field else "The kind of object."
    return FIELDS.get(name, "")


def _describe(field: dict[str, Any], description: str) -> None:
    """Set a description; beside a bare reference, many tools would read it only in this form."""
    if "$ref" in field:
        field["allOf"] = [{"$ref": field.pop("$ref")}]
    field["description"] = description


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
    "drafts": Tag("Drafts", "Texts that are written here, with their history and receipts."),
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
