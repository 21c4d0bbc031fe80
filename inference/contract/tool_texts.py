"""Tool calls and their results as plain texts, for a base model whose chat template knows neither.

Such a template shows a message's role and content alone, so the model would read a result without its call.
"""

from inference.facts import JsonObject

RESULT_ROLES = ("tool", "function")


def has_tool_messages(messages: list[JsonObject]) -> bool:
    """Return whether a conversation has tool calls or results."""
    return any(message["role"] in RESULT_ROLES or "tool_calls" in message for message in messages)


def write_as_texts(messages: list[JsonObject]) -> list[JsonObject]:
    """Return the messages with calls as the assistant's text and results as the user's.

    A text of the user that follows a result joins it: some templates let no role speak twice.
    """
    written: list[JsonObject] = []
    names: dict[str, str] = {}
    for message in messages:
        if message["role"] in RESULT_ROLES:
            _add_user_text(written, _describe_result(message, names))
        elif "tool_calls" in message:
            calls = [call["function"] | {"id": call["id"]} for call in message["tool_calls"]]
            names |= {call["id"]: call["name"] for call in calls}
            texts = [f"I call {call['name']}({call['arguments']})." for call in calls]
            content = "\n".join(filter(None, [message["content"], *texts]))
            written.append({"role": "assistant", "content": content})
        elif message["role"] == "user" and written and written[-1].get("has_results"):
            _add_user_text(written, message["content"])
        else:
            written.append(message)
    return [{name: message[name] for name in message if name != "has_results"} for message in written]


def _describe_result(message: JsonObject, names: dict[str, str]) -> str:
    name = names.get(message.get("tool_call_id", "")) or message.get("name") or "The function"
    return f"{name} returned: {message['content']}"


def _add_user_text(written: list[JsonObject], text: str) -> None:
    """Add a text of the user, to the results before it where there are some."""
    if written and written[-1].get("has_results"):
        written[-1]["content"] += f"\n\n{text}"
    else:
        written.append({"role": "user", "content": text, "has_results": True})
