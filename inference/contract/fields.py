"""Every field that a client may send, endpoint by endpoint. docs/api.md shows these tables."""

from collections.abc import Iterable

from inference.contract.field_checks import (
    MAX_BIASED_TOKENS,
    MAX_INT32,
    MAX_INT64,
    MAX_STOP_CHARACTERS,
    MAX_STOP_TOKENS,
    MAX_STOPS,
    check_bool,
    check_context_edits,
    check_context_management,
    check_list,
    check_logit_bias,
    check_model,
    check_object,
    check_response_format,
    check_response_stream_options,
    check_stop,
    check_stop_token_ids,
    check_stream_options,
    check_structured_outputs,
    check_template_variables,
    check_text,
    check_thinking,
    check_token_list,
    check_usage,
    number,
)
from inference.contract.field_reader import Field, Table, ignored, refused, served, split_names

MAX_SEQUENCES = 128  # of one request, prompts times `n`; the plan's own limit is lower
MAX_LOGPROBS = 20
LENGTH = number(1, MAX_INT64, whole=True)


# Chat and text completions share these.

SET_BY_GATEWAY = "set by the gateway"
HINT = "a hint for billing, caching or logs; does not change the output"
OPENAIS_FORM = "responses only have OpenAI's fields"
NO_REASONING = "the base model is not a reasoning model"
ONLY_TEXT = "only text is supported"
NO_TRUNCATION = "input is never truncated; send only what the model should read"
TEMPLATE = "the base model's chat template is used with its own settings"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["colour"],
    "properties": {
        "colour": {"enum": ["blue", "red"]},
        "shades": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
}


def _number_between(low: float, high: float) -> Field:
    return served(f"{low} … {high}", number(low, high), low, high)


