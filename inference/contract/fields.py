"""Every field that a client may send, form by form, and what becomes of it: nothing is dropped in silence.

A field is served (within its bounds), ignored because it can't change the answer, or refused by name with
what to do instead. A field that is in no table is refused, too. docs/api.md shows these tables; `ends` are
values at the ends of what is served, with which trials ask the real engine.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from inference.contract import base_model, grammars
from inference.errors import BadRequest

type Check = Callable[[str, Any], None]

MAX_SEQUENCES = 128  # of one request, prompts times `n`; the plan's own limit is lower
MAX_STOPS = 4
MAX_STOP_BYTES = 1024
MAX_LOGPROBS = 20
MAX_BIASED_TOKENS = 300
MAX_STOP_TOKENS = 64
MAX_MODEL_CHARACTERS = 200
MAX_INT32 = 2**31 - 1
HUGE = 2**63 - 1
FORMAT_KEYS = ("name", "description", "schema", "strict")  # of a json_schema
SHOWN_CHARACTERS = 64  # of a name that a client sent, in an error


@dataclass(frozen=True, slots=True)
class Field:
    """What becomes of one field.

    `says` is for people: the bounds of what is served, why it is harmless to ignore, what to do instead of
    what is refused. `neutral` are the values of a refused field that change nothing and so are accepted.
    """

    fate: Literal["served", "ignored", "refused"]
    says: str
    check: Check | None = None
    ends: tuple[Any, ...] = ()
    neutral: tuple[Any, ...] = ()


type Table = dict[str, Field]


def served(says: str, check: Check | None = None, *ends: Any) -> Field:
    return Field("served", says, check, ends)


def ignored(says: str) -> Field:
    return Field("ignored", says)


def refused(says: str, *neutral: Any) -> Field:
    return Field("refused", says, neutral=neutral)


def read_fields(table: Table, raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that are served, checked. Raises BadRequest naming one that is not."""
    taken = {}
    for name, value in raw.items():
        if value is None:  # as clients write what they don't set
            continue
        field = table.get(name)
        if field is None:
            shown = name[:SHOWN_CHARACTERS]
            raise BadRequest(
                f"Unrecognized request argument supplied: `{shown}`. The API's documentation lists those "
                "that are served.", param=shown,
            )  # fmt: skip
        if field.fate == "served":
            if field.check:
                field.check(name, value)
            taken[name] = value
        elif field.fate == "refused" and not any(_is_same(value, neutral) for neutral in field.neutral):
            raise BadRequest(f"`{name}` is not served: {field.says}.", param=name)
    return taken


def _is_same(value: Any, neutral: Any) -> bool:
    return type(value) is type(neutral) and value == neutral


# Checks.


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """Return a check for numbers between two bounds."""
    kinds, noun = (int, "whole number") if whole else (int | float, "number")

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise BadRequest(f"`{name}` must be a {noun}.", param=name)
        if not low <= value <= high:
            limits = f"between {low} and {high}" if high < HUGE else f"at least {low}"
            raise BadRequest(f"`{name}` must be {limits}.", param=name)

    return check


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise BadRequest(f"`{name}` must be true or false.", param=name)


