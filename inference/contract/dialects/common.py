"""What each dialect needs to translate its requests into chats, and a chat's stream into its own."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Protocol

import orjson

from inference.contract import requests
from inference.contract.field_reader import Table, name_set, read_fields
from inference.contract.requests import ParsedRequest
from inference.errors import BadRequest
from inference.facts import JsonObject, Stream

# Of a block of text. Only `text` and `refusal` are text; the model does not read the others.
BLOCK_KEYS = name_set(
    """
    annotations cache_control citations id logprobs parsed prompt_cache_breakpoint refusal text type
    """
)
DONE = b"[DONE]"


class StreamTranslator(Protocol):
    """Translates the events of one chat's stream. Each method returns the bytes for the client."""

    def translate_chunk(self, chunk: JsonObject) -> bytes:
        """Translate the next part of the answer."""

    def translate_error(self, error: JsonObject) -> bytes:
        """Translate the error that ends the stream."""

    def finish(self) -> bytes:
        """Return the last events: the answer is complete and settled."""


async def translate_stream(stream: Stream, translator: StreamTranslator) -> AsyncGenerator[bytes]:
    """Yield a chat's events in another dialect. Closing this closes the chat's stream."""
    try:
        async for data in stream:
            events = data.split(b"\n\n")
            translated = b"".join([_translate_event(translator, event) for event in events if event])
            if translated:
                yield translated
    finally:
        await stream.aclose()


def _translate_event(translator: StreamTranslator, event: bytes) -> bytes:
    if event.startswith(b":"):  # a comment
        return event + b"\n\n"
    data = event.removeprefix(b"data:").strip()
    if data == DONE:
        return translator.finish()
    chunk = orjson.loads(data)
    if chunk.get("error"):
        return translator.translate_error(chunk["error"])
    return translator.translate_chunk(chunk)


def read_choices(chunk: JsonObject) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Yield the choices of a chat's chunk, each with what is new of it."""
    for choice in chunk.get("choices") or ():
        yield choice, choice.get("delta") or {}


def format_event(kind: str, **facts: object) -> bytes:
    """Return a named event, as in the streams of Anthropic's messages and OpenAI's responses."""
    data = orjson.dumps({"type": kind, **facts})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def parse_as_chat(
    body: bytes,
    translate: Callable[[JsonObject], JsonObject],
    *,
    table: Table,
    names: Mapping[str, str],
) -> ParsedRequest:
    """Return a request of another dialect as a chat, checked like any chat.

    `table` has the dialect's fields. `names` maps a chat's field to the dialect's, where they differ. Raises
    BadRequest with the dialect's names.
    """
    raw = requests.read_json(body)
    served = read_fields(table, raw)
    try:
        orjson.dumps({"response": raw})  # some answers repeat their request
        translated = translate(served)
        chat = {name: value for name, value in translated.items() if value is not None}
        chat_body = orjson.dumps(chat)
    except orjson.JSONEncodeError:  # orjson reads deeper nesting than it writes
        raise BadRequest("The request body is nested too deeply.") from None
    try:
        parsed = requests.parse_request("chat", chat_body)
    except BadRequest as error:
        chat_name = error.param or ""
        name = names.get(chat_name, chat_name)
        message = error.message.replace(f"`{chat_name}`", f"`{name}`")
        raise BadRequest(message, param=name or None) from None
    # The larger one, so that the bound of the prompt's tokens holds for what the engine reads.
    parsed.body_bytes = max(len(body), parsed.body_bytes)
    parsed.names = names
    parsed.prompt_field = names.get(parsed.prompt_field, parsed.prompt_field)
    parsed.include_usage = True  # these dialects always report it
    parsed.is_translated = True
    return parsed


def read_objects(value: object, place: str) -> list[JsonObject]:
    """Return a list of objects as it is. Raises BadRequest naming its place."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise BadRequest(f"`{place}` must be a list of objects.", param=place)


def read_text(value: JsonObject, name: str, place: str = "") -> str:
    """Return a text that an object must have. Raises BadRequest naming its place."""
    text = value.get(name)
    if isinstance(text, str):
        return text
    text_place = f"{place}.{name}".removeprefix(".")
    raise BadRequest(f"`{text_place}` must be a string.", param=text_place)


def join_texts(content: object, place: str, kinds: tuple[str, ...] = ("text",)) -> str:
    """Return a string as it is; of a list of blocks the texts, one a line, as vLLM joins them in a chat.

    Raises BadRequest naming the block that is no text.
    """
    if isinstance(content, str):
        return content
    texts = []
    for index, block in enumerate(read_objects(content, place)):
        block_place = f"{place}[{index}]"
        if block.get("type") not in kinds or not block.keys() <= BLOCK_KEYS:
            raise BadRequest(
                f"`{block_place}`: only text is supported. Remove other content.", param=block_place
            )
        name = "refusal" if block["type"] == "refusal" else "text"
        texts.append(read_text(block, name, block_place))
    return "\n".join(text for text in texts if text)
