"""What a client may send: an allow-list. Everything else is dropped before the engine sees it.

What the engine would refuse is refused here by name where that is simple: its own words speak of its inside.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from inference.errors import BadRequest

Kind = Literal["chat", "text"]

SAMPLING = {
    "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "min_p", "n", "presence_penalty",
    "repetition_penalty", "response_format", "seed", "stop", "temperature", "top_k", "top_p",
}  # fmt: skip
ALLOWED: dict[Kind, set[str]] = {
    "chat": SAMPLING | {"messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice",
                        "parallel_tool_calls"},
    "text": SAMPLING | {"prompt", "echo"},
}  # fmt: skip
TEXT_OVERHEAD = 64  # the chat template's own tokens: a default system message, the turn markers
MESSAGE_OVERHEAD = 16
TOOLS_GROWTH = 4
CHOICES_MAX = 16
STOPS_MAX = 4
LOGPROBS_MAX = 20
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
FORMATS = ("text", "json_object", "json_schema")


@dataclass(eq=False, slots=True)
class Asked:
    """A checked request: what goes to the engine, and what admission must know.

    `user` is whom the client asks for, by its own word. `prompt_field` is how its form calls the prompt.
    """

    kind: Kind
    model: str
    fields: dict[str, Any]
    stream: bool
    include_usage: bool
    output_tokens: int
    choices: int
    choices_per_prompt: int
    body_bytes: int
    prompt_field: str
    user: str = ""

    def text(self) -> list[str]:
        """Return the texts that become the prompt, one for each message or prompt."""
        if self.kind == "text":
            prompt = self.fields["prompt"]
            return prompt if isinstance(prompt, list) else [prompt]
        extra = [json.dumps(self.fields["tools"])] if self.fields.get("tools") else []
        return [json.dumps(m, ensure_ascii=False) for m in self.fields["messages"]] + extra

    def prompt_bound(self) -> int:
        """Return an upper bound of the prompt's tokens.

        No token is shorter than a byte, and what JSON puts around a message is longer than what a chat
        template does; only tools are written out anew, indented.
        """
        tools = len(orjson.dumps(self.fields["tools"])) if "tools" in self.fields else 0
        return self.body_bytes + TOOLS_GROWTH * tools + TEXT_OVERHEAD


def parse(kind: Kind, body: bytes) -> Asked:
    """Return the request in a checked form. Raises BadRequest naming the field that is wrong."""
    raw = read(body)
    model = raw.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("You must provide a `model`: the name of a style, such as `poetry`.", param="model")
    allowed = ALLOWED[kind]
    fields = {name: value for name, value in raw.items() if name in allowed and value is not None}
    try:
        orjson.dumps(fields)
    except TypeError:
        raise BadRequest("The body is nested too deeply.") from None
    for name in fields.keys() & CHECKS.keys():
        CHECKS[name](name, fields[name])
    (_check_chat if kind == "chat" else _check_text)(fields)
    options = raw.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("`stream_options` must be an object.", param="stream_options")
    prompts = len(fields["prompt"]) if isinstance(fields.get("prompt"), list) else 1
    choices = fields.get("n", 1)
    shorter = fields.pop("max_completion_tokens", None)
    return Asked(
        kind=kind, model=model, fields=fields, stream=raw.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        output_tokens=shorter or fields.get("max_tokens", 0), choices=choices * prompts,
        choices_per_prompt=choices, body_bytes=len(body),
        prompt_field="messages" if kind == "chat" else "prompt", user=_user(raw.get("user")),
    )  # fmt: skip


def read(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object. Raises BadRequest."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.")
    return raw


def _user(named: object) -> str:
    if named is None or isinstance(named, str):
        return named or ""
    raise BadRequest("`user` must be a text.", param="user")


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[str, Any], None]:
    kinds, noun = (int, "whole number") if whole else (int | float, "number")

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise BadRequest(f"`{name}` must be a {noun}.", param=name)
        if not low <= value <= high:
            limits = f"between {low} and {high}" if high < HUGE else f"at least {low}"
            raise BadRequest(f"`{name}` must be {limits}.", param=name)

    return check


def _check_stop(name: str, value: Any) -> None:
    stops = value if isinstance(value, list) else [value]
    if len(stops) > STOPS_MAX or not all(isinstance(stop, str) and stop for stop in stops):
        raise BadRequest(f"`stop` must be a text or a list of at most {STOPS_MAX} texts.", param=name)


def _check_bias(name: str, value: Any) -> None:
    bias = value.values() if isinstance(value, dict) else [None]
    if not all(isinstance(b, int | float) and -100 <= b <= 100 for b in bias) or not all(
        token.isdecimal() for token in value
    ):
        raise BadRequest("`logit_bias` must map token ids to numbers between -100 and 100.", param=name)


def _check_format(name: str, value: Any) -> None:
    if not isinstance(value, dict) or value.get("type") not in FORMATS:
        raise BadRequest(f"`response_format.type` must be one of {', '.join(FORMATS)}.", param=name)


HUGE = 2**63 - 1
CHECKS: dict[str, Callable[[str, Any], None]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "min_p": _number(0, 1),
    "top_k": _number(-1, 2**31 - 1, whole=True),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "repetition_penalty": _number(0.01, 10),
    "n": _number(1, CHOICES_MAX, whole=True),
    "max_tokens": _number(1, HUGE, whole=True),
    "max_completion_tokens": _number(1, HUGE, whole=True),
    "top_logprobs": _number(0, LOGPROBS_MAX, whole=True),
    "seed": _number(-HUGE - 1, HUGE, whole=True),
    "stop": _check_stop,
    "logit_bias": _check_bias,
    "response_format": _check_format,
}


def _check_chat(fields: dict[str, Any]) -> None:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list with at least one message.", param="messages")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise BadRequest(
                f"Each message must be an object with `role` (one of {', '.join(ROLES)}) and `content`.",
                param="messages",
            )
        parts = message.get("content")
        if isinstance(parts, list) and not all(
            isinstance(p, dict) and p.get("type") == "text" for p in parts
        ):
            raise BadRequest("Only text content is served.", param="messages")
    if not isinstance(fields.get("logprobs", False), bool):
        raise BadRequest("`logprobs` must be true or false; `top_logprobs` says how many.", param="logprobs")


def _check_text(fields: dict[str, Any]) -> None:
    prompt = fields.get("prompt")
    texts = prompt if isinstance(prompt, list) else [prompt]
    if not texts or not all(isinstance(t, str) and t for t in texts):
        raise BadRequest("`prompt` must be a text or a list of texts.", param="prompt")
    if len(texts) > CHOICES_MAX:
        raise BadRequest(f"At most {CHOICES_MAX} prompts a request.", param="prompt")
    if "logprobs" in fields:
        _number(0, LOGPROBS_MAX, whole=True)("logprobs", fields["logprobs"])
        if fields.get("echo"):
            # vLLM 0.32 (CPU): the whole engine dies when such a request shares a batch.
            raise BadRequest("`logprobs` can't be had together with `echo`.", param="logprobs")
