"""The operations of `/v1` for the OpenAPI document, made from the contract's own tables of fields."""

from typing import Any

from inference.contract.field_reader import Field, Table
from inference.contract.fields import FORMS
from inference.facts import JsonObject

# Types and meanings of the served fields of `/v1` for the OpenAPI document; their bounds are in `fields`.
#
# A field that means something else in one form stands there with the form's path before its name.

STRING: JsonObject = {"type": "string"}
NUMBER: JsonObject = {"type": "number"}
INTEGER: JsonObject = {"type": "integer"}
BOOLEAN: JsonObject = {"type": "boolean"}
OBJECT: JsonObject = {"type": "object"}
OBJECTS: JsonObject = {"type": "array", "items": OBJECT}
STRING_OR_STRINGS: JsonObject = {"type": ["string", "array"], "items": STRING}
STRING_OR_OBJECTS: JsonObject = {"type": ["string", "array"], "items": OBJECT}
STRING_OR_OBJECT: JsonObject = {"type": ["string", "object"]}
SAID_BY_TYPE = ("true or false", "the style's name")  # bounds that add nothing to a type and a meaning

MEANINGS: dict[str, tuple[JsonObject, str]] = {
    "model": (STRING, "The style that writes"),
    "messages": (OBJECTS, "The conversation so far"),
    "/v1/completions prompt": (
        {"type": ["string", "array"], "items": {"type": ["string", "integer", "array"], "items": INTEGER}},
        "The text to continue, or several",
    ),
    "/v1/tokenize prompt": (STRING, "What to tokenize"),
    "input": (STRING_OR_OBJECTS, "The prompt, or the conversation so far"),
    "instructions": (STRING, "What the model should keep to in this response"),
    "system": (STRING_OR_OBJECTS, "The system prompt"),
    "max_tokens": (INTEGER, "Maximum number of tokens to generate"),
    "max_completion_tokens": (INTEGER, "Maximum number of tokens to generate"),
    "max_output_tokens": (INTEGER, "Maximum number of tokens to generate"),
    "min_tokens": (INTEGER, "Minimum number of tokens to generate"),
    "stream": (BOOLEAN, "Whether to send the response as server-sent events while it is generated"),
    "stream_options": (OBJECT, "What a stream includes"),
    "temperature": (NUMBER, "Sampling temperature: higher values vary more, 0 is greedy"),
    "top_p": (NUMBER, "Sample from the likeliest tokens that together have this probability"),
    "top_k": (INTEGER, "Sample from this many of the likeliest tokens"),
    "min_p": (NUMBER, "Leave out tokens less likely than this share of the likeliest"),
    "frequency_penalty": (NUMBER, "Positive values make a token less likely each time it was used"),
    "presence_penalty": (NUMBER, "Positive values make a token less likely once it was used"),
    "repetition_penalty": (NUMBER, "Values above 1 make tokens of the prompt and the output less likely"),
    "n": (INTEGER, "Number of choices per prompt"),
    "seed": (INTEGER, "The same seed and request give the same text, where the engine allows it"),
    "stop": (STRING_OR_STRINGS, "Generation ends before these strings"),
    "stop_sequences": ({"type": "array", "items": STRING}, "Generation ends before these strings"),
    "stop_token_ids": ({"type": "array", "items": INTEGER}, "Generation ends at these tokens"),
    "ignore_eos": (BOOLEAN, "Whether to ignore the end-of-text token"),
    "watermarking": (BOOLEAN, "Whether the text is watermarked, where this can be chosen"),
    "logit_bias": (OBJECT, "Maps token ids to a bias added to their logits"),
    "/v1/chat/completions logprobs": (BOOLEAN, "Whether to return the tokens' log probabilities"),
    "/v1/completions logprobs": (INTEGER, "Number of alternatives per token, with log probabilities"),
    "top_logprobs": (INTEGER, "Number of alternatives per token"),
    "echo": (BOOLEAN, "Whether to return the prompt, too"),
    "response_format": (OBJECT, "The format of the output"),
    "structured_outputs": (OBJECT, "Constrains the output"),
    "output_config": (OBJECT, "The format of the output"),
    "text": (OBJECT, "The format of the output"),
    "tools": (OBJECTS, "Functions the model may call"),
    "tool_choice": (STRING_OR_OBJECT, "Whether and which tool is called"),
    "parallel_tool_calls": (BOOLEAN, "Whether the model may call several tools at once"),
    "user": (STRING, "Identifies your end user"),
    "metadata": (OBJECT, "Identifies your end user"),
    "usage": (OBJECT, "Whether a stream ends with its usage"),
    "truncation": (STRING, "Accepted for compatibility"),
    "include": ({"type": "array", "items": STRING}, "Accepted for compatibility"),
    "add_special_tokens": (BOOLEAN, "Whether to add the tokens that begin a text"),
    "return_token_strs": (BOOLEAN, "Whether to return the text of each token"),
    "tokens": ({"type": "array", "items": INTEGER}, "The tokens to turn into text"),
}


