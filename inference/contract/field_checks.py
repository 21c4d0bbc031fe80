"""Checks of single fields. Each takes the field's name and value, and raises BadRequest naming the field."""

from collections.abc import Callable
from typing import Any

from inference.contract import base_model, grammars
from inference.contract.field_reader import SHOWN_CHARACTERS, Check, place_error, refuse_unknown_keys, require
from inference.errors import BadRequest

MAX_STOPS = 16  # OpenAI has 4; editors send a list of their own, Continue 8 and more
MAX_STOP_CHARACTERS = 1024
MAX_BIASED_TOKENS = 300
MAX_STOP_TOKENS = 64
MAX_MODEL_CHARACTERS = 200
SHOWN_TOKENS = 5  # of those that are wrong, in an error
MAX_TOKEN_ID_DIGITS = 11  # more than any id has; int() raises ValueError beyond 4,300
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
STREAM_OPTIONS = ("include_usage", "include_obfuscation", "continuous_usage_stats")
RESPONSE_FORMATS = ("text", "json_object", "json_schema")
JSON_SCHEMA_KEYS = ("name", "description", "schema", "strict")
THINKING_TYPES = ("disabled", "enabled", "adaptive")
THINKING_SWITCHES = ("enable_thinking", "thinking")  # variables of chat templates
CLEARS_TOOL_USES = "clear_tool_uses"
CLEARS_THINKING = "clear_thinking"  # an edit that drops earlier thoughts; no prompt has them


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """Return a check for numbers between two bounds."""
    kinds = int if whole else int | float
    noun = "must be a whole number" if whole else "must be a number"
    limits = f"must be between {low} and {high}"

    def check(name: str, value: Any) -> None:
        is_number = isinstance(value, kinds) and not isinstance(value, bool)  # a bool is an int to Python
        # orjson reads a whole number beyond 64 bits as a float.
        is_beyond = isinstance(value, float) and abs(value) > MAX_INT64
        if not (is_number or is_beyond):
            raise place_error(name, noun)
        if is_beyond or not low <= value <= high:
            raise place_error(name, limits)

    return check


def of_type(kind: type, noun: str) -> Check:
    """Return a check for values of one type."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            raise BadRequest(f"`{name}` must be {noun}.", param=name)  # the name may be a place within

    return check


check_bool = of_type(bool, "true or false")
check_text = of_type(str, "a text")
check_object = of_type(dict, "an object")
check_list = of_type(list, "a list")


def check_model(name: str, value: Any) -> None:
    if not (isinstance(value, str) and 0 < len(value) <= MAX_MODEL_CHARACTERS):
        raise place_error(name, "must be the name of a style, such as `poetry`")


def check_stop(name: str, value: Any) -> None:
    stops = value if isinstance(value, list) else [value]
    are_texts = all(isinstance(stop, str) and stop for stop in stops)
    most = f"must be a string or a list of at most {MAX_STOPS} strings"
    require(are_texts and len(stops) <= MAX_STOPS, name, most)
    if any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        raise BadRequest(f"`{name}`: a string can have at most {MAX_STOP_CHARACTERS} characters.", param=name)


def check_token_ids(name: str, token_ids: list[Any]) -> None:
    """Check that each is the id of one of the base model's tokens."""
    size = base_model.vocabulary_size() or MAX_INT32
    wrong = [token for token in token_ids if type(token) is not int or not 0 <= token < size]
    why = f"must contain token ids of the base model, below {size}; out of vocabulary: {_shown(wrong)}"
    require(not wrong, name, why)


def _shown(tokens: list[Any]) -> str:
    """Return the first few of them, for an error."""
    shown = ", ".join(f"`{str(token)[:SHOWN_CHARACTERS]}`" for token in tokens[:SHOWN_TOKENS])
    return f"{shown} …" if len(tokens) > SHOWN_TOKENS else shown


def check_token_list(name: str, value: Any) -> None:
    check_list(name, value)
    check_token_ids(name, value)


def check_stop_token_ids(name: str, value: Any) -> None:
    is_short = isinstance(value, list) and len(value) <= MAX_STOP_TOKENS
    require(is_short, name, f"must be a list of at most {MAX_STOP_TOKENS} token ids")
    check_token_ids(name, value)


def check_logit_bias(name: str, value: Any) -> None:
    check_object(name, value)
    require(len(value) <= MAX_BIASED_TOKENS, name, f"can have at most {MAX_BIASED_TOKENS} tokens")
    no_ids = [token for token in value if not token.isdecimal() or len(token) > MAX_TOKEN_ID_DIGITS]
    require(not no_ids, name, f"must map token ids to numbers; no token ids: {_shown(no_ids)}")
    no_biases = [token for token, bias in value.items() if not _is_bias(bias)]
    why = f"must map token ids to numbers between -100 and 100; those of {_shown(no_biases)} are not"
    require(not no_biases, name, why)
    check_token_ids(name, [int(token) for token in value])


