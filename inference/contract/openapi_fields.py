"""Types and meanings of the served fields of `/v1` for the OpenAPI document; their bounds are in `fields`.

A field that means something else in one form stands there with the form's path before its name.
"""

from inference.facts import JsonObject

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
