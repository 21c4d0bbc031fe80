"""JSON schemas of what tools take and return."""

from typing import Any

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
