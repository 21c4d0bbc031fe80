"""The endpoints of `/v1`, one row each: the gateway and the OpenAPI document are made from them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings

from inference.contract import fields, tokenizer
from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.field_reader import Table
from inference.contract.requests import ParsedRequest, parse_request
from inference.contract.tokenizer import TokenTask
from inference.errors import NoEmbeddings, NotAtGateway, UnknownPath
from inference.facts import JsonObject, Stream


@dataclass(frozen=True)
class Generation:
    """How an endpoint that generates text translates between its own dialect and a chat.

    `translate_answer` and `translate_events` take what the engine answers, the request's body and its id.
    `store_answer` comes in the place of the former where the answer is to be stored (api/turns.py); it takes
    the gateway's answer.
    """

    parse: Callable[[bytes], ParsedRequest]
    translate_answer: Callable[[bytes, bytes, str], bytes] = lambda answer, *_: answer
    translate_events: Callable[[Stream, bytes, str], Stream] = lambda events, *_: events
    store_answer: Callable[[Any], Awaitable[bytes]] | None = None


@dataclass(frozen=True)
class TokenCount:
    """How an endpoint counts a prompt's tokens; `kind` is the answer's `object`, where it has one."""

    parse: Callable[[bytes], ParsedRequest]
    kind: str = ""

    def describe(self, tokens: int) -> JsonObject:
        """Return the answer."""
        return ({"object": self.kind} if self.kind else {}) | {"input_tokens": tokens}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint: what serves it, and what the OpenAPI document says of it.

    One of `generation`, `token_count` and `parse_token_task` is set where it takes a body, of which `fields`
    has the fields. `component` names its schemas in the document: with `Request` that of the body, with
    `Answer` that of what comes back. `answer` and `example` are examples.
    """

    path: str
    component: str
    summary: str
    description: str
    answer: JsonObject
    generation: Generation | None = None
    token_count: TokenCount | None = None
    parse_token_task: Callable[[bytes], TokenTask] | None = None
    fields: Table = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    example: JsonObject = field(default_factory=dict)
    operation_id: str = ""  # of one that takes no body; that of the others follows from the path
    has_anthropics_errors: bool = False


EXAMPLE_MESSAGES = [{"role": "user", "content": "Describe the rain."}]
COUNTED = (
    "The count is exact, by the base model's own chat template. It counts as one request without tokens."
)
WITHOUT_PREFIX = "Also available without `/v1`."
LIMIT_EXAMPLE = {"limit": 20_000_000, "used": 1_200_000, "in_flight": 1000, "remaining": 18_799_000}
CREDITS_EXAMPLE = {"left_nanousd": 12_400_000_000, "left_usd": "12.40"}

