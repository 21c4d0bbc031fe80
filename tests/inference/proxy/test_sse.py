"""vLLM's event streams as 0.32 writes them, cut anywhere, and what becomes of them."""

import json
from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.contract.requests import ParsedRequest
from inference.contract.usage import Usage, digest_text, text_of
from inference.contract.watermark import UNMARKED_TOKENS
from inference.errors import BadRequest, EngineBroke, GrammarTooExpensive, InvalidGrammar, RequestFailed
from inference.proxy.sse import DONE, EventStream
from inference.proxy.vllm import system_fingerprint
from tests.inference.proxy.builders import INTERNAL, PUBLIC, ROUTE, asked_for
from tests.profiles import examples

NASTY = [
    ',"usage":{"prompt_tokens":1}', ',"usage":null', '"model":"v_0f3a_internal"', '"choices":[]',
    '"choices":[{"index":9', 'data: {"error"', "data: [DONE]\n\n", "\n\n", '"finish_reason":"length"',
    "usage", "model", "error", "}", "{", '"', "\\", "ü", "😀", "\u2028", " x", "",
]  # fmt: skip
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=8), st.just(',"usage":{'))
PROMPT_TOKENS = (31, 7, 13)


def dumps(event):
    """As pydantic writes it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def frame(event):
    return f"data: {dumps(event)}\n\n".encode()


def usage_of(prompt, completion, **more):
    return {
        "prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion, **more,
    }  # fmt: skip


def head(kind):
    name = "chat.completion.chunk" if kind == "chat" else "text_completion"
    return {"id": "chatcmpl-req_1", "object": name, "created": 1764000000, "model": INTERNAL}


def chat_choice(index, delta, *, logprobs=None, reason=None, **more):
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return choice | more | ({"stop_reason": None} if reason else {})


@st.composite
def chat_steps(draw, index):
    """The choices of one chat choice's events, one after the other; all but the first make a token."""
    steps = [chat_choice(index, {"role": "assistant", "content": ""})]
    for token in draw(st.lists(texts, max_size=4)):
        if draw(st.booleans()):
            call = {"index": 0, "function": {"arguments": token}}
            steps.append(chat_choice(index, {"tool_calls": [call]}, token_ids=None))
            continue
        top = [
            {"token": t, "logprob": -1.5, "bytes": [*t.encode()]} for t in draw(st.lists(texts, max_size=2))
        ]
        whole = {"token": token, "logprob": -0.5, "bytes": [*token.encode()], "top_logprobs": top}
        logprobs = {"content": [whole]} if draw(st.booleans()) else None
        steps.append(chat_choice(index, {"content": token}, logprobs=logprobs, token_ids=None))
    steps.append(
        chat_choice(index, {"content": ""}, reason=draw(st.sampled_from(["stop", "length", "tool_calls"])))
    )
    return steps


@st.composite
def text_steps(draw, index):
    """The same of a text completion. Its alternatives are keys, so a token may stand there unescaped."""
    steps = []
    for token in draw(st.lists(texts, max_size=4)):
        top = dict.fromkeys([token, *draw(st.lists(texts, max_size=3))], -1.25)
        logprobs = {"text_offset": [0], "token_logprobs": [-1.25], "tokens": [token], "top_logprobs": [top]}
        steps.append({"index": index, "text": token, "logprobs": logprobs if draw(st.booleans()) else None,
                      "finish_reason": None, "stop_reason": None})  # fmt: skip
    steps.append({"index": index, "text": "", "logprobs": None, "finish_reason": "stop", "stop_reason": None})
    return steps


