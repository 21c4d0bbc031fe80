"""Chats as vLLM streams them, for the tests of each dialect."""

import json

import anthropic
import httpx2
import openai

COUNTS = {
    "prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38,
    "prompt_tokens_details": {"cached_tokens": 16, "created_cache_tokens": 8},
}  # fmt: skip
FAILURE = {
    "error": {
        "message": "The model server does not answer.", "type": "service_unavailable_error", "param": None,
        "code": "server_is_overloaded",
    },
}  # fmt: skip
DONE = b"data: [DONE]\n\n"


def frame(data) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta=None, **more) -> bytes:
    """A chunk as vLLM writes it and the gateway passes it on, with nulls that nobody reads."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, "token_ids": None} | more
    return frame(
        {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "poetry",
            "choices": [] if delta is None else [choice], "prompt_token_ids": None, "prompt_text": None,
        }
        | ({"usage": COUNTS} if delta is None else {})
    )  # fmt: skip


def called(index, arguments, **first) -> dict:
    names = {"id": f"call_{index}", "type": "function"} if first else {}
    return {"tool_calls": [{"index": index, "function": first | {"arguments": arguments}} | names]}


OPENING = chunk({"role": "assistant", "content": ""})
SPOKEN = [OPENING, chunk({"content": "Rain "}), chunk({"content": "fälls\n\n"})]
CALLED = [
    chunk(called(0, "", name="weather")), chunk(called(0, '{"city": ')), chunk(called(0, '"Rome"}')),
    chunk(called(1, '{"city": "Oslo"}', name="weather")),
]  # fmt: skip
CUT_CALL = [chunk(called(0, "", name="weather")), chunk(called(0, '{"city": "Rome", "day": "Mon'))]
STREAMS = {
    "text": [*SPOKEN, chunk({"content": ""}, finish_reason="stop", stop_reason=None), chunk(), DONE],
    "cut": [*SPOKEN, chunk({"content": ""}, finish_reason="length", stop_reason=None), chunk(), DONE],
    "stopped": [*SPOKEN, chunk({}, finish_reason="stop", stop_reason="\n"), chunk(), DONE],
    "called": [*SPOKEN, *CALLED, chunk({}, finish_reason="tool_calls"), chunk(), DONE],
    "only called": [OPENING, *CALLED, chunk({"content": ""}, finish_reason="stop"), chunk(), DONE],
    "call cut": [*SPOKEN, *CUT_CALL, chunk({}, finish_reason="length"), chunk(), DONE],
    "nothing": [OPENING, chunk({}, finish_reason="stop", stop_reason=2), chunk(), DONE],
    "waiting": [b": waiting\n\n", b": waiting\n\n", *SPOKEN, chunk({}, finish_reason="stop"), chunk(), DONE],
    "failed": [*SPOKEN, frame(FAILURE)],
    "failed at once": [b": waiting\n\n", frame(FAILURE)],
}
WHOLE = [name for name, events in STREAMS.items() if events[-1] == DONE]


def answer(name) -> bytes:
    """The whole chat that one of the streams has in pieces."""
    content, calls, ended = "", {}, {}
    for event in STREAMS[name]:
        read = json.loads(event[6:]) if event.startswith(b"data: {") else {"choices": []}
        for choice in read["choices"]:
            content += choice["delta"].get("content") or ""
            ended = choice if choice["finish_reason"] else ended
            for call in choice["delta"].get("tool_calls", ()):
                kept = calls.setdefault(call["index"], call | {"function": dict(call["function"])})
                if kept["function"] != call["function"]:
                    kept["function"]["arguments"] += call["function"]["arguments"]
    said = {"role": "assistant", "content": content or None, "tool_calls": list(calls.values())}
    choice = {"index": 0, "message": said, "finish_reason": ended["finish_reason"], "logprobs": None}
    return json.dumps(
        {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "poetry",
            "choices": [choice | {"stop_reason": ended.get("stop_reason")}], "usage": COUNTS,
        }
    ).encode()  # fmt: skip


class Source:
    """The gateway's event stream: yields what it has, and knows whether it was closed."""

    def __init__(self, items) -> None:
        self.items, self.yielded, self.is_closed = items, 0, False

    async def events(self):
        try:
            for item in self.items:
                self.yielded += 1
                yield item
        finally:
            self.is_closed = True


async def translate(dialect, items, request_body: bytes = b"{}") -> bytes:
    events = dialect.translate_events(Source(items).events(), request_body, "req_1")
    return b"".join([part async for part in events])


def read(stream: bytes) -> list[dict]:
    """Return a stream's events; each has its own name as its type."""
    events = []
    for event in stream.decode().split("\n\n")[:-1]:
        if not event.startswith(":"):
            name, data = event.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
    return events


def grouped(items, sizes) -> list[bytes]:
    """Return the same events with several in some items, as they come out of one buffer."""
    groups, rest = [], list(items)
    for size in sizes:
        groups.append(b"".join(rest[:size]))
        rest = rest[size:]
    return [*(group for group in groups if group), *rest]


def _body(known: dict, changes: dict) -> bytes:
    return json.dumps({name: value for name, value in (known | changes).items() if value is not ...}).encode()


def message_body(**changes) -> bytes:
    """A request of Anthropic's dialect; `...` leaves a field out."""
    messages = [{"role": "user", "content": "Rain?"}]
    return _body({"model": "poetry", "max_tokens": 40, "messages": messages}, changes)


def response_body(**changes) -> bytes:
    """A request of OpenAI's responses; `...` leaves a field out."""
    return _body({"model": "poetry", "input": "Rain?"}, changes)


def _answers_always(stream: bytes) -> httpx2.Client:
    def answered(_):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    return httpx2.Client(transport=httpx2.MockTransport(answered))


def anthropic_client(stream: bytes) -> anthropic.Anthropic:
    """Anthropic's client on a wire that always answers with one stream."""
    http = _answers_always(stream)
    return anthropic.Anthropic(api_key="x", base_url="http://gateway", max_retries=0, http_client=http)


def openai_client(stream: bytes) -> openai.OpenAI:
    """OpenAI's client on a wire that always answers with one stream."""
    http = _answers_always(stream)
    return openai.OpenAI(api_key="x", base_url="http://gateway/v1", max_retries=0, http_client=http)
