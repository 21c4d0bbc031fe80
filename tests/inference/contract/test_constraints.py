"""Which fields of a request can prescribe the text of its answer, so that its receipt says so."""

import orjson
import pytest

from inference.contract.dialects.anthropic_messages import parse_messages
from inference.contract.dialects.openai_responses import parse_response_request
from inference.contract.requests import parse_request

CHAT = {"model": "poetry", "messages": [{"role": "user", "content": "Hi"}]}
TEXT = {"model": "poetry", "prompt": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"const": "Any text."}}, "required": ["a"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "a", "parameters": SCHEMA}}


@pytest.mark.parametrize(
    ("fields", "constrained"),
    [
        ({}, ""),
        ({"temperature": 0, "stop": "."}, ""),
        ({"logit_bias": {"5": 100}}, "logit_bias"),
        ({"logit_bias": {"5": 0.5, "6": -100}}, "logit_bias"),
        ({"logit_bias": {"5": -100}}, ""),
        ({"structured_outputs": {"choice": ["Any text."]}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "Any text"}}, "structured_outputs"),
        ({"structured_outputs": {"json": SCHEMA}, "logit_bias": {"5": 1}}, "logit_bias structured_outputs"),
        ({"response_format": FORMAT}, "response_format"),
        ({"response_format": {"type": "json_object"}}, ""),
        ({"response_format": {"type": "text"}}, ""),
        ({"tools": [TOOL], "tool_choice": "required"}, ""),
    ],
)
def test_a_chat_names_what_prescribes_its_text(fields, constrained):
    assert parse_request("chat", orjson.dumps(CHAT | fields)).constrained == constrained


@pytest.mark.parametrize(
    ("fields", "constrained"),
    [
        ({}, ""),
        ({"echo": False}, ""),
        ({"echo": True}, "echo"),
        ({"echo": True, "structured_outputs": {"choice": ["Any text."]}}, "echo structured_outputs"),
    ],
)
def test_a_completion_names_what_prescribes_its_text(fields, constrained):
    assert parse_request("text", orjson.dumps(TEXT | fields)).constrained == constrained


def test_so_do_the_other_dialects():
    form = {"type": "json_schema", "name": "a", "schema": SCHEMA}
    response = {"model": "poetry", "input": "Hi", "text": {"format": form}}
    assert parse_response_request(orjson.dumps(response)).constrained == "response_format"
    format_ = {"type": "json_schema", "schema": SCHEMA}
    message = CHAT | {"max_tokens": 9, "output_config": {"format": format_}}
    assert parse_messages(orjson.dumps(message)).constrained == "response_format"
