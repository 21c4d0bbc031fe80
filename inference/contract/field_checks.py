"""Checks of single fields. Each takes the field's name and value, and raises BadRequest naming the field."""

from typing import Any

from inference.contract import base_model, grammars
from inference.contract.field_reader import SHOWN_CHARACTERS, Check
from inference.contract.place_errors import refuse_unknown_keys
from inference.errors import BadRequest

MAX_STOPS = 16  # OpenAI has 4; editors send a list of their own, Continue 8 and more
MAX_STOP_CHARACTERS = 1024
MAX_BIASED_TOKENS = 300
MAX_STOP_TOKENS = 64
MAX_MODEL_CHARACTERS = 200
MAX_TOKEN_ID_DIGITS = 11  # more than any id has; int() raises ValueError beyond 4,300
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
STREAM_OPTIONS = ("include_usage", "include_obfuscation", "continuous_usage_stats")
RESPONSE_FORMATS = ("text", "json_object", "json_schema")
JSON_SCHEMA_KEYS = ("name", "description", "schema", "strict")
THINKING_TYPES = ("disabled", "adaptive")
THINKING_SWITCHES = ("enable_thinking", "thinking")  # variables of chat templates
CLEARS_THINKING = "clear_thinking"  # an edit that drops earlier thoughts; no prompt has them
CONSTRAINTS = ("json", "regex", "choice")  # of vLLM's `structured_outputs`


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """Return a check for numbers between two bounds."""
    kinds = int if whole else int | float
    noun = "whole number" if whole else "number"

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kinds) or isinstance(value, bool):  # a bool is an int to Python
            raise BadRequest(f"`{name}` must be a {noun}.", param=name)
        if not low <= value <= high:
            limits = f"between {low} and {high}" if high < MAX_INT64 else f"at least {low}"
            raise BadRequest(f"`{name}` must be {limits}.", param=name)

    return check


def of_type(kind: type, noun: str) -> Check:
    """Return a check for values of one type."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            raise BadRequest(f"`{name}` must be {noun}.", param=name)

    return check


check_bool = of_type(bool, "true or false")
check_text = of_type(str, "a text")
check_object = of_type(dict, "an object")
check_list = of_type(list, "a list")


def check_model(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_MODEL_CHARACTERS:
        raise BadRequest(f"`{name}` must be the name of a style, such as `poetry`.", param=name)


def check_stop(name: str, value: Any) -> None:
    stops = value if isinstance(value, list) else [value]
    if len(stops) > MAX_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise BadRequest(f"`{name}` must be a string or a list of at most {MAX_STOPS} strings.", param=name)
    if any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        raise BadRequest(f"`{name}`: a string can have at most {MAX_STOP_CHARACTERS} characters.", param=name)


def check_token_ids(name: str, token_ids: list[Any]) -> None:
    """Check that each is the id of one of the base model's tokens."""
    size = base_model.vocabulary_size() or MAX_INT32
    if not all(type(token) is int and 0 <= token < size for token in token_ids):
        raise BadRequest(f"`{name}` must contain token ids of the base model, 0 … {size - 1}.", param=name)


def check_token_list(name: str, value: Any) -> None:
    check_list(name, value)
    check_token_ids(name, value)


def check_stop_token_ids(name: str, value: Any) -> None:
    if not isinstance(value, list) or len(value) > MAX_STOP_TOKENS:
        raise BadRequest(f"`{name}` must be a list of at most {MAX_STOP_TOKENS} token ids.", param=name)
    check_token_ids(name, value)


def check_logit_bias(name: str, value: Any) -> None:
    if not isinstance(value, dict) or not all(_is_token_bias(*item) for item in value.items()):
        raise BadRequest(f"`{name}` must map token ids to numbers between -100 and 100.", param=name)
    if len(value) > MAX_BIASED_TOKENS:
        raise BadRequest(f"`{name}` can have at most {MAX_BIASED_TOKENS} tokens.", param=name)
    check_token_ids(name, [int(token) for token in value])


def _is_token_bias(token: str, bias: Any) -> bool:
    is_id = token.isdecimal() and len(token) <= MAX_TOKEN_ID_DIGITS
    return is_id and isinstance(bias, int | float) and -100 <= bias <= 100


