"""Whether the base model chooses tools rightly when a prompt, examples or a grammar tell it of them.

    ENGINE_URL=http://127.0.0.1:8001 ENGINE_API_KEY=… .venv/bin/python -m bench.auto_tools

16 questions need one of four functions, 16 need none. docs/decisions/0043 says what follows from the figures.
"""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

RESULT = Path(__file__).parent / "results" / "auto_tools.json"
FUNCTIONS = {
    "get_weather": ("The weather of a city now", ("city",)),
    "get_time": ("The time in a city now", ("city",)),
    "calculate": ("Work out an arithmetic expression", ("expression",)),
    "send_mail": ("Send an e-mail", ("to", "text")),
}
# Each with the function that it needs and what its arguments must hold.
NEEDING = (
    ("What is the weather in Oslo right now?", "get_weather", "oslo"),
    ("Is it raining in Rome?", "get_weather", "rome"),
    ("How warm is it in Cairo today?", "get_weather", "cairo"),
    ("Tell me the weather in Lima.", "get_weather", "lima"),
    ("What time is it in Tokyo?", "get_time", "tokyo"),
    ("Tell me the current time in Paris.", "get_time", "paris"),
    ("How late is it in New York now?", "get_time", "new york"),
    ("Which time do they have in Delhi?", "get_time", "delhi"),
    ("What is 3819 times 27?", "calculate", "3819"),
    ("Work out 17 / 3 + 4.", "calculate", "17"),
    ("How much is 15% of 2640?", "calculate", "2640"),
    ("Calculate (8 + 5) * 12.", "calculate", "12"),
    ("Send an e-mail to bob@example.com saying hello.", "send_mail", "bob@example.com"),
    ("Mail ann@example.com that I am late.", "send_mail", "ann@example.com"),
    ("Write to eve@example.com: the meeting is at noon.", "send_mail", "eve@example.com"),
    ("Please e-mail tom@example.com that dinner is ready.", "send_mail", "tom@example.com"),
)
NOT_NEEDING = (
    "Why is the sky blue?", "Write a short poem about the sea.", "Say hello in French.", "What is a cat?",
    "Summarise: The sun is a star.", "Give me three names for a dog.", "Who wrote Hamlet?",
    "Translate 'good night' to Spanish.", "Explain gravity to a child.", "Tell me a joke.",
    "What colour are bananas?", "List two fruits.", "What is the capital of France?",
    "Rewrite politely: give me that.", "Finish: once upon a time", "Is water wet?",
)  # fmt: skip
CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
EXAMPLES = (
    ("user", "What is the weather in Bonn?"),
    ("assistant", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bonn"}}\n</tool_call>'),
    ("user", "What is the sun?"),
    ("assistant", "The sun is a star."),
)
WAYS = ("prompt", "examples", "choice")


def tool_prompt() -> str:
    """Return the system message with the functions and the form of a call."""
    described = []
    for name, (description, parameters) in FUNCTIONS.items():
        schema = {
            "type": "object",
            "properties": {parameter: {"type": "string"} for parameter in parameters},
            "required": list(parameters),
        }
        described.append(json.dumps({"name": name, "description": description, "parameters": schema}))
    return (
        "You are a helpful assistant with access to functions. You may call one function if you need it to "
        "answer.\n\nFunctions:\n" + "\n".join(described) + "\n\nTo call a function, answer only with:\n"
        '<tool_call>\n{"name": "NAME", "arguments": {...}}\n</tool_call>\n'
        "If no function helps, answer the user in plain words."
    )


def choice_prompt() -> str:
    """Return the system message that asks for a function's name, or none."""
    named = "; ".join(f"{name}: {description}" for name, (description, _) in FUNCTIONS.items())
    return f"Functions: {named}. Which of them does the request need? Answer with its name, or with none."


def request_of(way: str, question: str) -> dict[str, Any]:
    """Return the chat of a question."""
    if way == "choice":
        said = [("system", choice_prompt()), ("user", f"Request: {question}")]
        extra: dict[str, Any] = {
            "max_tokens": 8,
            "structured_outputs": {"choice": ["none", *FUNCTIONS]},
        }
    else:
        examples = EXAMPLES if way == "examples" else ()
        said = [("system", tool_prompt()), *examples, ("user", question)]
        extra = {"max_tokens": 64}
    messages = [{"role": role, "content": content} for role, content in said]
    return {"messages": messages, "temperature": 0, **extra}


def read_call(way: str, text: str) -> tuple[str, str]:
    """Return the function that an answer calls, "" for none, and its arguments."""
    if way == "choice":
        return ("" if text == "none" else text), ""
    found = CALL.search(text)
    try:
        call = json.loads(found[1]) if found else {}
    except ValueError:
        return "", ""
    return str(call.get("name") or ""), json.dumps(call.get("arguments"))


def measure(way: str, client: httpx2.Client, model: str) -> dict[str, int]:
    """Return how often the model called a function, and how often the right one."""

    def ask(question: str) -> tuple[str, str]:
        answer = client.post("/v1/chat/completions", json={"model": model} | request_of(way, question))
        answer.raise_for_status()
        return read_call(way, answer.json()["choices"][0]["message"]["content"] or "")

    questions = [question for question, *_ in NEEDING] + list(NOT_NEEDING)
    with ThreadPoolExecutor(16) as pool:
        calls = dict(zip(questions, pool.map(ask, questions), strict=True))
    right = [(calls[question], name, held) for question, name, held in NEEDING if calls[question][0] == name]
    return {
        "needed": len(NEEDING),
        "called": sum(bool(calls[question][0]) for question, *_ in NEEDING),
        "right_function": len(right),
        "right_call": sum(held in arguments.lower() for (_, arguments), _, held in right),
        "not_needed": len(NOT_NEEDING),
        "called_all_the_same": sum(bool(calls[question][0]) for question in NOT_NEEDING),
    }


def main() -> None:
    model = os.environ.get("BASE_MODEL") or "SmolLM2-135M-Instruct"
    headers = {"Authorization": f"Bearer {os.environ.get('ENGINE_API_KEY', '')}"}
    with httpx2.Client(base_url=os.environ["ENGINE_URL"], headers=headers, timeout=600) as client:
        figures = {way: measure(way, client, model) for way in WAYS}
    for way, figure in figures.items():
        print(way, figure)
    RESULT.write_text(json.dumps({"model": model} | figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
