"""What a client may send: an allow-list. Everything else is dropped before the engine sees it."""

import json
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
    "text": SAMPLING | {"prompt", "echo", "suffix", "best_of"},
}  # fmt: skip
TEXT_OVERHEAD = 64  # the chat template's own tokens: a default system message, the turn markers
MESSAGE_OVERHEAD = 16
TOOLS_GROWTH = 4
CHOICES_MAX = 16


@dataclass(eq=False, slots=True)
class Asked:
    """A checked request: what goes to the engine, and what admission must know."""

    kind: Kind
    model: str
    fields: dict[str, Any]
    stream: bool
    include_usage: bool
    output_tokens: int
    choices: int
    choices_per_prompt: int
    body_bytes: int

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
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.")
    model = raw.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("You must provide a `model`: the name of a style, such as `poetry`.", param="model")
    allowed = ALLOWED[kind]
    fields = {name: value for name, value in raw.items() if name in allowed and value is not None}
    (_check_messages if kind == "chat" else _check_prompt)(fields)
    options = raw.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("`stream_options` must be an object.", param="stream_options")
    choices = max(_whole(fields, "n", 1), _whole(fields, "best_of", 1))
    if not 1 <= choices <= CHOICES_MAX:
        raise BadRequest(f"`n` must be between 1 and {CHOICES_MAX}.", param="n")
    limit = "max_completion_tokens" if fields.get("max_completion_tokens") else "max_tokens"
    output = _whole(fields, limit, 0)
    if output < 0:
        raise BadRequest(f"`{limit}` must be at least 1.", param=limit)
    fields.pop("max_completion_tokens", None)
    return Asked(
        kind=kind, model=model, fields=fields, stream=raw.get("stream") is True,
        include_usage=options.get("include_usage") is True, output_tokens=output,
        choices=choices * (len(fields["prompt"]) if isinstance(fields.get("prompt"), list) else 1),
        choices_per_prompt=choices, body_bytes=len(body),
    )  # fmt: skip


def _whole(fields: dict[str, Any], name: str, default: int) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"`{name}` must be a whole number.", param=name)
    return value


def _check_messages(fields: dict[str, Any]) -> None:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list with at least one message.", param="messages")
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
        raise BadRequest("Each message must be an object with `role` and `content`.", param="messages")
    for message in messages:
        parts = message.get("content")
        if isinstance(parts, list) and not all(
            isinstance(p, dict) and p.get("type") == "text" for p in parts
        ):
            raise BadRequest("Only text content is served.", param="messages")


def _check_prompt(fields: dict[str, Any]) -> None:
    prompt = fields.get("prompt")
    texts = prompt if isinstance(prompt, list) else [prompt]
    if not texts or not all(isinstance(t, str) for t in texts):
        raise BadRequest("`prompt` must be a text or a list of texts.", param="prompt")
    if len(texts) > CHOICES_MAX:
        raise BadRequest(f"At most {CHOICES_MAX} prompts a request.", param="prompt")