def check_stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadRequest(f"`{name}` must be an object.", param=name)
    for option, chosen in value.items():
        if option not in STREAM_OPTIONS:
            raise BadRequest(f"`{name}.{option[:SHOWN_CHARACTERS]}` is not supported. Remove it.", param=name)
        if chosen is not None and not isinstance(chosen, bool):
            raise BadRequest(f"`{name}.{option}` must be true or false.", param=name)


def check_response_stream_options(name: str, value: Any) -> None:
    check_stream_options(name, value)
    if value.get("continuous_usage_stats"):
        raise BadRequest(
            f"`{name}.continuous_usage_stats` is not supported here: `response.completed` reports the usage.",
            param=name,
        )


def check_thinking(name: str, value: Any) -> None:
    kind = value.get("type", "disabled") if isinstance(value, dict) else None
    if kind not in THINKING_TYPES:
        raise BadRequest(
            f"`{name}` is not supported: the base model is not a reasoning model. Its type can be "
            f"{' or '.join(THINKING_TYPES)}.",
            param=name,
        )


def check_context_management(name: str, value: Any) -> None:
    """Accept edits that change no prompt: none at all, or such as drop what the model once thought."""
    edits = value
    if isinstance(value, dict):
        edits = value.get("edits") or []
        refuse_unknown_keys(value, {"edits"}, name)
    if not isinstance(edits, list) or not all(_clears_thinking(edit) for edit in edits):
        raise BadRequest(
            f"`{name}` is not supported: input is never truncated. Send only what the model should read.",
            param=name,
        )


def _clears_thinking(edit: Any) -> bool:
    kind = edit.get("type") if isinstance(edit, dict) else None
    return isinstance(kind, str) and kind.startswith(CLEARS_THINKING)


def check_template_variables(name: str, value: Any) -> None:
    """Accept variables that turn thinking off, where the base model's chat template reads none of them."""
    variables = value if isinstance(value, dict) else {"": value}
    for variable, chosen in variables.items():
        is_off = variable in THINKING_SWITCHES and chosen is False
        if chosen is not None and (not is_off or base_model.reads_variable(variable)):
            shown = f"{name}.{variable[:SHOWN_CHARACTERS]}".removesuffix(".")
            raise BadRequest(
                f"`{shown}` is not supported: the base model's chat template is used with its own settings.",
                param=name,
            )


def check_usage(name: str, value: Any) -> None:
    check_object(name, value)
    refuse_unknown_keys(value, {"include"}, name)
    if not isinstance(value.get("include") or False, bool):
        raise BadRequest(f"`{name}.include` must be true or false.", param=name)


def check_response_format(name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in RESPONSE_FORMATS:
        raise BadRequest(f"`{name}.type` must be one of {', '.join(RESPONSE_FORMATS)}.", param=name)
    # Some servers take a schema beside `json_object`: refuse it here, or clients would think that it applies.
    refuse_unknown_keys(value, {"type", "json_schema"} if kind == "json_schema" else {"type"}, name)
    if kind != "json_schema":
        return
    described = value.get("json_schema")
    if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
        raise BadRequest(f"`{name}.json_schema` must be an object with `name` and `schema`.", param=name)
    refuse_unknown_keys(described, {*JSON_SCHEMA_KEYS}, f"{name}.json_schema")
    if not isinstance(described.get("name"), str) or not isinstance(described.get("description") or "", str):
        raise BadRequest(f"`{name}.json_schema.name` must be a string.", param=name)
    if not isinstance(described.get("strict") or False, bool):
        raise BadRequest(f"`{name}.json_schema.strict` must be true or false.", param=name)
    grammars.check_schemas([described["schema"]], name)


def check_structured_outputs(name: str, value: Any) -> None:
    fields = value if isinstance(value, dict) else {}
    kinds = [kind for kind, constraint in fields.items() if constraint is not None]
    if len(kinds) != 1 or kinds[0] not in CONSTRAINTS:
        raise BadRequest(f"`{name}` must be an object with one of {', '.join(CONSTRAINTS)}.", param=name)
    [kind] = kinds
    if kind == "json":
        grammars.check_schemas([value[kind]], name)
    elif kind == "regex":
        grammars.check_regex(value[kind], name)
    else:
        grammars.check_choices(value[kind], name)