# What clients of other services send in every form.
HARMLESS: Table = {
    "reasoning": ignored(NO_REASONING),
    "thinking": ignored(
        f"of type disabled, enabled or adaptive: {NO_REASONING}",
        check_thinking,
        {"type": "disabled"},
        {"type": "enabled", "budget_tokens": 1024},
        {"type": "adaptive"},
    ),
    "context_management": ignored(
        "without edits, or with edits that only clear thinking: prompts have none",
        check_context_management,
        {},
        [],
        {"edits": []},
        {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    ),
    "chat_template_kwargs": ignored(
        "without variables, or with thinking turned on or off, if the base model's template reads no such "
        "variable",
        check_template_variables,
        {},
        {"enable_thinking": True},
        {"enable_thinking": False},
        {"thinking": False},
    ),
    "cache_prompt": ignored(HINT),
}
USAGE_IS_REPORTED = ignored("`include`: usage is always reported", check_usage, {"include": True})

COMMON: Table = HARMLESS | {
    "model": served("the style's name", check_model),
    "stream": served("true or false", check_bool, False, True),
    "stream_options": served(
        "with `stream`: `include_usage`, at the end; `continuous_usage_stats`, in each chunk, as vLLM has "
        "it, unless `include_usage` is false",
        check_stream_options,
    ),
    "usage": served(
        "`include`: as `stream_options.include_usage`", check_usage, {"include": False}, {"include": True}
    ),
    "user": served(
        "the end user's id; while a canary runs, a user always gets the same version", check_text, "ada"
    ),
    "temperature": served("0 … 2; defaults to the style's", number(0, 2), 0, 2),
    "top_p": served("0 … 1; defaults to the style's", number(0, 1), 0, 1),
    "min_p": _number_between(0, 1),
    "top_k": served("-1 or 0: no limit; up to 2^31 - 1", number(-1, MAX_INT32, whole=True), -1, 1, MAX_INT32),
    "frequency_penalty": _number_between(-2, 2),
    "presence_penalty": _number_between(-2, 2),
    "repetition_penalty": _number_between(0.01, 10),
    "n": served(
        f"1 … {MAX_SEQUENCES}; prompts times `n` within the plan's sequence limit",
        number(1, MAX_SEQUENCES, whole=True),
        1,
        2,
    ),
    "seed": served("64 bits", number(-MAX_INT64 - 1, MAX_INT64, whole=True), -MAX_INT64 - 1, 0, 7, MAX_INT64),
    "stop": served(
        f"up to {MAX_STOPS} strings of up to {MAX_STOP_CHARACTERS} characters",
        check_stop,
        "\n",
        [*"abcdefghijklmnop"],
    ),
    "stop_token_ids": served(
        f"up to {MAX_STOP_TOKENS} ids within the vocabulary", check_stop_token_ids, [], [0], [2, 3]
    ),
    "min_tokens": served("0 … the maximum output length", number(0, MAX_INT32, whole=True), 0, 1),
    "ignore_eos": served("true: generate until the maximum length", check_bool, False, True),
    "logit_bias": served(
        f"up to {MAX_BIASED_TOKENS} token ids within the vocabulary, -100 … 100",
        check_logit_bias,
        {},
        {"0": -100, "2": -100},
        {"5": 100},
    ),
    "response_format": served(
        "text, json_object, or a json_schema within the schema limits",
        check_response_format,
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA, "strict": True}},
    ),
    "structured_outputs": served(
        "one of vLLM's `json`, `regex` or `choice`, within the schema limits",
        check_structured_outputs,
        {"choice": ["blue", "red"]},
        {"regex": "[a-z]{1,8}"},
        {"json": SCHEMA},
    ),
    "service_tier": ignored(HINT),
    "metadata": ignored(HINT),
    "store": ignored("nothing is stored"),
    "safety_identifier": ignored(HINT),
    "prompt_cache_key": ignored(HINT),
    "prompt_cache_options": ignored(HINT),
    "prompt_cache_retention": ignored(HINT),
    "priority": ignored(SET_BY_GATEWAY),
    "cache_salt": ignored(SET_BY_GATEWAY),
    "request_id": ignored(SET_BY_GATEWAY),
    "session_id": ignored(SET_BY_GATEWAY),
    "stream_interval": ignored("chunk sizes don't change the output"),
    "watermarking": served(
        "true or false, within what the service and the workspace allow; see docs/provenance.md",
        check_bool,
        True,
    ),
    "moderation": refused("moderation is not available; use a moderation service"),
    "best_of": refused("request `n` choices and pick one", 1),
    "use_beam_search": refused("request `n` choices and pick one", False),
    "length_penalty": refused("beam search is not supported", 1.0, 1),
    "early_stopping": refused("beam search is not supported", False),
    "allowed_token_ids": refused("use `structured_outputs` or `logit_bias`", []),
    "bad_words": refused("use `logit_bias`", []),
    "include_stop_str_in_output": refused("add the stop sequence yourself", False),
    "skip_special_tokens": refused("special tokens are never returned", True),
    "spaces_between_special_tokens": refused("special tokens are never returned", True),
    "add_special_tokens": refused("the tokenizer's default is used"),
    "truncate_prompt_tokens": refused("prompts are never truncated; send a shorter one"),
    "truncation_side": refused("prompts are never truncated; send a shorter one"),
    "prompt_logprobs": refused("log probabilities are available for the output only: use `logprobs`"),
    "logprob_token_ids": refused("log probabilities are limited to the likeliest tokens: use `logprobs`"),
    "return_tokens_as_token_ids": refused(OPENAIS_FORM, False),
    "return_token_ids": refused(OPENAIS_FORM, False),
    "return_token_offsets": refused(OPENAIS_FORM, False),
    "return_prompt_text": refused(OPENAIS_FORM, False),
    "return_mm_kwargs": refused(OPENAIS_FORM, False),
    "routed_experts_prompt_start": refused(OPENAIS_FORM, 0),
    "mm_payload": refused(ONLY_TEXT),
    "media_io_kwargs": refused(ONLY_TEXT),
    "mm_processor_kwargs": refused(ONLY_TEXT),
    "kv_transfer_params": refused("caches are managed by the engine"),
    "ec_transfer_params": refused("caches are managed by the engine"),
    "vllm_xargs": refused("the engine has no such extensions"),
    "repetition_detection": refused("use `frequency_penalty` or `repetition_penalty`"),
    "thinking_token_budget": ignored(NO_REASONING),
    "guided_json": refused("use `structured_outputs.json`"),
    "guided_regex": refused("use `structured_outputs.regex`"),
    "guided_choice": refused("use `structured_outputs.choice`"),
    "guided_grammar": refused("use `structured_outputs` with json, regex or choice"),
    "guided_decoding_backend": refused("chosen by the engine"),
}

