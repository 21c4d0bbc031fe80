"""Fields of a request by which its sender can prescribe the text of the answer.

A receipt names them: without that, anyone could have any text signed. A style may follow a prompt that
dictates a text, too, but then the model wrote it.
"""

from collections.abc import Iterator

from inference.facts import JsonObject


def find_constraints(fields: JsonObject) -> Iterator[str]:
    """Yield the names of a checked chat's or completion's fields that prescribe what its text can be.

    Forced tool calls are none: a receipt is for the text beside them. Nor is `json_object`, which leaves the
    content to the model, or a negative bias, which forbids a few hundred tokens of some ten thousands.
    """
    if fields.get("echo"):
        yield "echo"
    if any(bias > 0 for bias in (fields.get("logit_bias") or {}).values()):
        yield "logit_bias"
    if (fields.get("response_format") or {}).get("type") == "json_schema":
        yield "response_format"
    if fields.get("structured_outputs"):
        yield "structured_outputs"