EXAMPLE_MESSAGES = [{"role": "user", "content": "Describe the rain."}]
REQUIRED = {
    "/v1/chat/completions": ["model", "messages"],
    "/v1/completions": ["model", "prompt"],
    "/v1/messages": ["model", "messages", "max_tokens"],
    "/v1/messages/count_tokens": ["model", "messages"],
    "/v1/responses": ["model", "input"],
    "/v1/responses/input_tokens": ["model", "input"],
    "/v1/tokenize": ["prompt"],
    "/v1/detokenize": ["tokens"],
}
SUMMARIES = {
    "/v1/chat/completions": "Create a chat completion",
    "/v1/completions": "Create a text completion",
    "/v1/messages": "Create a message (Anthropic format)",
    "/v1/messages/count_tokens": "Count the tokens of a message (Anthropic format)",
    "/v1/responses": "Create a response (OpenAI Responses format)",
    "/v1/responses/input_tokens": "Count the tokens of a response's input",
    "/v1/tokenize": "Tokenize a text",
    "/v1/detokenize": "Turn tokens into text",
}
COUNTED = (
    "The count is exact, by the base model's own chat template. It counts as one request without tokens."
)
WITHOUT_PREFIX = "Also available without `/v1`."
DESCRIPTIONS = {
    "/v1/chat/completions": "Write the next message of a conversation in a style.",
    "/v1/completions": "Continue one or several texts in a style.",
    "/v1/messages": "Write the next message of a conversation in a style, for Anthropic's clients.",
    "/v1/messages/count_tokens": f"Count the tokens of a conversation. {COUNTED}",
    "/v1/responses": (
        "Write a response in a style, for clients of OpenAI's Responses API. If the workspace stores "
        "responses, a request can build on an earlier one by `previous_response_id` or `conversation`."
    ),
    "/v1/responses/input_tokens": f"Count the tokens of an input. {COUNTED}",
    "/v1/tokenize": f"Split a text or a chat into the base model's tokens. {WITHOUT_PREFIX}",
    "/v1/detokenize": f"Return the text of a list of token ids. {WITHOUT_PREFIX}",
}
EXAMPLES: dict[str, JsonObject] = {
    "/v1/chat/completions": {"model": "poetry", "messages": EXAMPLE_MESSAGES, "max_tokens": 60},
    "/v1/completions": {"model": "poetry", "prompt": "The rain", "max_tokens": 40},
    "/v1/messages": {"model": "poetry", "messages": EXAMPLE_MESSAGES, "max_tokens": 60},
    "/v1/messages/count_tokens": {"model": "poetry", "messages": EXAMPLE_MESSAGES},
    "/v1/responses": {"model": "poetry", "input": "Describe the rain.", "max_output_tokens": 60},
    "/v1/responses/input_tokens": {"model": "poetry", "input": "Describe the rain."},
    "/v1/tokenize": {"prompt": "The rain"},
    "/v1/detokenize": {"tokens": [504, 5659]},
}
ANSWERS: dict[str, JsonObject] = {
    "/v1/chat/completions": {
        "id": "chatcmpl-1f",
        "object": "chat.completion",
        "created": 1795600000,
        "model": "poetry",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Soft silver threads."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 34, "completion_tokens": 6, "total_tokens": 40},
    },
    "/v1/completions": {
        "id": "cmpl-1f",
        "object": "text_completion",
        "created": 1795600000,
        "model": "poetry",
        "choices": [{"index": 0, "text": " falls softly.", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    },
    "/v1/messages": {
        "id": "msg_1f",
        "type": "message",
        "role": "assistant",
        "model": "poetry",
        "content": [{"type": "text", "text": "Soft silver threads."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 34, "output_tokens": 6},
    },
    "/v1/messages/count_tokens": {"input_tokens": 34},
    "/v1/responses": {
        "id": "resp_1f",
        "object": "response",
        "status": "completed",
        "model": "poetry",
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Soft silver threads."}],
            }
        ],
        "usage": {"input_tokens": 34, "output_tokens": 6, "total_tokens": 40},
    },
    "/v1/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 34},
    "/v1/tokenize": {"count": 2, "max_model_len": 2048, "tokens": [504, 5659], "token_strs": None},
    "/v1/detokenize": {"prompt": "The rain"},
}
LIMIT_EXAMPLE = {"limit": 20_000_000, "used": 1_200_000, "in_flight": 1000, "remaining": 18_799_000}
CREDITS_EXAMPLE = {"left_nanousd": 12_400_000_000, "left_usd": "12.40"}
# What is null where there is no limit, or nothing to say.
NULLABLE = {"limit", "remaining", "included_tokens", "credits", "token_strs", "expires_at"}
READS: dict[str, tuple[str, str, str, JsonObject]] = {
    "/v1/models": (
        "models.list",
        "List the styles a key can use",
        "Return every style that the key can use as `model`, with its context length and live version.",
        {"object": "list", "data": [{"id": "poetry", "object": "model", "owned_by": "polyscribe"}]},
    ),
    "/v1/models/{name}": (
        "models.get",
        "Get a style by name",
        "Return a style, or one of its versions as `brand-voice@3`.",
        {"id": "poetry", "object": "model", "owned_by": "polyscribe"},
    ),
    "/v1/key": (
        "key.get",
        "Get the key in use",
        "Return the key's scopes, styles, limits and remaining quota, and the workspace's credits.",
        {
            "object": "api_key",
            "name": "newsletter",
            "scopes": ["inference"],
            "styles": ["poetry"],
            "limits": {
                "resets_at": "2026-12-01T00:00:00Z",
                "key": {"monthly_tokens": LIMIT_EXAMPLE},
                "workspace": {
                    "monthly_tokens": LIMIT_EXAMPLE,
                    "included_tokens": {"limit": 5_000_000, "used": 1_200_000, "remaining": 3_799_000},
                },
            },
            "credits": CREDITS_EXAMPLE,
        },
    ),
    "/v1/usage": (
        "key.usage",
        "Get the usage of the key in use",
        "Return only this key's usage. Takes the same parameters as `usage.get`.",
        {
            "start": "2026-11-01",
            "end": "2026-11-27",
            "data": [],
            "total": {"requests": 0},
            "credits": CREDITS_EXAMPLE,
        },
    ),
    "/v1/tokenizer_info": (
        "tokenizer.get",
        "Get the tokenizer's settings",
        f"Return the base model's special tokens and its chat template. {WITHOUT_PREFIX}",
        {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>", "chat_template": "{% for …"},
    ),
}
ERRORS = {
    "400": "A field is invalid. See `param`.",
    "401": "The API key is missing or invalid.",
    "403": "The key lacks the scope `inference`, or the workspace is suspended.",
    "404": "No such style for this key.",
    "405": "Method not allowed. See `Allow` for the supported methods.",
    "429": "Limit reached. The message says which one, what is left and when it resets.",
    "503": "The style or the engine is not ready. Retry after `Retry-After` seconds.",
}
POST_ERRORS = {
    "409": "The Idempotency-Key is in use, or was used for a different request.",
    "413": "The request body is larger than 4 MiB.",
    "415": "The body is not JSON, or its encoding is not supported.",
    "502": "The engine failed on this request and would fail again.",
}
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"$ref": "#/components/schemas/DataPlaneFault"}},
}
FAULT_SCHEMA = {
    "type": "object",
    "required": ["message", "type", "param", "code"],
    "properties": {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "code": {"type": ["string", "null"]},
    },
}
ERROR_NAME = "DataPlaneError"
ANTHROPICS = ("/v1/messages", "/v1/messages/count_tokens")  # their errors are in Anthropic's form
ANTHROPICS_ERROR_NAME = "AnthropicError"
ANTHROPICS_ERROR_SCHEMA = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"type": "string", "const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}
ANTHROPICS_ERRORS = {
    "400": "A field is invalid. The message says which.",
    "529": "The style or the engine is not ready. Retry after `Retry-After` seconds.",
}
COMPONENT_NAMES = {  # of the components: with `Request` for the body, with `Answer` for what comes back
    "/v1/chat/completions": "Chat",
    "/v1/completions": "Completion",
    "/v1/messages": "Message",
    "/v1/messages/count_tokens": "TokenCount",
    "/v1/responses": "Response",
    "/v1/responses/input_tokens": "ResponseTokenCount",
    "/v1/tokenize": "Tokenize",
    "/v1/detokenize": "Detokenize",
    "/v1/models": "Models",
    "/v1/models/{name}": "Model",
    "/v1/key": "OwnKey",
    "/v1/usage": "OwnUsage",
    "/v1/tokenizer_info": "TokenizerInfo",
}
STREAMING = "With `stream: true`, the response is a stream of server-sent events."


