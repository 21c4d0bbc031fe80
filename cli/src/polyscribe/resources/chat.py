"""Writing in a style, over OpenAI's form of a chat."""

import json
from collections.abc import Iterator, Sequence

import httpx

from polyscribe.errors import ApiError, Unreachable
from polyscribe.events import parse_events
from polyscribe.transport import WRITING, Transport, describe

COMPLETIONS = f"{WRITING}/chat/completions"
END = "[DONE]"

Message = dict[str, str]


class Chat:
    """Chats in a style. `style` is a model's name: `brand-voice`, `acme/brand-voice`, `brand-voice@3`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def complete(self, style: str, prompt: str | Sequence[Message], **options: object) -> str:
        """Return the answer to a prompt, or to a chat's messages. Options are the API's: `max_tokens`, …"""
        body = {"model": style, "messages": as_messages(prompt), **options}
        answer = self._transport.call("POST", COMPLETIONS, body=body)
        return answer["choices"][0]["message"]["content"] or ""

    def stream(self, style: str, prompt: str | Sequence[Message], **options: object) -> Iterator[str]:
        """Yield the answer in pieces as it is written. Raises ApiError, Unreachable; also in the middle."""
        body = {"model": style, "messages": as_messages(prompt), "stream": True, **options}
        response = self._transport.send(
            "POST", COMPLETIONS, body=body, is_stream=True, accept="text/event-stream"
        )
        try:
            yield from _read_pieces(response)
        except httpx.TransportError as error:
            raise Unreachable(f"The answer was interrupted ({describe(error)}). Try again.") from error
        finally:
            response.close()


def as_messages(prompt: str | Sequence[Message]) -> list[Message]:
    """Return the messages of a chat; a text is one of its user."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [*prompt]


def _read_pieces(response: httpx.Response) -> Iterator[str]:
    """Yield what is written in a stream's events. Raises ApiError, and Unreachable if its end is missing."""
    for event in parse_events(response.iter_lines()):
        if event.data == END:
            return
        chunk = json.loads(event.data)
        if "error" in chunk:
            failure = chunk["error"]
            request_id = response.headers.get("x-request-id", "")
            raise ApiError(
                str(failure["message"]),
                status=response.status_code,
                code=str(failure["code"]),
                request_id=request_id,
            )
        for choice in chunk["choices"]:
            yield choice["delta"].get("content") or ""
    raise Unreachable("The answer ended early. Try again.")
