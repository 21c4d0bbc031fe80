"""A wrong value is refused by its field's name, and a body that can't be read is the caller's mistake."""

import json

import pytest

from inference import errors
from inference.contract import requests

CHAT = {"model": "poetry", "messages": [{"role": "user", "content": "Rain?"}], "logprobs": True}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", "hello"),
        ("n", 0),
        ("n", "two"),
        ("max_tokens", -1),
        ("temperature", 5),
        ("temperature", "hot"),
        ("top_logprobs", 21),
        ("response_format", {"type": "json_schema"}),
    ],
)
def test_a_wrong_value_names_its_field(field, value):
    with pytest.raises(errors.BadRequest) as raised:
        requests.parse_request("chat", json.dumps(CHAT | {field: value}).encode())
    assert raised.value.param == field
    assert not set("{}\n/") & set(raised.value.message)


@pytest.mark.parametrize(
    "body",
    [rb'{"model": "poetry", "messages": [{"role": "user", "content": "\ud800"}]}', b"[" * 100_000],
    ids=["an incomplete character", "nested without end"],
)
def test_a_body_that_cannot_be_read_is_a_bad_request(body):
    with pytest.raises(errors.BadRequest):
        requests.parse_request("chat", body)
