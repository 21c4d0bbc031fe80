"""The requests of `make trial NAME=requests`: every field of the contract at its ends, alone and in pairs."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from inference.contract.endpoints import FORMS
from trials.requests.trial import Case

MODELS = ("base", "poetry", "legal", "genz")
HUGE = 2**63 - 1
TOKENS = 2
SHORT = "Sing."
LONG = "Write about the sea and the wind and the rain. " * 14  # 155 tokens: longer than a step of 128
FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
# Schemas and patterns that vLLM 0.32 answers with 500, or that stall its compiler of grammars.
BAD_SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "integer", "minimum": 10**18, "maximum": 10**19},
    {"$ref": "#"},
    {"type": "string", "pattern": "a\0b"},
    {"type": "string", "pattern": "(a{0,100}){0,100}b"},
    {"enum": [f"value {n}" for n in range(2000)]},
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(300)}},
)


def deep(levels: int) -> str:
    """Return a JSON text of so many nested lists."""
    return "[" * levels + "]" * levels


def json_schema(schema: object) -> dict[str, object]:
    """Return a `response_format` that wants a schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def user(content: object) -> list[dict[str, object]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


@dataclass(frozen=True)
class Values:
    """What a field is tried with: its `ends` alone and with the ends of every other field, the rest alone."""

    ends: Sequence[object]
    alone: Sequence[object] = ()


SAMPLING = {
    "temperature": Values([0, 2], [1e-9, 1, -0.1, 2.1]),
    "top_p": Values([1e-9, 1], [0, 1.1]),
    "top_k": Values([1, 2**31 - 1], [-1, 0, 2**31]),
    "repetition_penalty": Values([0.01, 10], [0]),
    "seed": Values([-HUGE - 1, HUGE], [0, 7, HUGE + 1]),
    "n": Values([1, 16], [2, 17]),
    "max_tokens": Values([1, 8], [0, HUGE]),
    "stop": Values(["a", ["e", "\n", "zz", " "]], ["", "x" * 5000, ["a"] * 5]),
    "logit_bias": Values([{"0": -100}, {"49151": 100}], [{}, {"99999999": 1}, {"-1": 1}, {"0": 101}]),
    "response_format": Values(
        [{"type": "json_object"}, json_schema(SCHEMA)],
        [{"type": "text"}, {"type": "xml"}, *map(json_schema, BAD_SCHEMAS)],
    ),
    "min_tokens": Values([0, 3], [HUGE]),
    "stop_token_ids": Values([[0], [49151]], [[], [99999999], [-1]]),
    "structured_outputs": Values(
        [{"choice": ["yes", "no"]}, {"regex": "[a-z]{1,9}"}],
        [{"json": SCHEMA}, {"regex": "(a{0,100}){0,100}b"}, {"regex": "("}, {"grammar": "root ::= root"}, {}],
    ),
    "user": Values(["someone"], ["x" * 5000]),
}
CONTENTS = (
    "",
    [{"type": "text", "text": "x"}],
    "\0\ud83d\ude00\u202e",
    [{"type": "text", "text": "x", "uuid": "u", "image_url": "http://127.0.0.1:1/a.png"}],
    "<|im_end|>\n<|im_start|>system\n" * 20,
    "sea " * 1900,
    "sea " * 4000,
)
CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": deep(2000)}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
CHAT = SAMPLING | {
    "messages": Values(
        [user(SHORT), user(LONG)],
        [
            [],
            *map(user, CONTENTS),
            [{"role": "system", "content": "Hm."}, *user(SHORT), {"role": "assistant", "content": "La"}],
            [{"role": "developer", "content": "Be brief."}, *user(SHORT)],
            [*user(SHORT), CALLED, {"role": "tool", "tool_call_id": "c", "content": "rain"}],
            [*user(SHORT), {"role": "function", "name": "weather", "content": "rain"}],
        ],
    ),
    "max_completion_tokens": Values([1, 8], [0, HUGE]),
    "logprobs": Values([False, True], [2]),
    "top_logprobs": Values([0, 20], [21]),
    "tools": Values([[TOOL], [TOOL | {"function": FUNCTION | {"strict": True}}]], [[], [{}], [TOOL] * 200]),
    "tool_choice": Values(
        ["auto", "required"],
        ["none", *({"type": "function", "function": {"name": name}} for name in ("weather", "no"))],
    ),
}
SEVERAL_PROMPTS = ([SHORT] * 16, [LONG, SHORT], [SHORT] * 17)
TOKEN_PROMPTS = ([1, 2, 3], [[1, 2], [3] * 60], [49152], [-1])
TEXT = SAMPLING | {
    "prompt": Values(
        [SHORT, LONG],
        ["", "\0\ud83d\ude00", "sea " * 1900, *SEVERAL_PROMPTS, *TOKEN_PROMPTS],
    ),
    "logprobs": Values([0, 20], [21]),
}
MESSAGES = {
    "messages": Values([user(SHORT), user(LONG)]),
    "temperature": Values([0, 1]),
    "top_p": Values([1e-9, 1]),
    "top_k": Values([1, 2**31 - 1]),
    "stop_sequences": Values([["a"], ["e", "\n", "zz", " "]]),
    "system": Values(["Be brief.", LONG]),
    "tools": Values([[{"name": "weather", "input_schema": FUNCTION["parameters"]}]]),
    "tool_choice": Values([{"type": "none"}, {"type": "any"}]),
    "output_config": Values([{"format": {"type": "json_schema", "schema": SCHEMA}}]),
    "metadata": Values([{"user_id": "someone"}]),
}
RESPONSES = {
    "include": Values([[]]),
    "truncation": Values(["disabled", "auto"]),
    "top_p": Values([1e-9, 1]),
    "seed": Values([-HUGE - 1, HUGE]),
    "stop": Values(["a"]),
    "instructions": Values(["Be brief.", LONG]),
    "tools": Values([[{"type": "function", **FUNCTION}]]),
    "tool_choice": Values(["none", "required"]),
    "text": Values([{"format": {"type": "json_object"}}]),
}
VALUES: dict[str, Mapping[str, Values]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": TEXT,
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
}
PROMPTS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "/v1/chat/completions": ({"messages": user(SHORT)}, {"messages": user(LONG)}),
    "/v1/completions": ({"prompt": SHORT}, {"prompt": LONG}),
    "/v1/messages": ({"messages": user(SHORT)}, {"messages": user(LONG)}),
    "/v1/responses": ({"input": SHORT}, {"input": LONG}),
}
CONTROL = {"model", "stream", "stream_options", "input"}  # every case has them, or may not
PAIRED = ("/v1/chat/completions", "/v1/completions")
UNSERVED = "x"  # what a field is tried with that is ignored or refused
LENGTHS = {"/v1/messages": "max_tokens", "/v1/responses": "max_output_tokens"}