def data_plane_schemas() -> JsonObject:
    """Return the components that the paths of `/v1` refer to."""
    schemas: JsonObject = {
        ERROR_NAME: ERROR_SCHEMA,
        "DataPlaneFault": FAULT_SCHEMA,
        ANTHROPICS_ERROR_NAME: ANTHROPICS_ERROR_SCHEMA,
    }
    for path, table in FORMS.items():
        schemas[f"{COMPONENT_NAMES[path]}Request"] = _describe_body(path, table)
        schemas[f"{COMPONENT_NAMES[path]}Answer"] = _shape_of(ANSWERS[path])
    for path, (*_, example) in READS.items():
        schemas[f"{COMPONENT_NAMES[path]}Answer"] = _shape_of(example)
    return schemas


def data_plane_paths() -> JsonObject:
    """Return the paths of `/v1` as OpenAPI has them. Their errors refer to the component DataPlaneError."""
    paths: JsonObject = {}
    for path, table in FORMS.items():
        paths[path] = {"post": _describe_post(path, table)}
    for path in READS:
        paths[path] = {"get": _describe_get(path)}
    return paths


def _describe_post(path: str, table: Table) -> JsonObject:
    name = path.removeprefix("/v1/").replace("/", ".")
    streams = "stream" in table
    return {
        "operationId": f"{name}.create",
        "summary": SUMMARIES[path],
        "description": f"{DESCRIPTIONS[path]} {STREAMING}" if streams else DESCRIPTIONS[path],
        "tags": ["writing"],
        "security": [{"apiKey": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _refer_to(f"{COMPONENT_NAMES[path]}Request"),
                    "example": EXAMPLES[path],
                }
            },
        },
        "responses": _responses(path, ANSWERS[path], streams=streams, errors=ERRORS | POST_ERRORS),
    }