ENDPOINTS = (
    Endpoint(
        path="/v1/chat/completions",
        generation=Generation(partial(parse_request, "chat")),
        fields=fields.CHAT,
        required=["model", "messages"],
        component="Chat",
        summary="Create a chat completion",
        description="Write the next message of a conversation in a style.",
        example={"model": "poetry", "messages": EXAMPLE_MESSAGES, "max_tokens": 60},
        answer={
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
    ),
    Endpoint(
        path="/v1/completions",
        generation=Generation(partial(parse_request, "text")),
        fields=fields.TEXT,
        required=["model", "prompt"],
        component="Completion",
        summary="Create a text completion",
        description="Continue one or several texts in a style.",
        example={"model": "poetry", "prompt": "The rain", "max_tokens": 40},
        answer={
            "id": "cmpl-1f",
            "object": "text_completion",
            "created": 1795600000,
            "model": "poetry",
            "choices": [{"index": 0, "text": " falls softly.", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
        },
    ),
    Endpoint(
        path="/v1/messages",
        generation=Generation(
            anthropic_messages.parse_messages,
            anthropic_messages.translate_answer,
            anthropic_messages.translate_events,
        ),
        fields=fields.MESSAGES,
        required=["model", "messages", "max_tokens"],
        component="Message",
        summary="Create a message (Anthropic format)",
        description="Write the next message of a conversation in a style, for Anthropic's clients.",
        example={"model": "poetry", "messages": EXAMPLE_MESSAGES, "max_tokens": 60},
        answer={
            "id": "msg_1f",
            "type": "message",
            "role": "assistant",
            "model": "poetry",
            "content": [{"type": "text", "text": "Soft silver threads."}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 34, "output_tokens": 6},
        },
        has_anthropics_errors=True,
    ),
    Endpoint(
        path="/v1/messages/count_tokens",
        token_count=TokenCount(anthropic_messages.parse_count_tokens),
        fields=fields.COUNT,
        required=["model", "messages"],
        component="TokenCount",
        summary="Count the tokens of a message (Anthropic format)",
        description=f"Count the tokens of a conversation. {COUNTED}",
        example={"model": "poetry", "messages": EXAMPLE_MESSAGES},
        answer={"input_tokens": 34},
        has_anthropics_errors=True,
    ),
    Endpoint(
        path="/v1/responses",
        generation=Generation(
            openai_responses.parse_response_request,
            openai_responses.translate_answer,
            openai_responses.translate_events,
        ),
        fields=fields.RESPONSES,
        required=["model", "input"],
        component="Response",
        summary="Create a response (OpenAI Responses format)",
        description="Write a response in a style, for clients of OpenAI's Responses API. If the "
        "workspace stores responses, a request can build on an earlier one by `previous_response_id` or "
        "`conversation`.",
        example={"model": "poetry", "input": "Describe the rain.", "max_output_tokens": 60},
        answer={
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
    ),
    Endpoint(
        path="/v1/responses/input_tokens",
        token_count=TokenCount(openai_responses.parse_input_tokens, "response.input_tokens"),
        fields=fields.INPUT_TOKENS,
        required=["model", "input"],
        component="ResponseTokenCount",
        summary="Count the tokens of a response's input",
        description=f"Count the tokens of an input. {COUNTED}",
        example={"model": "poetry", "input": "Describe the rain."},
        answer={"object": "response.input_tokens", "input_tokens": 34},
    ),
    Endpoint(
        path="/v1/tokenize",
        parse_token_task=tokenizer.parse_tokenize,
        fields=fields.TOKENIZE,
        required=["prompt"],
        component="Tokenize",
        summary="Tokenize a text",
        description=f"Split a text or a chat into the base model's tokens. {WITHOUT_PREFIX}",
        example={"prompt": "The rain"},
        answer={"count": 2, "max_model_len": 2048, "tokens": [504, 5659], "token_strs": None},
    ),
    Endpoint(
        path="/v1/detokenize",
        parse_token_task=tokenizer.parse_detokenize,
        fields=fields.DETOKENIZE,
        required=["tokens"],
        component="Detokenize",
        summary="Turn tokens into text",
        description=f"Return the text of a list of token ids. {WITHOUT_PREFIX}",
        example={"tokens": [504, 5659]},
        answer={"prompt": "The rain"},
    ),
    Endpoint(
        path="/v1/models",
        operation_id="models.list",
        component="Models",
        summary="List the styles a key can use",
        description="Return every style that the key can use as `model`, with its context length and live "
        "version.",
        answer={"object": "list", "data": [{"id": "poetry", "object": "model", "owned_by": "polyscribe"}]},
    ),
    Endpoint(
        path="/v1/models/{name}",
        operation_id="models.get",
        component="Model",
        summary="Get a style by name",
        description="Return a style, or one of its versions as `brand-voice@3`.",
        answer={"id": "poetry", "object": "model", "owned_by": "polyscribe"},
    ),
    Endpoint(
        path="/v1/key",
        operation_id="key.get",
        component="OwnKey",
        summary="Get the key in use",
        description="Return the key's scopes, styles, limits and remaining quota, and the workspace's "
        "credits.",
        answer={
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
    Endpoint(
        path="/v1/usage",
        operation_id="key.usage",
        component="OwnUsage",
        summary="Get the usage of the key in use",
        description="Return only this key's usage. Takes the same parameters as `usage.get`.",
        answer={
            "start": "2026-11-01",
            "end": "2026-11-27",
            "data": [],
            "total": {"requests": 0},
            "credits": CREDITS_EXAMPLE,
        },
    ),
    Endpoint(
        path="/v1/tokenizer_info",
        operation_id="tokenizer.get",
        component="TokenizerInfo",
        summary="Get the tokenizer's settings",
        description=f"Return the base model's special tokens and its chat template. {WITHOUT_PREFIX}",
        answer={"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>", "chat_template": "{% for …"},
    ),
)
FORMS = {endpoint.path: endpoint.fields for endpoint in ENDPOINTS if endpoint.fields}

# The paths of the gateway, and which methods each answers.

MODELS = "/v1/models"
MODELS_FOLDER = f"{MODELS}/"  # one path for each model
KEY = "/v1/key"
USAGE = "/v1/usage"
TOKENIZER_INFO = "/v1/tokenizer_info"
VERSION = "/version"
ALIVE = "/healthz"
READY = ("/readyz", "/health")
EMBEDDINGS = "/v1/embeddings"
RESPONSES = "/v1/responses"
INPUT_TOKENS = f"{RESPONSES}/input_tokens"
STORED_PATHS = (f"{RESPONSES}/resp_", "/v1/conversations")
TRAINING_PATHS = ("/v1/files", "/v1/fine_tuning")
SITE_PATHS = (*TRAINING_PATHS, *STORED_PATHS, "/v1/receipts", "/v1/content_provenance_checks")
MCP = "/mcp"
OPEN = (VERSION, ALIVE, *READY)  # without a key
READ_ONLY = (MODELS, KEY, USAGE, TOKENIZER_INFO, *OPEN)
POST = ("POST",)
GET = ("GET", "HEAD")  # the server drops the body of an answer to HEAD


GENERATIONS = {row.path: row.generation for row in ENDPOINTS if row.generation}
COUNTS = {row.path: row.token_count for row in ENDPOINTS if row.token_count}
TOKEN_TASKS = {row.path: row.parse_token_task for row in ENDPOINTS if row.parse_token_task}
# vLLM has these beside `/v1`, and its clients ask there.
BESIDE_V1 = {path.removeprefix("/v1"): path for path in (*TOKEN_TASKS, TOKENIZER_INFO)}
ROOT_PATHS = (*BESIDE_V1, VERSION, "/health")
METHODS = dict.fromkeys((*GENERATIONS, *COUNTS, *TOKEN_TASKS), POST) | dict.fromkeys(READ_ONLY, GET)


def name_endpoint(path: str) -> str:
    """Return the endpoint of a path for metrics and logs: one of a few words, whatever path a client sent."""
    if path in METHODS:
        return path
    endpoint = _without_model(path)
    return endpoint if endpoint in METHODS or endpoint == MCP else "other"


def allowed_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a path answers. Raises UnknownPath."""
    methods = METHODS.get(path) or METHODS.get(_without_model(path))
    if methods is None:
        raise _explain_unknown(path)
    return methods


def preflight_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a page may use; at an unknown path all, so that it can read the 404."""
    return METHODS.get(_without_model(path), (*GET, *POST))


def is_site_path(path: str) -> bool:
    """Return whether Django answers a path of the API: it is about files, jobs, receipts or stored
    responses, which are rows, or it is a check, which reads a text."""
    return path.startswith(SITE_PATHS)


def _explain_unknown(path: str) -> UnknownPath:
    is_off = path.startswith(TRAINING_PATHS) and not settings.TRAINING
    is_off |= path.startswith(STORED_PATHS) and not settings.RESPONSES_STORE
    if (is_site_path(path) or path.startswith(MCP)) and not is_off:
        return NotAtGateway()
    return NoEmbeddings() if path == EMBEDDINGS else UnknownPath()


def _without_model(path: str) -> str:
    return MODELS if path.startswith(MODELS_FOLDER) else path
