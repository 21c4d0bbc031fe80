"""What the engine's 400 means for a client, in our words.

No word of the engine's message goes out: it may name paths, classes, options and versions of the engine, and
repeats what other programs wrote. The message only tells which of our sentences applies.
"""

import json
import re

from inference.contract.requests import TABLES, ParsedRequest
from inference.contract.route import Route
from inference.errors import BadRequest, ContextTooLong, DomainError, EngineRefusal, RefusedGrammar

TOO_LONG = re.compile(r"maximum (?:context|model) length|max_model_len|maximum input length")
# Fields that become a grammar, and words of parsers of grammars and of JSON. Of what the engine says itself,
# not of what it repeats: the request has to have such a field.
GRAMMAR_FIELDS = ("structured_outputs", "response_format", "tools", "tool_choice")
GRAMMAR_WORDS = re.compile(r"schema|grammar|regex|pattern|recursi|json|nested|tool|structur", re.IGNORECASE)
# Words of chat templates. Those of Llama, Mistral and Gemma raise them.
TEMPLATE_REFUSALS = (
    (
        re.compile(r"alternat", re.IGNORECASE),
        "`{messages}`: the base model's chat template requires alternating user and assistant roles.",
    ),
    (
        re.compile(r"system (?:role|message|prompt)", re.IGNORECASE),
        "`{messages}`: the base model's chat template doesn't allow a system message there.",
    ),
)
NAMED = re.compile(r"[`'\"]?\b([a-z_]+)\b[`'\"]?(?= (?:must|cannot|can't|should|contain|entries|is not)\b)")


def read_refusal(body: bytes, parsed: ParsedRequest, route: Route) -> DomainError:
    """Return our error for a refused request. `body` is the engine's answer, or the event of a stream."""
    message, param = _read_error(body)
    if TOO_LONG.search(message):
        return ContextTooLong(max_model_len=route.max_model_len, param=parsed.prompt_field)
    field = _find_field(param, message, parsed)
    grammar_field = next((name for name in GRAMMAR_FIELDS if name in parsed.fields), None)
    if field in GRAMMAR_FIELDS or (field is None and grammar_field and GRAMMAR_WORDS.search(message)):
        return RefusedGrammar(param=_public_name(field or grammar_field or "", parsed))
    for words, sentence in TEMPLATE_REFUSALS:
        if field in (None, "messages") and parsed.kind == "chat" and words.search(message):
            return BadRequest(sentence.format(messages=parsed.prompt_field), param=parsed.prompt_field)
    if field is None:
        return EngineRefusal()
    name = _public_name(field, parsed)
    says = TABLES[parsed.kind][field].says
    return BadRequest(f"The model server rejected `{name}`. Accepted: {says}.", param=name)


def _read_error(body: bytes) -> tuple[str, str]:
    """Return the message and the field of an error; "" for what it lacks."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]), str(error.get("param") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _find_field(param: str, message: str, parsed: ParsedRequest) -> str | None:
    """Return the field that an error is about; None unless it is one that the request has."""
    table = TABLES[parsed.kind]
    candidates: list[str] = [re.split(r"[.\[]", param.removeprefix("body."))[0], *NAMED.findall(message)]
    for name in candidates:
        if name in parsed.fields and name in table:
            return name
    return None


def _public_name(field: str, parsed: ParsedRequest) -> str:
    """Return a chat's field by its name in the client's dialect."""
    return parsed.names.get(field, field)