def _describe_get(path: str) -> JsonObject:
    name, summary, description, example = READS[path]
    operation: JsonObject = {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": ["writing"],
        "security": [{"apiKey": []}],
        "responses": _responses(path, example, streams=False, errors=ERRORS),
    }
    if "{name}" in path:
        schema = {"type": "string"}
        parameter = {"name": "name", "in": "path", "required": True, "schema": schema}
        operation["parameters"] = [parameter | {"description": "As in `model`."}]
    return operation


def _served(table: Table) -> Table:
    return {name: field for name, field in table.items() if field.fate == "served"}


def _describe_field(path: str, name: str, field: Field) -> JsonObject:
    """Return a field's schema: what it means, then its bounds."""
    schema, meaning = MEANINGS.get(f"{path} {name}") or MEANINGS[name]
    description = f"{meaning}."
    if field.says not in SAID_BY_TYPE:
        description = f"{description} {field.says[0].upper()}{field.says[1:]}."
    described: JsonObject = {**schema, "description": description}
    examples = [value for value in field.ends if value is not None]
    if examples:
        described["examples"] = examples
    return described


def _describe_body(path: str, table: Table) -> JsonObject:
    properties = {name: _describe_field(path, name, field) for name, field in _served(table).items()}
    return {"type": "object", "required": REQUIRED[path], "properties": properties}


def _shape_of(example: Any) -> JsonObject:
    """Return the schema of an answer as its example shows it; engines add fields, so none is excluded."""
    match example:
        case dict():
            properties = {name: _shape_of_field(name, value) for name, value in example.items()}
            return {"type": "object", "properties": properties}
        case list():
            return {"type": "array", "items": _shape_of(example[0]) if example else {}}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return {"type": "string"}
    return {}


def _shape_of_field(name: str, value: Any) -> JsonObject:
    shape = _shape_of(value)
    return shape | {"type": [shape["type"], "null"]} if name in NULLABLE and shape else shape


def _refer_to(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _responses(path: str, example: JsonObject, *, streams: bool, errors: dict[str, str]) -> JsonObject:
    shape = _refer_to(f"{COMPONENT_NAMES[path]}Answer")
    content: JsonObject = {"application/json": {"schema": shape, "example": example}}
    if streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    responses: JsonObject = {"200": {"description": "The response.", "content": content}}
    error_name = ERROR_NAME
    if path in ANTHROPICS:
        error_name = ANTHROPICS_ERROR_NAME
        errors = {status: text for status, text in errors.items() if status != "503"} | ANTHROPICS_ERRORS
    for status, description in errors.items():
        schema = _refer_to(error_name)
        responses[status] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return responses
