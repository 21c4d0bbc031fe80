"""The tools: what each takes and returns, and which calls of the API answer it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

from inference.facts import JsonObject
from inference.mcp.api import FAULT, Answer, Api, ToolFailed, Written, read_failure, read_stream

# JSON schemas of what tools take and return.

type Schema = dict[str, Any]


def _object(properties: Schema, *, optional: tuple[str, ...] = (), closed: bool = False) -> Schema:
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": properties, "required": required}
    return schema | {"additionalProperties": False} if closed else schema


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _maybe(schema: Schema) -> Schema:
    """Return a schema that also takes null."""
    return {"anyOf": [schema, {"type": "null"}], "description": schema.get("description", "")}


_STYLE = _text(
    "The style's name as list_styles returns it, such as brand-voice or acme/brand-voice. brand-voice@3 is "
    "version 3; base is the model without a style.",
)
_OWN_STYLE = _text("One of your own styles, without a version. Needs at least 50 words.")
_LIMITS: Schema = {
    "max_tokens": {
        "type": "integer",
        "minimum": 1,
        "description": "The most tokens to write; four are about three words. Default: the plan's maximum.",
    },
    "temperature": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "description": "0 always picks the likeliest token. Default: the style's own.",
    },
}
_COUNT: Schema = {"type": "integer"}

INPUTS: dict[str, Schema] = {
    "list_styles": _object({}, closed=True),
    "write": _object(
        {
            "style": _STYLE,
            "prompt": _text("What to write, as you would ask a writer."),
            **_LIMITS,
        },
        optional=tuple(_LIMITS),
        closed=True,
    ),
    "rewrite": _object(
        {
            "style": _STYLE,
            "text": _text("The text to rewrite."),
            "instructions": _text("What else to change, such as “half as long” or “in German”."),
            **_LIMITS,
        },
        optional=("instructions", *_LIMITS),
        closed=True,
    ),
    "check_draft": _object(
        {
            "text": _text("The text to check."),
            "style": _OWN_STYLE,
            "receipt": _text("A receipt to verify with the text."),
        },
        optional=("style", "receipt"),
        closed=True,
    ),
}

# What the middle half of new texts of this length get: by the author, and by others.
_RANGE = _object({"low": _COUNT, "high": _COUNT})
_WRITTEN = _object(
    {
        "text": _text("What the style wrote."),
        "model": _text("The style that wrote it."),
        "finish_reason": _maybe(_text("stop: it is complete; length: max_tokens cut it off.")),
        "usage": _object({"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT}),
        "request_id": _text("Names the request in the workspace's log."),
        "receipt_url": _maybe(
            _text(
                "Where the signed receipt is a few seconds later, with the API key. null: none are made here."
            )
        ),
    }
)
OUTPUTS: dict[str, Schema] = {
    "list_styles": _object(
        {
            "styles": {
                "type": "array",
                "items": _object(
                    {
                        "name": _text("What to give as `style`."),
                        "description": _text("What it sounds like."),
                        "owner": _text("The workspace it belongs to."),
                        "version": _maybe(
                            {"type": "integer", "description": "The live version; null: the base model."}
                        ),
                        "context_length": _maybe(
                            {"type": "integer", "description": "Tokens of prompt and text together."}
                        ),
                    }
                ),
            }
        }
    ),
    "write": _WRITTEN,
    "rewrite": _WRITTEN,
    "check_draft": _object(
        {
            "watermark": _object(
                {
                    "outcome": _text("detected or not_detected, which doesn't mean that a person wrote it."),
                    "verdict": _text("found, not_found or too_short."),
                    "p_value": {"type": "number", "description": "How probable that is without a watermark."},
                    "scored_tokens": _COUNT,
                }
            ),
            "receipt": _maybe(
                _object(
                    {
                        "outcome": _text(
                            "detected: this service signed it for this text, which no request prescribed."
                        ),
                        "validation_state": _text("valid or invalid."),
                    }
                )
            ),
            "author": _maybe(
                _object(
                    {
                        "model": _text("The version whose author's texts it was compared with."),
                        "words": _COUNT,
                        "percent": _maybe(
                            {
                                "type": "integer",
                                "description": "Of texts that score like this, so many in 100 are by the "
                                "author, if half of all are. null: see percent_unknown.",
                            }
                        ),
                        "percent_unknown": _text(
                            "language or old_check (evaluate the version again); empty if there is a percent."
                        ),
                        "own": _maybe(_RANGE),
                        "others": _maybe(_RANGE),
                        "base": _maybe(_COUNT),
                        "farthest": {
                            "type": "array",
                            "description": "The sentences that are farthest from the author.",
                            "items": _object({"text": _text("The sentence."), "percent": _maybe(_COUNT)}),
                        },
                    }
                )
            ),
        }
    ),
}


logger = logging.getLogger(__name__)

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
CHECKS = "/v1/content_provenance_checks"
RECEIPTS = "/v1/receipts"
# One of the wordings that styles are trained with: training/corpus/examples.py.
REWRITE = "Rewrite the following in my style."

type Report = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    api: Api
    arguments: JsonObject
    report: Report


@dataclass(frozen=True)
class ToolEntry:
    """A tool as it is listed, and what runs it."""

    listed: Tool
    run: Callable[[Call], Awaitable[CallToolResult]]


async def run_tool(tool: ToolEntry, api: Api, arguments: JsonObject, report: Report) -> CallToolResult:
    """Return a tool's result; what goes wrong is a result too, which tells the model what to do."""
    mistake = find_mistake(tool.listed, arguments)
    if mistake:
        return _error(mistake)
    try:
        return await tool.run(Call(api, arguments, report))
    except ToolFailed as failure:
        return _error(str(failure))
    except Exception:  # the SDK would tell clients what it says
        logger.exception("the tool %s failed", tool.listed.name)
        return _error(FAULT)


