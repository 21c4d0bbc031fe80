"""Items of an input as they are stored and as clients get them back: with an id, their texts in parts."""

from secrets import token_hex

from inference.contract.dialects.common import join_texts
from inference.contract.dialects.openai_responses import TEXT_TYPES, translate_input
from inference.facts import JsonObject

PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


def read_items(sent: object) -> list[JsonObject]:
    """Return the items of an input, each with a new id; reasoning, which no prompt has, is left out.

    Raises BadRequest naming the item that is wrong.
    """
    translate_input(sent)  # raises where an item has another form
    if isinstance(sent, str):
        return [_store_message({"role": "user", "content": sent})]
    assert isinstance(sent, list)
    items = []
    for item in sent:
        kind = item.get("type") or "message"
        if kind == "message":
            items.append(_store_message(item))
        elif kind == "function_call":
            items.append(_begin_item(kind) | {name: item[name] for name in ("call_id", "name", "arguments")})
        elif kind == "function_call_output":
            output = join_texts(item["output"], "output", TEXT_TYPES)
            items.append(_begin_item(kind) | {"call_id": item["call_id"], "output": output})
    return items


def _begin_item(kind: str) -> JsonObject:
    return {"id": f"{PREFIXES[kind]}_{token_hex(16)}", "type": kind, "status": "completed"}


def _store_message(item: JsonObject) -> JsonObject:
    is_output = item["role"] == "assistant"
    content = item["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [_store_part(block, is_output=is_output) for block in blocks]
    return _begin_item("message") | {"role": item["role"], "content": parts}


def _store_part(block: JsonObject, *, is_output: bool) -> JsonObject:
    if block["type"] == "refusal":
        return {"type": "refusal", "refusal": block["refusal"]}
    if is_output:
        return {"type": "output_text", "text": block["text"], "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": block["text"]}
