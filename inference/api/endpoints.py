"""The endpoints of `/v1`, and how each translates requests and answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from django.conf import settings

from inference.contract import tokenizer
from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.requests import ParsedRequest, parse_request
from inference.contract.streams import Stream
from inference.contract.tokenizer import TokenTask
from inference.errors import NoEmbeddings, NotAtGateway, UnknownPath
from inference.facts import JsonObject
from inference.proxy.answer import GatewayAnswer

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


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that generates text, in its own dialect.

    `translate_answer` and `translate_events` take what the engine answers, the request's body and its id.
    `store_answer` comes in the place of the former where the answer is to be stored (turns.py).
    """

    parse: Callable[[bytes], ParsedRequest]
    translate_answer: Callable[[bytes, bytes, str], bytes] = lambda answer, *_: answer
    translate_events: Callable[[Stream, bytes, str], Stream] = lambda events, *_: events
    store_answer: Callable[[GatewayAnswer], Awaitable[bytes]] | None = None


@dataclass(frozen=True)
class TokenCount:
    """An endpoint that counts a prompt's tokens; `kind` is the answer's `object`, where it has one."""

    parse: Callable[[bytes], ParsedRequest]
    kind: str = ""

    def describe(self, tokens: int) -> JsonObject:
        """Return the answer."""
        return ({"object": self.kind} if self.kind else {}) | {"input_tokens": tokens}


ENDPOINTS = {
    "/v1/chat/completions": Endpoint(partial(parse_request, "chat")),
    "/v1/completions": Endpoint(partial(parse_request, "text")),
    "/v1/messages": Endpoint(
        anthropic_messages.parse_messages,
        anthropic_messages.translate_answer,
        anthropic_messages.translate_events,
    ),
    RESPONSES: Endpoint(
        openai_responses.parse_response_request,
        openai_responses.translate_answer,
        openai_responses.translate_events,
    ),
}
COUNTS = {
    "/v1/messages/count_tokens": TokenCount(anthropic_messages.parse_count_tokens),
    INPUT_TOKENS: TokenCount(openai_responses.parse_input_tokens, "response.input_tokens"),
}
TOKEN_TASKS: dict[str, Callable[[bytes], TokenTask]] = {
    "/v1/tokenize": tokenizer.parse_tokenize,
    "/v1/detokenize": tokenizer.parse_detokenize,
}
# vLLM has these beside `/v1`, and its clients ask there.
BESIDE_V1 = {path.removeprefix("/v1"): path for path in (*TOKEN_TASKS, TOKENIZER_INFO)}
ROOT_PATHS = (*BESIDE_V1, VERSION, "/health")
METHODS = dict.fromkeys((*ENDPOINTS, *COUNTS, *TOKEN_TASKS), POST) | dict.fromkeys(READ_ONLY, GET)


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