def find_mistake(tool: Tool, arguments: JsonObject) -> str:
    """Return what is wrong with a call, or "". Numbers are the API's to check: it refuses them by name."""
    properties = tool.input_schema["properties"]
    known = ", ".join(f"`{name}`" for name in properties) or "none"
    for name in arguments:
        if name not in properties:
            return f"{tool.name} has no argument “{name[:100]}”. Its arguments: {known}."
    for name in tool.input_schema["required"]:
        if name not in arguments:
            return f"{tool.name} needs the argument `{name}`."
    for name, value in arguments.items():
        if properties[name]["type"] == "string" and not isinstance(value, str):
            return f"`{name}` must be a string."
        if name in tool.input_schema["required"] and not value.strip():
            return f"`{name}` must not be empty."
    return ""


async def list_names(api: Api) -> list[str]:
    """Return the names of the styles that the key may use; none if it may not ask."""
    answer = await api.get(MODELS)
    return [model["id"] for model in _read_json(answer)["data"]] if answer.is_success else []


async def list_styles(call: Call) -> CallToolResult:
    """Return the styles that the key may use."""
    models = _require(await call.api.get(MODELS))["data"]
    styles = []
    for model in models:
        styles.append(
            {
                "name": model["id"],
                "description": model["description"],
                "owner": model["owned_by"],
                "version": model["version"],
                "context_length": model["context_length"],
            }
        )
    return _result({"styles": styles})


async def write(call: Call) -> CallToolResult:
    """Return a new text in a style."""
    return await _generate(call, call.arguments["prompt"])


async def rewrite(call: Call) -> CallToolResult:
    """Return a text in a style that says what another one says."""
    wishes = call.arguments.get("instructions", "").strip()
    instruction = f"{REWRITE} {wishes}" if wishes else REWRITE
    return await _generate(call, f"{instruction}\n\n{call.arguments['text']}")