def _is_bias(bias: Any) -> bool:
    return isinstance(bias, int | float) and not isinstance(bias, bool) and -100 <= bias <= 100


def check_stream_options(name: str, value: Any) -> None:
    check_object(name, value)
    for option, chosen in value.items():
        if option not in STREAM_OPTIONS:
            raise BadRequest(f"`{name}.{option[:SHOWN_CHARACTERS]}` is not supported. Remove it.", param=name)
        is_switch = chosen is None or isinstance(chosen, bool)
        require(is_switch, f"{name}.{option}", "must be true or false")


def check_response_stream_options(name: str, value: Any) -> None:
    check_stream_options(name, value)
    if value.get("continuous_usage_stats"):
        raise BadRequest(
            f"`{name}.continuous_usage_stats` is not supported here: `response.completed` reports the usage.",
            param=name,
        )


def check_thinking(name: str, value: Any) -> None:
    kind = value.get("type", "disabled") if isinstance(value, dict) else None
    require(kind in THINKING_TYPES, name, f"must have a `type` out of {', '.join(THINKING_TYPES)}")


def check_context_management(name: str, value: Any) -> None:
    """Accept edits that change no prompt: none at all, or such as drop what the model once thought."""
    _check_edits(name, value, CLEARS_THINKING)


def check_context_edits(name: str, value: Any) -> None:
    """Accept edits that drop tool uses, too. Whether the prompt is long enough for that is checked later."""
    _check_edits(name, value, CLEARS_THINKING, CLEARS_TOOL_USES)


def _check_edits(name: str, value: Any, *kinds: str) -> None:
    edits = value
    if isinstance(value, dict):
        edits = value.get("edits") or []
        refuse_unknown_keys(value, {"edits"}, name)
    is_harmless = isinstance(edits, list) and all(_is_edit(edit, kinds) for edit in edits)
    why = "is not supported: input is never truncated. Send only what the model should read"
    require(is_harmless, name, why)


def _is_edit(edit: Any, kinds: tuple[str, ...]) -> bool:
    kind = edit.get("type") if isinstance(edit, dict) else None
    return isinstance(kind, str) and kind.startswith(kinds)


def check_template_variables(name: str, value: Any) -> None:
    """Accept variables that turn thinking on or off, where the base model's chat template reads none."""
    variables = value if isinstance(value, dict) else {"": value}
    for variable, chosen in variables.items():
        is_switch = variable in THINKING_SWITCHES and isinstance(chosen, bool)
        is_harmless = chosen is None or (is_switch and not base_model.reads_variable(variable))
        shown = f"{name}.{variable[:SHOWN_CHARACTERS]}".removesuffix(".")
        why = "is not supported: the base model's chat template is used with its own settings"
        require(is_harmless, shown, why)


def check_usage(name: str, value: Any) -> None:
    check_object(name, value)
    refuse_unknown_keys(value, {"include"}, name)
    require(isinstance(value.get("include") or False, bool), f"{name}.include", "must be true or false")


def check_response_format(name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    require(kind in RESPONSE_FORMATS, f"{name}.type", f"must be one of {', '.join(RESPONSE_FORMATS)}")
    # Some servers take a schema beside `json_object`: refuse it here, or clients would think that it applies.
    refuse_unknown_keys(value, {"type", "json_schema"} if kind == "json_schema" else {"type"}, name)
    if kind == "json_schema":
        _check_json_schema(name, value.get("json_schema"))


def _check_json_schema(name: str, described: Any) -> None:
    place = f"{name}.json_schema"
    has_schema = isinstance(described, dict) and isinstance(described.get("schema"), dict)
    require(has_schema, place, "must be an object with `name` and `schema`")
    refuse_unknown_keys(described, {*JSON_SCHEMA_KEYS}, place)
    is_named = isinstance(described.get("name"), str) and isinstance(described.get("description") or "", str)
    require(is_named, f"{place}.name", "must be a string")
    require(isinstance(described.get("strict") or False, bool), f"{place}.strict", "must be true or false")
    grammars.check_schemas([described["schema"]], name)


def check_structured_outputs(name: str, value: Any) -> None:
    fields = value if isinstance(value, dict) else {}
    kinds = [kind for kind, constraint in fields.items() if constraint is not None]
    is_one = len(kinds) == 1 and kinds[0] in CONSTRAINT_CHECKS
    require(is_one, name, f"must be an object with one of {', '.join(CONSTRAINT_CHECKS)}")
    CONSTRAINT_CHECKS[kinds[0]](value[kinds[0]], name)


def _check_json_constraint(schema: Any, name: str) -> None:
    grammars.check_schemas([schema], name)


# Of vLLM's `structured_outputs`.
CONSTRAINT_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "json": _check_json_constraint,
    "regex": grammars.check_regex,
    "choice": grammars.check_choices,
}