CHAT: Table = COMMON | {
    "messages": served(
        "roles system, developer, user, assistant, tool, function; `content` is a string, or parts of "
        "type text or refusal"
    ),
    "max_tokens": served("1 …; defaults to the plan's maximum if neither is set", LENGTH, 1, 8),
    "max_completion_tokens": served("like `max_tokens`, which it overrides", LENGTH, 1, 8),
    "logprobs": served("true or false", check_bool, False, True),
    "top_logprobs": served(
        f"0 … {MAX_LOGPROBS}, with `logprobs`", number(0, MAX_LOGPROBS, whole=True), 0, MAX_LOGPROBS
    ),
    "tools": served("up to 128 functions, 256 KiB; enforced `parameters` within the schema limits"),
    "tool_choice": served(
        "none, required, or a function of `tools`, which then follows its `parameters`; auto: the model "
        "chooses if its template supports tools, otherwise the output is plain text and "
        "`x-polyscribe-tool-choice` is none; allowed_tools: the same with some of `tools`"
    ),
    "parallel_tool_calls": served("true or false; several forced calls need true", check_bool, False, True),
    "reasoning_effort": ignored(NO_REASONING),
    "include_reasoning": ignored(NO_REASONING),
    "prediction": ignored("has no effect here"),
    "verbosity": refused("ask for the length you want in a system message", "medium"),
    "functions": refused("use `tools`", []),
    "function_call": refused("use `tool_choice`", "auto", "none"),
    "modalities": refused("output is text only", ["text"], []),
    "audio": refused("output is text only"),
    "web_search_options": refused("search is not available; send search results in a message"),
    "echo": refused("the last message is never echoed", False),
    "add_generation_prompt": refused(TEMPLATE, True),
    "continue_final_message": refused("answers can't be continued; ask for it in a user message", False),
    "documents": refused("send them as messages", []),
    "chat_template": refused(TEMPLATE),
}

TEXT: Table = COMMON | {
    "prompt": served("a string, a list of strings, or one or more lists of token ids within the vocabulary"),
    "max_tokens": served("1 …; defaults to 16, as in OpenAI's API", LENGTH, 1, 8),
    "echo": served(
        "true: the output starts with the prompt; can't be combined with `logprobs`", check_bool, False, True
    ),
    "logprobs": served(f"0 … {MAX_LOGPROBS}", number(0, MAX_LOGPROBS, whole=True), 0, MAX_LOGPROBS),
    "suffix": refused("inserting text is not supported; put it into the prompt", ""),
    "prompt_embeds": refused("send a string or token ids"),
}


# Anthropic's form.

COUNT: Table = HARMLESS | {
    "model": CHAT["model"],
    "messages": served(
        "roles user, assistant, system; blocks text, tool_use, tool_result; for a result with `is_error`, "
        "the model reads `Error: …`"
    ),
    "system": served("a string, or text blocks"),
    "tools": served("client tools, which you run yourself, with `input_schema`"),
    "tool_choice": served(
        "none, any, tool; auto: the model chooses if its template supports tools, otherwise the output "
        "is plain text and `x-polyscribe-tool-choice` is none"
    ),
    "output_config": served("`format` of type json_schema, within the schema limits", check_object),
    "context_management": ignored(
        "without edits, with edits that only clear thinking (prompts have none), or with `clear_tool_uses` "
        "edits that a prompt of this length doesn't trigger",
        check_context_edits,
        {},
        {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]},
    ),
    "usage": USAGE_IS_REPORTED,
    "cache_control": ignored(HINT),
    "speed": ignored(HINT),
    "user_profile_id": ignored(HINT),
    "workspace_id": ignored(HINT),
    "betas": ignored("belongs in a header"),
    "mcp_servers": refused("call the server yourself and send its output as a `tool_result`", []),
}

MESSAGES: Table = COUNT | {
    "max_tokens": served("1 …; required", LENGTH, 1),
    "stop_sequences": served(f"up to {MAX_STOPS} strings of up to {MAX_STOP_CHARACTERS} characters"),
    "temperature": COMMON["temperature"],
    "top_p": COMMON["top_p"],
    "top_k": COMMON["top_k"],
    "stream": COMMON["stream"],
    "watermarking": COMMON["watermarking"],
    "metadata": served("`user_id`: while a canary runs, a user always gets the same version", check_object),
    "service_tier": ignored(HINT),
    "inference_geo": ignored(HINT),
    "diagnostics": ignored(HINT),
    "billing_policy": ignored(HINT),
    "container": refused("nothing is stored or executed"),
    "compaction": refused(NO_TRUNCATION),
    "fallbacks": refused("a request uses one style; send a separate request for each", []),
    "fallback_credit_token": ignored(HINT),
    "thread": refused("nothing is stored; send the whole conversation in `messages`"),
}