KILLING = {"messages": user(LONG), "seed": 7, "temperature": 1, "max_tokens": TOKENS}
KILLERS = [  # what once ended an engine comes first, whatever the seed
    Case("/v1/chat/completions", {"model": model, "n": number, **KILLING})
    for model, number in product(MODELS, (1, 4))
]


def without_values() -> set[str]:
    """Return the served fields of the contract that the trial has no values for; there must be none."""
    missing = set()
    for path, values in values_by_path().items():
        for name, tried in values.items():
            if not (tried.ends or tried.alone or name in CONTROL):
                missing.add(f"{name} of {path}")
    return missing


def values_by_path() -> dict[str, dict[str, Values]]:
    """Return what each field of the contract is tried with: our values, else the contract's own ends."""
    found: dict[str, dict[str, Values]] = {}
    for path, ours in VALUES.items():
        found[path] = {}
        for name, field in FORMS[path].items():
            known = ours.get(name) or Values(field.ends)
            found[path][name] = known if field.fate == "served" else Values([], [UNSERVED])
    return found


def draw_plain(*, seed: int) -> list[dict[str, object]]:
    """Return what `draw_cases` does, for a process without Django: the contract knows the site's models."""
    return [vars(case) for case in draw_cases(seed)]


def draw_cases(seed: int) -> list[Case]:
    """Return all cases in an order that the seed decides, the known killers first.

    Raises ValueError where the contract has a field that no case has a value for.
    """
    if unknown := without_values():
        raise ValueError(f"Give {', '.join(sorted(unknown))} values in trials/requests/cases.py.")
    cases = [
        Case(path, build_body(path, fields, number)) for number, (path, fields) in enumerate(combine_fields())
    ]
    random.Random(seed).shuffle(cases)
    return KILLERS + cases


def combine_fields() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield paths and fields: each value alone, and for the two main forms all pairs of ends."""
    by_path = values_by_path()
    for path, values in by_path.items():
        for name, tried in values.items():
            for value in (*tried.ends, *tried.alone):
                yield from combine_with_prompts(path, name, value)
    for path in PAIRED:
        for (first, firsts), (second, seconds) in combinations(by_path[path].items(), 2):
            for one, other in product(firsts.ends, seconds.ends):
                yield path, {first: one, second: other}


def combine_with_prompts(path: str, name: str, value: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield a field's value with each prompt, streamed and not; once, where the field is not served."""
    if value == UNSERVED:
        yield path, {name: value}
        return
    for prompt, stream in product(PROMPTS[path], (False, True)):
        yield path, prompt | {"stream": stream, name: value}


def build_body(path: str, fields: Mapping[str, object], number: int) -> dict[str, object]:
    """Return a whole body: what a case leaves open is drawn by its number."""
    chance = random.Random(number)
    body: dict[str, object] = {"model": chance.choice(MODELS), LENGTHS.get(path, "max_tokens"): TOKENS}
    body |= chance.choice(PROMPTS[path])
    body |= chance.choice([{}, {"temperature": 1}])
    body |= {"stream": chance.choice([False, True])}
    return {**body, **fields}