def _check_word(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadRequest(f"`{name}` must be a text.", param=name)


def _check_model(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_MODEL_CHARACTERS:
        raise BadRequest(f"`{name}` must be the name of a style, such as `poetry`.", param=name)


def _check_stop(name: str, value: Any) -> None:
    stops = value if isinstance(value, list) else [value]
    if len(stops) > MAX_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise BadRequest(f"`{name}` must be a text or a list of at most {MAX_STOPS} texts.", param=name)
    if any(len(stop) > MAX_STOP_BYTES for stop in stops):
        raise BadRequest(f"`{name}`: a text may have at most {MAX_STOP_BYTES} characters.", param=name)


def check_tokens(name: str, value: list[Any]) -> None:
    """Raises BadRequest unless all of a list are ids of the base model's tokens."""
    size = base_model.vocabulary_size() or MAX_INT32
    if not all(type(token) is int and 0 <= token < size for token in value):
        raise BadRequest(f"`{name}` must have ids of the base model's tokens, 0 … {size - 1}.", param=name)


def _check_stop_tokens(name: str, value: Any) -> None:
    if not isinstance(value, list) or len(value) > MAX_STOP_TOKENS:
        raise BadRequest(f"`{name}` must be a list of at most {MAX_STOP_TOKENS} token ids.", param=name)
    check_tokens(name, value)


def _check_bias(name: str, value: Any) -> None:
    bias = value.values() if isinstance(value, dict) else [""]
    is_number = all(isinstance(b, int | float) and -100 <= b <= 100 for b in bias)
    if not is_number or not all(token.isdecimal() and len(token) < 12 for token in value):
        raise BadRequest(f"`{name}` must map token ids to numbers between -100 and 100.", param=name)
    if len(value) > MAX_BIASED_TOKENS:
        raise BadRequest(f"`{name}` may name {MAX_BIASED_TOKENS} tokens.", param=name)
    check_tokens(name, [int(token) for token in value])


def _check_stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadRequest(f"`{name}` must be an object.", param=name)
    for inner, chosen in value.items():
        if inner not in ("include_usage", "include_obfuscation", "continuous_usage_stats"):
            raise BadRequest(f"`{name}.{inner[:SHOWN_CHARACTERS]}` is not served; leave it out.", param=name)
        if chosen is not None and not isinstance(chosen, bool):
            raise BadRequest(f"`{name}.{inner}` must be true or false.", param=name)
    if value.get("continuous_usage_stats"):
        raise BadRequest(
            f"`{name}.continuous_usage_stats` is not served: `include_usage` tells the usage at the end.",
            param=name,
        )


def _check_format(name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise BadRequest(f"`{name}.type` must be one of text, json_object, json_schema.", param=name)
    if kind != "json_schema":
        return
    told = value.get("json_schema")
    if not isinstance(told, dict) or not isinstance(told.get("schema"), dict):
        raise BadRequest(f"`{name}.json_schema` must be an object with `name` and `schema`.", param=name)
    if not isinstance(told.get("name"), str) or not isinstance(told.get("description") or "", str):
        raise BadRequest(f"`{name}.json_schema.name` must be a text.", param=name)
    if not isinstance(told.get("strict") or False, bool):
        raise BadRequest(f"`{name}.json_schema.strict` must be true or false.", param=name)
    grammars.check_schemas([told["schema"]], name)


def _check_structure(name: str, value: Any) -> None:
    known = ("json", "regex", "choice")
    chosen = [kind for kind, inner in value.items() if inner is not None] if isinstance(value, dict) else []
    if len(chosen) != 1 or chosen[0] not in known:
        raise BadRequest(f"`{name}` must be an object with one of {', '.join(known)}.", param=name)
    [kind] = chosen
    if kind == "json":
        grammars.check_schemas([value[kind]], name)
    elif kind == "regex":
        grammars.check_regex(value[kind], name)
    else:
        grammars.check_choices(value[kind], name)


LENGTH = number(1, HUGE, whole=True)


# What all forms of OpenAI's older two share.

OURS = "the gateway sets its own"
HINT = "a hint for billing, caching or records, which changes no answer"
ANSWERED_FORM = "answers have OpenAI's form"
TEMPLATE = "the base model's own chat template is used, with its own settings"
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["colour"],
    "properties": {"colour": {"enum": ["blue", "red"]}, "shades": {"type": "array", "maxItems": 3}},
}  # fmt: skip


def _between(low: float, high: float, *, whole: bool = False) -> Field:
    return served(f"{low} … {high}", number(low, high, whole=whole), low, high)


COMMON: Table = {
    "model": served("the style's name", _check_model),
    "stream": served("true or false", _check_flag, False, True),
    "stream_options": served("with `stream`: `include_usage`", _check_stream_options),
    "user": served(
        "whom the request is for; where a canary runs, it decides who meets it", _check_word, "ada"
    ),
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "min_p": _between(0, 1),
    "top_k": served("-1 or 0: no limit; up to 2^31 - 1", number(-1, MAX_INT32, whole=True), -1, 1, MAX_INT32),
    "frequency_penalty": _between(-2, 2),
    "presence_penalty": _between(-2, 2),
    "repetition_penalty": _between(0.01, 10),
    "n": served(
        f"1 … {MAX_SEQUENCES}; prompts times `n` within the plan's limit of sequences",
        number(1, MAX_SEQUENCES, whole=True), 1, 2,
    ),
    "seed": served("64 bits", number(-HUGE - 1, HUGE, whole=True), -HUGE - 1, 0, 7, HUGE),
    "stop": served(
        f"up to {MAX_STOPS} texts of up to {MAX_STOP_BYTES} characters", _check_stop,
        "\n", ["a", "b", "c", "d"],
    ),
    "stop_token_ids": served(
        f"up to {MAX_STOP_TOKENS} ids within the vocabulary", _check_stop_tokens, [], [0], [2, 3]
    ),
    "min_tokens": served(
        "0 … the longest answer", number(0, MAX_INT32, whole=True), 0, 1
    ),
    "ignore_eos": served("true: the answer is as long as it may be", _check_flag, False, True),
    "logit_bias": served(
        f"up to {MAX_BIASED_TOKENS} token ids within the vocabulary, -100 … 100", _check_bias,
        {}, {"0": -100, "2": -100}, {"5": 100},
    ),
    "response_format": served(
        "text, json_object, or a json_schema within the bounds below", _check_format,
        {"type": "text"}, {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA, "strict": True}},
    ),
    "structured_outputs": served(
        "vLLM's `json`, `regex` or `choice`, one of them, within the bounds below", _check_structure,
        {"choice": ["blue", "red"]}, {"regex": "[a-z]{1,8}"}, {"json": SCHEMA},
    ),
    "service_tier": ignored(HINT),
    "metadata": ignored(HINT),
    "store": ignored("nothing is kept"),
    "safety_identifier": ignored(HINT),
    "prompt_cache_key": ignored(HINT),
    "prompt_cache_options": ignored(HINT),
    "prompt_cache_retention": ignored(HINT),
    "priority": ignored(OURS),
    "cache_salt": ignored(OURS),
    "request_id": ignored(OURS),
    "session_id": ignored(OURS),
    "stream_interval": ignored("how many tokens a chunk has changes no answer"),
    "watermarking": refused("no text is marked", False),
    "moderation": refused("nothing is moderated here; ask a moderation service"),
    "best_of": refused("ask for `n` answers and choose", 1),
    "use_beam_search": refused("ask for `n` answers and choose", False),
    "length_penalty": refused("it belongs to beam search, which is not served", 1.0, 1),
    "early_stopping": refused("it belongs to beam search, which is not served", False),
    "allowed_token_ids": refused("use `structured_outputs` or `logit_bias`", []),
    "bad_words": refused("use `logit_bias`", []),
    "include_stop_str_in_output": refused("add the stop sequence yourself", False),
    "skip_special_tokens": refused("special tokens are never shown", True),
    "spaces_between_special_tokens": refused("special tokens are never shown", True),
    "add_special_tokens": refused("the tokenizer's own way is kept"),
    "truncate_prompt_tokens": refused("no prompt is cut; send a shorter one"),
    "truncation_side": refused("no prompt is cut; send a shorter one"),
    "prompt_logprobs": refused("only the answer's probabilities are told: `logprobs`"),
    "logprob_token_ids": refused("the likeliest tokens' probabilities are told: `logprobs`"),
    "return_tokens_as_token_ids": refused(ANSWERED_FORM, False),
    "return_token_ids": refused(ANSWERED_FORM, False),
    "return_token_offsets": refused(ANSWERED_FORM, False),
    "return_prompt_text": refused(ANSWERED_FORM, False),
    "return_mm_kwargs": refused(ANSWERED_FORM, False),
    "routed_experts_prompt_start": refused(ANSWERED_FORM, 0),
    "mm_payload": refused("only text is served"),
    "media_io_kwargs": refused("only text is served"),
    "mm_processor_kwargs": refused("only text is served"),
    "kv_transfer_params": refused("caches belong to the engine"),
    "ec_transfer_params": refused("caches belong to the engine"),
    "vllm_xargs": refused("the engine has no extensions of its own"),
    "repetition_detection": refused("use `frequency_penalty` or `repetition_penalty`"),
    "thinking_token_budget": ignored("the base model does not think aloud"),
    "guided_json": refused("use `structured_outputs.json`"),
    "guided_regex": refused("use `structured_outputs.regex`"),
    "guided_choice": refused("use `structured_outputs.choice`"),
    "guided_grammar": refused("use `structured_outputs` with json, regex or choice"),
    "guided_decoding_backend": refused("the engine chooses"),
}  # fmt: skip

CHAT: Table = COMMON | {
    "messages": served(
        "roles system, developer, user, assistant, tool, function; `content` a text, or parts of type text "
        "or refusal"
    ),
    "max_tokens": served("1 …; the plan's longest answer where neither is set", LENGTH, 1, 8),
    "max_completion_tokens": served("as `max_tokens`, and before it", LENGTH, 1, 8),
    "logprobs": served("true or false", _check_flag, False, True),
    "top_logprobs": served(
        f"0 … {MAX_LOGPROBS}, with `logprobs`", number(0, MAX_LOGPROBS, whole=True), 0, MAX_LOGPROBS
    ),
    "tools": served("up to 128 functions; `parameters` within the bounds below where they must be followed"),
    "tool_choice": served(
        "none, auto (where the base model's template has tools), required, or a function of `tools`; what "
        "must be called is `strict` unless it says otherwise"
    ),
    "parallel_tool_calls": served("true or false", _check_flag, False, True),
    "reasoning_effort": ignored("the base model does not think aloud"),
    "include_reasoning": ignored("the base model does not think aloud"),
    "prediction": ignored("it makes nothing faster here"),
    "verbosity": refused("say in a system message how long the answer is to be", "medium"),
    "functions": refused("use `tools`", []),
    "function_call": refused("use `tool_choice`", "auto", "none"),
    "modalities": refused("only text is answered", ["text"], []),
    "audio": refused("only text is answered"),
    "web_search_options": refused("nothing is searched here; send what you found as a message"),
    "echo": refused("the last message is not repeated", False),
    "add_generation_prompt": refused(TEMPLATE, True),
    "continue_final_message": refused("no answer is continued; say so in a message of the user", False),
    "documents": refused("send them as messages", []),
    "chat_template": refused(TEMPLATE),
    "chat_template_kwargs": refused(TEMPLATE, {}),
}  # fmt: skip

TEXT: Table = COMMON | {
    "prompt": served("a text, a list of texts, or one or several lists of token ids within the vocabulary"),
    "max_tokens": served("1 …; 16 where it is not set, as OpenAI has it", LENGTH, 1, 8),
    "echo": served("true: the prompt stands before its answer; not together with `logprobs`", _check_flag,
                   False, True),
    "logprobs": served(f"0 … {MAX_LOGPROBS}", number(0, MAX_LOGPROBS, whole=True), 0, MAX_LOGPROBS),
    "suffix": refused("nothing is filled in between; put it into the prompt", ""),
    "prompt_embeds": refused("send a text or token ids"),
}  # fmt: skip


# Anthropic's form.

NO_BUILT_IN = "nothing is run here"

COUNT: Table = {
    "model": CHAT["model"],
    "messages": served("roles user, assistant, system; blocks text, tool_use, tool_result"),
    "system": served("a text, or blocks of text"),
    "tools": served("tools that you run yourself, with `input_schema`"),
    "tool_choice": served("none, any, tool; auto where the base model's template has tools"),
    "output_config": served("`format` of type json_schema, within the bounds below"),
    "thinking": served("disabled or adaptive: the base model does not think aloud"),
    "cache_control": ignored(HINT),
    "speed": ignored(HINT),
    "user_profile_id": ignored(HINT),
    "workspace_id": ignored(HINT),
    "betas": ignored("a header's list"),
    "context_management": refused("nothing is cut; send the conversation as it is to be read", {}),
    "mcp_servers": refused(
        "call the server yourself and send what it says as a `tool_result`", []
    ),
}  # fmt: skip

MESSAGES: Table = COUNT | {
    "max_tokens": served("1 …; it must be set", LENGTH, 1),
    "stop_sequences": served(f"up to {MAX_STOPS} texts of up to {MAX_STOP_BYTES} characters"),
    "temperature": COMMON["temperature"],
    "top_p": COMMON["top_p"],
    "top_k": COMMON["top_k"],
    "stream": COMMON["stream"],
    "metadata": served("`user_id`: where a canary runs, it decides who meets it"),
    "service_tier": ignored(HINT),
    "inference_geo": ignored(HINT),
    "diagnostics": ignored(HINT),
    "billing_policy": ignored(HINT),
    "container": refused("nothing is kept or run here"),
    "compaction": refused("nothing is cut; send the conversation as it is to be read"),
    "fallbacks": refused("one style is asked; ask for another yourself", []),
    "fallback_credit_token": ignored(HINT),
    "thread": refused("nothing is kept; send the whole conversation in `messages`"),
}  # fmt: skip


# OpenAI's newer form.

CONVERSATION = "nothing is kept; send the whole conversation in `input`"

RESPONSES: Table = {
    name: COMMON[name]
    for name in (
        "model", "stream", "user", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
        "frequency_penalty", "repetition_penalty", "seed", "stop", "service_tier", "metadata", "store",
        "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "moderation",
    )
} | {
    "input": served("a text, or messages, function calls and their outputs; reasoning is left out"),
    "instructions": served("a text: the first message of the system"),
    "max_output_tokens": served("1 …; the plan's longest answer where it is not set", LENGTH, 1),
    "parallel_tool_calls": CHAT["parallel_tool_calls"],
    "stream_options": served("with `stream`", _check_stream_options),
    "text": served("`format`: text, json_object, or a json_schema within the bounds below"),
    "tools": served("functions, `strict` unless they say otherwise"),
    "tool_choice": CHAT["tool_choice"],
    "truncation": served("disabled, or auto: either way no prompt is cut, one too long is refused"),
    "include": served("nothing of it; `message.output_text.logprobs` is refused by name"),
    "reasoning": ignored("the base model does not think aloud"),
    "max_tool_calls": ignored("it counts built-in tools, of which there are none"),
    "background": refused("wait for the answer, or stream it", False),
    "background_options": refused("wait for the answer, or stream it", {}),
    "previous_response_id": refused(CONVERSATION),
    "conversation": refused(CONVERSATION),
    "context_management": refused("nothing is cut; send the conversation as it is to be read", []),
    "prompt": refused("no templates are kept; send the text in `input`"),
    "top_logprobs": refused("ask /v1/chat/completions for probabilities", 0),
    "image": refused("only text is served"),
    "access_programs": refused("there are none here"),
}  # fmt: skip

FORMS: dict[str, Table] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": TEXT,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT,
    "/v1/responses": RESPONSES,
}


FATES = {"served": "yes", "ignored": "ignored", "refused": "400"}


def describe_fields(form: str) -> str:
    """Return a form's fields as a table for docs/api.md."""
    lines = ["| field | served | |", "|---|---|---|"]
    table = FORMS[form]
    for fate, word in FATES.items():
        for name, field in table.items():
            if field.fate == fate:
                lines.append(f"| `{name}` | {word} | {_describe(field)} |")
    return "\n".join(lines)


def _describe(field: Field) -> str:
    if not field.neutral:
        return field.says
    accepted = ", ".join(f"`{json.dumps(value)}`" for value in field.neutral)
    return f"{field.says} ({accepted} may stand)"