# OpenAI's newer form.

BUILDS_ON = Field(
    "refused",
    "an id, if the workspace stores responses (in its settings, where the service offers it); otherwise 400: "
    "send the whole conversation in `input`",
    is_stateful=True,
    why="this workspace stores no responses: send the whole conversation in `input`, or turn storing on "
    "in the workspace's settings, where the service offers it",
)

# Fields that mean the same as in a chat.
SHARED_WITH_CHAT = split_names(
    """
    model stream user temperature top_p top_k min_p presence_penalty frequency_penalty
    repetition_penalty seed stop ignore_eos watermarking service_tier metadata store safety_identifier
    prompt_cache_key prompt_cache_options prompt_cache_retention moderation
    """
)
COUNTED = split_names(
    """
    model input instructions parallel_tool_calls text tools tool_choice truncation
    previous_response_id conversation
    """
)


def _pick(table: Table, names: Iterable[str]) -> Table:
    return {name: table[name] for name in names}


RESPONSES: Table = {
    **HARMLESS,
    **_pick(COMMON, SHARED_WITH_CHAT),
    "input": served("a string, or messages, function calls and their outputs; reasoning items are dropped"),
    "instructions": served("a string: the first system message; not inherited from an earlier response"),
    "metadata": ignored("comes back in the response, and is stored with it; does not change the output"),
    "store": Field(
        "ignored", "true unless you send false, if the workspace stores responses", is_stateful=True
    ),
    "max_output_tokens": served("1 …; defaults to the plan's maximum", LENGTH, 1),
    "parallel_tool_calls": CHAT["parallel_tool_calls"],
    "stream_options": served("with `stream`", check_response_stream_options),
    "usage": USAGE_IS_REPORTED,
    "text": served("`format`: text, json_object, or a json_schema within the schema limits", check_object),
    "tools": served("functions, `strict` by default"),
    "tool_choice": CHAT["tool_choice"],
    "truncation": served("disabled or auto: input is never truncated; a prompt that is too long is rejected"),
    "include": served("has no effect; `message.output_text.logprobs` is rejected", check_list),
    "max_tool_calls": ignored("limits built-in tools; there are none"),
    "background": refused("wait for the response, or stream it", False),
    "background_options": refused("wait for the response, or stream it", {}),
    "previous_response_id": BUILDS_ON,
    "conversation": BUILDS_ON,
    "prompt": refused("no prompts are stored; send the text in `input`"),
    "top_logprobs": refused("use /v1/chat/completions to get log probabilities", 0),
    "image": refused(ONLY_TEXT),
    "access_programs": refused("not available here"),
}

INPUT_TOKENS: Table = {
    **_pick(RESPONSES, (*HARMLESS, *COUNTED)),
    "personality": refused("choose a style and use its name as `model`"),
}


# vLLM's forms for the tokenizer.

TOKENIZE: Table = HARMLESS | {
    "model": served("optionally a style's name; all styles share one tokenizer", check_model),
    "prompt": served("a text", check_text),
    "messages": served("instead of `prompt`: a chat, rendered with the base model's template"),
    "tools": served("for the chat"),
    "add_special_tokens": served(
        "true or false; defaults to true for a text, false for a chat", check_bool, False, True
    ),
    "return_token_strs": served("true: return the tokens' text in `token_strs`", check_bool, False, True),
    "add_generation_prompt": CHAT["add_generation_prompt"],
    "continue_final_message": CHAT["continue_final_message"],
    "chat_template": CHAT["chat_template"],
    "media_io_kwargs": COMMON["media_io_kwargs"],
    "mm_processor_kwargs": COMMON["mm_processor_kwargs"],
}

DETOKENIZE: Table = {
    "model": TOKENIZE["model"],
    "tokens": served("token ids within the vocabulary", check_token_list),
}