@st.composite
def streams(draw):
    """(asked, events): of one or more choices whose events come mixed."""
    kind = draw(st.sampled_from(["chat", "text"]))
    prompts, n = (draw(st.integers(1, 3)) if kind == "text" else 1), draw(st.integers(1, 3))
    steps = {i: draw((chat_steps if kind == "chat" else text_steps)(i)) for i in range(prompts * n)}
    made, events = dict.fromkeys(steps, 0), []
    while steps:
        index = draw(st.sampled_from(sorted(steps)))
        choice = steps[index].pop(0)
        made[index] += "role" not in choice.get("delta", {})
        usage = usage_of(PROMPT_TOKENS[index // n], made[index], completion_tokens_details=None)
        first = {"prompt_token_ids": None, "prompt_text": None} if "role" in choice.get("delta", {}) else {}
        events.append(head(kind) | {"choices": [choice]} | first | {"usage": usage})
        if not steps[index]:
            del steps[index]
    details = {"cached_tokens": draw(st.integers(0, 3)), "created_cache_tokens": draw(st.integers(0, 4))}
    if draw(st.booleans()):
        details["multimodal_tokens"] = None
    totals = usage_of(sum(PROMPT_TOKENS[:prompts]), sum(made.values()), prompt_tokens_details=details)
    events.append(head(kind) | {"choices": [], "usage": totals, "system_fingerprint": "vllm-0.32"})
    parsed = ParsedRequest(
        kind=kind, model=PUBLIC, fields={}, stream=True, include_usage=draw(st.booleans()),
        output_tokens=9, choices=prompts * n, choices_per_prompt=n, body_bytes=99, prompt_field="messages",
        running_usage=draw(st.booleans()),
    )  # fmt: skip
    return parsed, events


def play(parsed, pieces):
    """Return what goes out, and the count."""
    usage = Usage(watermark=MARK)
    stream = EventStream(parsed, ROUTE, ROUTE.placements[0], usage)
    passed = b"".join(stream.feed(piece) for piece in pieces)
    return passed, usage, stream


def cut(data, cuts):
    edges = [0, *sorted({at % len(data) for at in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def decode_events(passed):
    return [json.loads(event.removeprefix("data: ")) for event in passed.decode().split("\n\n")[:-1]]


ONLY_VLLMS = ("token_ids", "prompt_token_ids", "prompt_text", "stop_reason")


MARK = "gumbel; epoch=7"


def public(event):
    """The event as the client gets it: the style's name, our fingerprint, what is said of the mark where a
    choice ends, and nothing that only vLLM has."""
    told = {k: v for k, v in event.items() if k not in ONLY_VLLMS} | {"model": PUBLIC}
    told["choices"] = [{k: v for k, v in c.items() if k not in ONLY_VLLMS} for c in event["choices"]]
    if "system_fingerprint" in told:
        told["system_fingerprint"] = system_fingerprint(ROUTE)
    if "usage" in told:
        told["usage"] = public_usage(told["usage"])
    if any(choice["finish_reason"] for choice in event["choices"]):
        is_short = event["usage"]["completion_tokens"] <= UNMARKED_TOKENS
        told["watermark"] = "none; reason=short" if is_short else MARK
    return told


def public_usage(usage):
    """The counts as OpenAI names them."""
    told = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    if details := usage.get("prompt_tokens_details"):
        told["prompt_tokens_details"] = {
            "cached_tokens": details["cached_tokens"],
            "cache_write_tokens": details.get("created_cache_tokens", 0),
        }
    return told


def running(parsed, events):
    """What was reported until these events: of each choice the last, of each prompt once."""
    last = {event["choices"][0]["index"]: event["usage"] for event in events}
    prompts = {index // parsed.choices_per_prompt: usage["prompt_tokens"] for index, usage in last.items()}
    return sum(prompts.values()), sum(usage["completion_tokens"] for usage in last.values())


cuts = st.lists(st.integers(0, 10**6), max_size=12)
MANY = settings(max_examples=examples(150))


@given(streams(), cuts)
@MANY
def test_cut_anywhere_it_becomes_the_same_events_of_the_public_style(stream, cuts):
    parsed, events = stream
    data = b"".join(map(frame, events)) + DONE
    hidden = () if parsed.running_usage else ("usage",)
    expected = [{k: v for k, v in public(event).items() if k not in hidden} for event in events[:-1]]
    if parsed.include_usage:
        expected.append(public(events[-1]))
    for pieces in ([data], cut(data, cuts)):
        passed, _, state = play(parsed, pieces)
        assert decode_events(passed) == expected
        assert state.end() == DONE


@given(streams(), cuts)
@MANY
def test_a_whole_stream_counts_what_the_engine_says_at_its_end(stream, cuts):
    parsed, events = stream
    data, totals = b"".join(map(frame, events)) + DONE, events[-1]["usage"]
    cached = totals["prompt_tokens_details"]["cached_tokens"]
    texts = [text_of(choice, "delta") for event in events for choice in event["choices"]]
    text = "".join(texts) if parsed.choices == 1 else ""  # of several, no receipt speaks
    for pieces in ([data], cut(data, cuts), [data[: -len(DONE)], DONE]):
        _, usage, state = play(parsed, pieces)
        assert astuple(usage)[:3] == (totals["prompt_tokens"], cached, totals["completion_tokens"])
        assert usage.finish_reason in {"stop", "length", "tool_calls"}
        state.end()
        assert usage.text_sha256 == (digest_text(text) if text else "")


def test_an_answer_that_begins_with_a_quotation_mark_is_whole():
    tokens = ['"', "So", ',"', " he", " said", '."', ""]
    choices = [chat_choice(0, {"content": token}, reason=None if token else "stop") for token in tokens]
    usages = [usage_of(31, number) for number in range(1, len(tokens) + 1)]
    events = [
        head("chat") | {"choices": [one], "usage": two} for one, two in zip(choices, usages, strict=True)
    ]

    passed, usage, state = play(asked_for(), [*map(frame, events), DONE])
    state.end()

    assert "".join(one["choices"][0]["delta"]["content"] for one in decode_events(passed)) == "".join(tokens)
    assert usage.text_sha256 == digest_text("".join(tokens))


@given(streams(), cuts, st.integers(0, 10**6))
@MANY
def test_a_stream_that_ends_anywhere_counts_what_was_reported_until_there(stream, cuts, at):
    parsed, events = stream
    frames = [frame(event) for event in events[:-1]]
    data = b"".join(frames)
    at %= len(data) + 1
    whole, size = 0, 0
    for whole_frame in frames:
        size += len(whole_frame)
        whole += size <= at
    for pieces in ([data[:at]], cut(data[:at], cuts) if at else [b""]):
        _, usage, state = play(parsed, pieces)
        assert (usage.prompt, usage.completion) == running(parsed, events[:whole])
        with pytest.raises(EngineBroke):
            state.end()


def token(index=0, completion=3, **more):
    event = head("chat") | {"choices": [chat_choice(index, {"content": " x"}, token_ids=None)]}
    return event | {"usage": usage_of(31, completion, completion_tokens_details=None)} | more


def test_cut_at_every_single_byte_it_is_the_same():
    events = [token(index % 2, index) for index in range(4)]
    totals = usage_of(31, 5, prompt_tokens_details={"cached_tokens": 16})
    events.append(head("chat") | {"choices": [], "usage": totals})
    data = b"".join(map(frame, events)) + DONE
    parsed = asked_for(2, include_usage=True)
    whole, usage, _ = play(parsed, [data])
    for at in range(1, len(data)):
        assert play(parsed, [data[:at], data[at:]])[:2] == (whole, usage)
    assert play(parsed, [data[at : at + 1] for at in range(len(data))])[:2] == (whole, usage)


@pytest.mark.parametrize("choices", [1, 2])
def test_an_event_without_a_count_takes_none_away(choices):
    events = [token(), token(usage=None)]
    for pieces in ([b"".join(map(frame, events))], [*map(frame, events)]):
        passed, usage, _ = play(asked_for(choices), pieces)
        assert (usage.prompt, usage.completion) == (31, 3)
        assert [event.get("usage") for event in decode_events(passed)] == [None, None]


ERRORS = [
    ({"message": "top_logprobs must be at most 20", "type": "BadRequestError", "code": 400}, BadRequest),
    ({"message": "EngineCore died.", "type": "InternalServerError", "code": 500}, RequestFailed),
    ({"message": "", "type": "InternalServerError", "code": "odd"}, RequestFailed),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), ERRORS)
@pytest.mark.parametrize("before", [0, 2])
def test_an_error_event_cut_anywhere_is_told_and_what_came_before_is_counted(error, kind, before):
    # vLLM writes it by json.dumps, with blanks, and [DONE] after it.
    data = b"".join(map(frame, [token()] * before))
    data += f"data: {json.dumps({'error': error | {'param': None}})}\n\n".encode() + DONE
    for at in range(1, len(data)):
        usage = Usage()
        stream = EventStream(asked_for(), ROUTE, ROUTE.placements[0], usage)
        with pytest.raises(kind):
            _ = [stream.feed(piece) for piece in (data[:at], data[at:])]
        assert usage.completion == (3 if before else 0), at
        with pytest.raises(EngineBroke):
            stream.end()


@pytest.mark.parametrize(
    ("code", "kind"), [(kind.code, kind) for kind in (GrammarTooExpensive, InvalidGrammar)]
)
@pytest.mark.parametrize("before", [0, 2])
def test_an_end_by_a_grammar_cut_anywhere_is_an_error_and_what_came_before_is_counted(code, kind, before):
    ending = chat_choice(0, {"content": ""}, reason="stop") | {"stop_reason": f"polyscribe:{code}..."}
    events = [token()] * before + [head("chat") | {"choices": [ending], "usage": usage_of(31, before)}]
    data = b"".join(map(frame, events)) + DONE
    for at in range(1, len(data)):
        usage = Usage()
        stream = EventStream(asked_for(), ROUTE, ROUTE.placements[0], usage)
        with pytest.raises(kind):
            _ = [stream.feed(piece) for piece in (data[:at], data[at:])]
        assert (usage.completion, usage.finish_reason) == (before, code), at
