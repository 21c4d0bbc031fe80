"""A text goes on where it stopped: the engine reads its prompt and the text so far, so nothing repeats."""

import json
from typing import Any

from inference.contract.requests import Kind
from inference.contract.tokenizer import encode_answer

CONTINUES = "continues"  # of a page's call: its last message is to be continued
LEAST_TOKENS = 16  # also of a text that the model believes to be finished
ASK = "Continue the text exactly where it stopped. Don't repeat any of it."


def read_continuation(body: bytes) -> tuple[Kind, bytes]:
    """Return a page's call as the API takes it, and of which kind it is then.

    One that continues becomes a completion of the chat's prompt with the text so far. Where the base model's
    files aren't on this machine, the model is asked to go on.
    """
    call = json.loads(body)
    if not call.pop(CONTINUES, False):
        return "chat", json.dumps(call).encode()
    messages = call.pop("messages", None)
    prompt = encode_answer(messages) if _is_conversation(messages) else None
    if prompt is None:
        said = messages if isinstance(messages, list) else []
        return "chat", json.dumps(call | {"messages": [*said, {"role": "user", "content": ASK}]}).encode()
    most = call.get("max_tokens")
    least = min(LEAST_TOKENS, most) if isinstance(most, int) else LEAST_TOKENS
    return "text", json.dumps(call | {"prompt": prompt, "min_tokens": least}).encode()


def _is_conversation(messages: Any) -> bool:
    """Return whether these are messages of texts alone, the last one an answer."""
    if not isinstance(messages, list) or len(messages) < 2:
        return False
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return False
        if message.get("role") not in ("system", "user", "assistant"):
            return False
    return bool(messages[-1]["role"] == "assistant")
