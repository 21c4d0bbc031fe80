"""The operations of `/v1` for the OpenAPI document, made from the contract's rows of endpoints and fields."""

from typing import Any

from inference.contract.endpoints import ENDPOINTS, Endpoint
from inference.contract.field_reader import Field
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


# What is null where there is no limit, or nothing to say.
NULLABLE = {"limit", "remaining", "included_tokens", "credits", "token_strs", "expires_at"}
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
STREAMING = "With `stream: true`, the response is a stream of server-sent events."


def data_plane_schemas() -> JsonObject:
    """Return the components that the paths of `/v1` refer to."""
    schemas: JsonObject = {
        ERROR_NAME: ERROR_SCHEMA,
        "DataPlaneFault": FAULT_SCHEMA,
        ANTHROPICS_ERROR_NAME: ANTHROPICS_ERROR_SCHEMA,
    }
    for endpoint in ENDPOINTS:
        if endpoint.fields:
            schemas[f"{endpoint.component}Request"] = _describe_body(endpoint)
        schemas[f"{endpoint.component}Answer"] = _shape_of(endpoint.answer)
    return schemas


def data_plane_paths() -> JsonObject:
    """Return the paths of `/v1` as OpenAPI has them. Their errors refer to the component DataPlaneError."""
    paths: JsonObject = {}
    for endpoint in ENDPOINTS:
        described = (
            {"post": _describe_post(endpoint)} if endpoint.fields else {"get": _describe_get(endpoint)}
        )
        paths[endpoint.path] = described
    return paths


def _describe_post(endpoint: Endpoint) -> JsonObject:
    name = endpoint.path.removeprefix("/v1/").replace("/", ".")
    description = endpoint.description
    if "stream" in endpoint.fields:
        description += f" {STREAMING}"
    schema = _refer_to(f"{endpoint.component}Request")
    content = {"application/json": {"schema": schema, "example": endpoint.example}}
    return {
        "operationId": f"{name}.create",
        "summary": endpoint.summary,
        "description": description,
        "tags": ["writing"],
        "security": [{"apiKey": []}],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(endpoint, ERRORS | POST_ERRORS),
    }


def _describe_get(endpoint: Endpoint) -> JsonObject:
    operation: JsonObject = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": ["writing"],
        "security": [{"apiKey": []}],
        "responses": _responses(endpoint, ERRORS),
    }
    if "{name}" in endpoint.path:
        schema = {"type": "string"}
        parameter = {"name": "name", "in": "path", "required": True, "schema": schema}
        operation["parameters"] = [parameter | {"description": "As in `model`."}]
    return operation


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


def _describe_body(endpoint: Endpoint) -> JsonObject:
    properties = {}
    for name, field in endpoint.fields.items():
        if field.fate == "served":
            properties[name] = _describe_field(endpoint.path, name, field)
    return {"type": "object", "required": endpoint.required, "properties": properties}


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


def _responses(endpoint: Endpoint, errors: dict[str, str]) -> JsonObject:
    shape = _refer_to(f"{endpoint.component}Answer")
    content: JsonObject = {"application/json": {"schema": shape, "example": endpoint.answer}}
    if "stream" in endpoint.fields:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    responses: JsonObject = {"200": {"description": "The response.", "content": content}}
    error_name = ERROR_NAME
    if endpoint.has_anthropics_errors:
        error_name = ANTHROPICS_ERROR_NAME
        errors = {status: text for status, text in errors.items() if status != "503"} | ANTHROPICS_ERRORS
    for status, description in errors.items():
        schema = _refer_to(error_name)
        responses[status] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return responses
