"""What every form that becomes a chat needs: `messages.py` is Anthropic's, `responses.py` OpenAI's newer."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol

import orjson

from inference.contract import fields, requests
from inference.contract.requests import ParsedRequest
from inference.errors import BadRequest

# Of a block of text; what is not text there is about it and not read to the model.
BLOCK_KEYS = {
    "annotations", "cache_control", "citations", "id", "logprobs", "parsed", "prompt_cache_breakpoint",
    "refusal", "text", "type",
}  # fmt: skip


class Form(Protocol):
    """A form that a chat's event stream can be told in; each deed returns what the client gets."""

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """Tell of the next part of the answer."""

    def failed(self, error: dict[str, Any]) -> bytes:
        """Tell of the failure that ends the stream."""

    def done(self) -> bytes:
        """Tell that the answer is whole and settled."""


async def translated(events: AsyncGenerator[bytes], form: Form) -> AsyncGenerator[bytes]:
    """Yield a chat's events in another form; closing this closes them."""
    try:
        async for data in events:
            if told := b"".join(_told(form, event) for event in data.split(b"\n\n") if event):
                yield told
    finally:
        await events.aclose()


def _told(form: Form, event: bytes) -> bytes:
    if event.startswith(b":"):
        return event + b"\n\n"
    data = event.removeprefix(b"data:").strip()
    if data == b"[DONE]":
        return form.done()
    chunk = orjson.loads(data)
    return form.failed(chunk["error"]) if chunk.get("error") else form.chunk(chunk)


def event(kind: str, **facts: object) -> bytes:
    """Return an event under its own name, as both Anthropic's and OpenAI's newer streams have it."""
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **facts}) + b"\n\n"


def as_chat(
    body: bytes,
    translate: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    table: fields.Table,
    names: Mapping[str, str],
) -> ParsedRequest:
    """Return a request of another form as a chat, as checked as any.

    `table` has the form's fields; `names` those that are called otherwise in a chat, by the chat's name.
    Raises BadRequest, with fields named as the client named them.
    """
    raw = requests.read(body)
    taken = fields.read_fields(table, raw)
    try:
        orjson.dumps({"response": raw})  # what is repeated in an answer
        chat = {name: value for name, value in translate(taken).items() if value is not None}
        chat_body = orjson.dumps(chat)
    except orjson.JSONEncodeError:  # orjson reads deeper than it writes
        raise BadRequest("The body is nested too deeply.") from None
    try:
        parsed = requests.parse_request("chat", chat_body)
    except BadRequest as error:
        ours = str(error.facts.get("param") or "")
        theirs = names.get(ours, ours)
        raise BadRequest(error.message.replace(f"`{ours}`", f"`{theirs}`"), param=theirs or None) from None
    parsed.body_bytes = max(len(body), len(chat_body))
    parsed.prompt_field = names.get(parsed.prompt_field, parsed.prompt_field)
    parsed.include_usage = parsed.is_translated = True
    return parsed


def objects(value: object, place: str) -> list[dict[str, Any]]:
    """Return a list of objects as it is. Raises BadRequest naming its place."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    raise BadRequest(f"`{place}` must be a list of objects.", param=place)


def word(value: dict[str, Any], name: str, place: str = "") -> str:
    """Return a text that an object must have. Raises BadRequest naming its place."""
    if isinstance(value.get(name), str):
        return str(value[name])
    spot = f"{place}.{name}".removeprefix(".")
    raise BadRequest(f"`{spot}` must be a text.", param=spot)


def text_of(content: object, place: str, kinds: tuple[str, ...] = ("text",)) -> str:
    """Return a string, or the texts of a list of blocks, a line each, as vLLM joins them in a chat."""
    if isinstance(content, str):
        return content
    blocks = objects(content, place)
    for index, block in enumerate(blocks):
        if block.get("type") not in kinds or not block.keys() <= BLOCK_KEYS:
            spot = f"{place}[{index}]"
            raise BadRequest(f"`{spot}`: only text is served; leave other content out.", param=spot)
    texts = [_said(block, f"{place}[{index}]") for index, block in enumerate(blocks)]
    return "\n".join(filter(None, texts))


def _said(block: dict[str, Any], place: str) -> str:
    return word(block, "refusal" if block["type"] == "refusal" else "text", place)
