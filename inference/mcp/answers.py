"""What the API answered, as a tool needs it: a stream's text, or an error as a sentence."""

from dataclasses import dataclass, field

import orjson

from inference.facts import JsonObject
from inference.mcp.api import Answer

EVENT = b"data: "
DONE = b"[DONE]"
FAULT = "Something went wrong on our side."
BROKEN = "The answer broke off. Try again."


class ToolFailed(Exception):
    """A tool can't do what it was asked; the message says why, and what to do."""


@dataclass
class Written:
    """A text, as far as it came."""

    text: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: JsonObject = field(default_factory=dict)


def read_stream(answer: Answer) -> Written:
    """Return what a streamed chat wrote. Raises ToolFailed, with what was written, if it broke off."""
    written = Written()
    failure = BROKEN if answer.is_broken else ""
    for line in answer.body.split(b"\n"):
        if not line.startswith(EVENT) or line == EVENT + DONE:
            continue
        event: JsonObject = orjson.loads(line.removeprefix(EVENT))
        if "error" in event:
            failure = _describe_failure(event, "", answer.headers)
            continue
        written.model = event["model"]
        written.usage = event.get("usage") or written.usage
        for choice in event["choices"]:
            written.text += choice["delta"].get("content") or ""
            written.finish_reason = choice["finish_reason"] or written.finish_reason
    if failure and written.text:
        failure += f"\n\nWritten until then, and billed:\n\n{written.text}"
    if failure:
        raise ToolFailed(failure)
    return written


def read_failure(answer: Answer, hint: str = "") -> ToolFailed:
    """Return the failure that an error of the API is, in OpenAI's form or as a problem document."""
    try:
        body: JsonObject = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = {}
    return ToolFailed(_describe_failure(body, hint, answer.headers))


def _describe_failure(body: JsonObject, hint: str, headers: dict[str, str]) -> str:
    failure = body.get("error")
    message, code = FAULT, ""
    if isinstance(failure, dict):
        message, code = failure.get("message") or message, failure.get("code") or ""
    elif "detail" in body:
        message, code = body["detail"], body.get("code", "")
    parts = [message]
    if hint:
        parts.append(hint)
    retry_after = headers.get("retry-after")
    if retry_after:
        parts.append(f"Try again in {retry_after} s.")
    request_id = headers.get("x-request-id", "")
    facts = ", ".join(fact for fact in (code, request_id) if fact)
    return " ".join(parts) + (f" ({facts})" if facts else "")