async def check_draft(call: Call) -> CallToolResult:
    """Return whether a text carries our watermark and, for a style, how close it is to its author."""
    text = call.arguments["text"]
    sent = {"text": text}
    if call.arguments.get("receipt"):
        sent["receipt"] = call.arguments["receipt"]
    results = _require(await call.api.post(CHECKS, sent))["results"]
    checks: JsonObject = {result["type"]: result for result in results}
    found: JsonObject = {
        "watermark": _without_type(checks["text_watermark"]),
        "receipt": _without_type(checks.get("receipt")),
        "author": None,
    }
    style = call.arguments.get("style", "").partition("@")[0]
    if style:
        compared = await call.api.post(f"/api/v1/styles/{style}/draft_checks", {"text": text})
        hint = "Call check_draft without `style` to check only the watermark."
        found["author"] = _require(compared, hint=hint)
        del found["author"]["object"]
    return _result(found)


async def _generate(call: Call, prompt: str) -> CallToolResult:
    """Have a style write. Streamed, so that a client that leaves ends it, and others see how far it is."""
    asked: JsonObject = {
        "model": call.arguments["style"],
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in ("max_tokens", "temperature"):
        if name in call.arguments:
            asked[name] = call.arguments[name]

    async def report(body: bytes | bytearray) -> None:
        await call.report(body.count(b'"delta"'))

    answer = await call.api.post(CHAT, asked, report)
    if not answer.is_success:
        raise read_failure(answer)
    written = read_stream(answer)
    return CallToolResult(
        content=[TextContent(text=written.text)],
        structured_content=_describe(written, answer),
    )


def _describe(written: Written, answer: Answer) -> JsonObject:
    request_id = answer.headers["x-request-id"]
    return {
        "text": written.text,
        "model": written.model,
        "finish_reason": written.finish_reason,
        "usage": written.usage,
        "request_id": request_id,
        "receipt_url": f"{settings.SITE_URL}{RECEIPTS}/{request_id}" if settings.RECEIPT_KEYS else None,
    }


def _require(answer: Answer, hint: str = "") -> JsonObject:
    """Return the JSON of a success. Raises ToolFailed."""
    if not answer.is_success:
        raise read_failure(answer, hint=hint)
    return _read_json(answer)


def _read_json(answer: Answer) -> JsonObject:
    data: JsonObject = orjson.loads(answer.body)
    return data


def _without_type(result: JsonObject | None) -> JsonObject | None:
    return result and {name: value for name, value in result.items() if name != "type"}


def _result(data: JsonObject) -> CallToolResult:
    """Return structured data, and the same as text for clients that only show that."""
    return CallToolResult(content=[TextContent(text=orjson.dumps(data).decode())], structured_content=data)


def _error(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _tool(
    run: Callable[[Call], Awaitable[CallToolResult]], *, title: str, description: str, **hints: Any
) -> ToolEntry:
    name = run.__name__
    listed = Tool(
        name=name,
        title=title,
        description=description,
        input_schema=INPUTS[name],
        output_schema=OUTPUTS[name],
        annotations=ToolAnnotations(title=title, destructive_hint=False, open_world_hint=False, **hints),
    )
    return ToolEntry(listed, run)


FREE = {"read_only_hint": True, "idempotent_hint": True}
BILLED = {"read_only_hint": False, "idempotent_hint": False}  # so that clients ask before they spend

_ALL = (
    _tool(
        list_styles,
        title="List styles",
        description="List the writing styles that you can use, with what each sounds like. Free.",
        **FREE,
    ),
    _tool(
        write,
        title="Write in a style",
        description="Write a new text in a style. Show the returned text word for word: rephrased, it loses "
        "the style. Billed by tokens.",
        **BILLED,
    ),
    _tool(
        rewrite,
        title="Rewrite in a style",
        description="Rewrite a text in a style, with the same meaning. Show the returned text word for word: "
        "rephrased, it loses the style. Billed by tokens.",
        **BILLED,
    ),
    _tool(
        check_draft,
        title="Check a draft",
        description="Check whether a text was generated here (by its watermark, or a receipt) and, if "
        "`style` is given, how close it is to that style's author and which sentences are farthest. Nothing "
        "is stored. Free.",
        **FREE,
    ),
)
TOOLS = {tool.listed.name: tool for tool in _ALL}
