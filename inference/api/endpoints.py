"""The endpoints of `/v1`, and how each translates requests and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.requests import ParsedRequest, parse_request
from inference.contract.streams import Stream
from inference.errors import UnknownPath

COUNT_TOKENS = "/v1/messages/count_tokens"
MODELS = "/v1/models"
KEY = "/v1/key"
USAGE = "/v1/usage"
ALIVE = "/healthz"
READY = ("/readyz", "/health")
READ_ONLY = (MODELS, KEY, USAGE, ALIVE, *READY)
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


def name_endpoint(path: str) -> str:
    """Return the endpoint of a path for metrics and logs: one of a few words, whatever path a client sent."""
    if path in ENDPOINTS or path == COUNT_TOKENS or path in READ_ONLY:
        return path
    return MODELS if path.startswith(f"{MODELS}/") else "other"


def allowed_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a path answers. Raises UnknownPath."""
    if path in ENDPOINTS or path == COUNT_TOKENS:
        return POST
    if path in READ_ONLY or path.startswith(f"{MODELS}/"):
        return GET
    raise UnknownPath
