"""The endpoints of `/v1`, and how each translates requests and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.conf import settings

from inference.contract import token_texts
from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.requests import ParsedRequest, parse_request
from inference.contract.streams import Stream
from inference.contract.token_texts import TokenTask
from inference.errors import NoEmbeddings, NotAtGateway, UnknownPath
from inference.facts import JsonObject

MODELS = "/v1/models"
MODELS_FOLDER = f"{MODELS}/"  # one path for each model
KEY = "/v1/key"
USAGE = "/v1/usage"
TOKENIZER_INFO = "/v1/tokenizer_info"
VERSION = "/version"
ALIVE = "/healthz"
READY = ("/readyz", "/health")
EMBEDDINGS = "/v1/embeddings"
TRAINING_PATHS = ("/v1/files", "/v1/fine_tuning")
MCP = "/mcp"
SITE_PATHS = ("/v1/receipts", "/v1/content_provenance_checks", MCP)  # the site answers them: config/asgi.py
OPEN = (VERSION, ALIVE, *READY)  # without a key
READ_ONLY = (MODELS, KEY, USAGE, TOKENIZER_INFO, *OPEN)
POST = ("POST",)
GET = ("GET", "HEAD")  # the server drops the body of an answer to HEAD


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that generates text, in its own dialect.

    `translate_answer` and `translate_events` take what the engine answers, the request's body and its id.
    """

    parse: Callable[[bytes], ParsedRequest]
    translate_answer: Callable[[bytes, bytes, str], bytes] = lambda answer, *_: answer
    translate_events: Callable[[Stream, bytes, str], Stream] = lambda events, *_: events


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
    "/v1/responses": Endpoint(
        openai_responses.parse_response_request,
        openai_responses.translate_answer,
        openai_responses.translate_events,
    ),
}
COUNTS = {
    "/v1/messages/count_tokens": TokenCount(anthropic_messages.parse_count_tokens),
    "/v1/responses/input_tokens": TokenCount(openai_responses.parse_input_tokens, "response.input_tokens"),
}
TOKEN_TASKS: dict[str, Callable[[bytes], TokenTask]] = {
    "/v1/tokenize": token_texts.parse_tokenize,
    "/v1/detokenize": token_texts.parse_detokenize,
}
# vLLM has these beside `/v1`, and its clients ask there.
BESIDE_V1 = {path.removeprefix("/v1"): path for path in (*TOKEN_TASKS, TOKENIZER_INFO)}
ROOT_PATHS = (*BESIDE_V1, VERSION, "/health")
METHODS = dict.fromkeys((*ENDPOINTS, *COUNTS, *TOKEN_TASKS), POST) | dict.fromkeys(READ_ONLY, GET)


def name_endpoint(path: str) -> str:
    """Return the endpoint of a path for metrics and logs: one of a few words, whatever path a client sent."""
    endpoint = _without_model(path)
    return endpoint if endpoint in METHODS or endpoint == MCP else "other"


def allowed_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a path answers. Raises UnknownPath."""
    methods = METHODS.get(_without_model(path))
    if methods is None:
        raise _explain_unknown(path)
    return methods


def preflight_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a page may use; at an unknown path all, so that it can read the 404."""
    return METHODS.get(_without_model(path), (*GET, *POST))


def _explain_unknown(path: str) -> UnknownPath:
    if path.startswith(SITE_PATHS) or (settings.TRAINING and path.startswith(TRAINING_PATHS)):
        return NotAtGateway()
    return NoEmbeddings() if path == EMBEDDINGS else UnknownPath()


def _without_model(path: str) -> str:
    return MODELS if path.startswith(MODELS_FOLDER) else path
