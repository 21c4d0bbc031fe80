"""What vLLM 0.32 answers, in its own order of fields."""

import json
from typing import Any


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """Return the tokens that an answer reports."""
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


def error(status: int, kind: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def event(data: object) -> bytes:
    """Return a server-sent event."""
    return b"data: " + compact_json(data) + b"\n\n"


def compact_json(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
