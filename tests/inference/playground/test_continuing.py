"""A page's call that continues an answer: a completion of the same prompt and the text so far."""

import json

import pytest
from django.conf import settings

from inference.contract import base_model
from inference.contract.requests import parse_request
from inference.playground.calls import ASK, LEAST_TOKENS, read_continuation

ASKED = [{"role": "user", "content": "Write about the sea."}]
TEXT = "The tide had turned, and the"
CALL = {"model": "acme/letters", "max_tokens": 120, "temperature": 0.7, "stream": True}


def continued(messages: object, **more: object) -> tuple[str, dict]:
    kind, body = read_continuation(
        json.dumps({**CALL, "messages": messages, "continues": True, **more}).encode()
    )
    return kind, json.loads(body)


def test_an_answer_goes_on_from_its_own_words(monkeypatch):
    tokenizer = pytest.importorskip("tokenizers")
    made = tokenizer.Tokenizer(
        tokenizer.models.WordLevel({"[UNK]": 0, "sea": 1, "tide": 2}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizer.pre_tokenizers.Whitespace()
    monkeypatch.setattr(base_model, "tokenizer", lambda: made)
    monkeypatch.setattr(base_model, "render_prompt", lambda messages, tools: "sea " * len(messages))
    kind, body = continued([*ASKED, {"role": "assistant", "content": "tide"}])
    assert (kind, body["prompt"]) == ("text", [1, 2])
    assert "messages" not in body
    assert "continues" not in body
    assert body["min_tokens"] == LEAST_TOKENS
    assert continued([*ASKED, {"role": "assistant", "content": "tide"}], max_tokens=8)[1]["min_tokens"] == 8
    parse_request("text", json.dumps(body).encode())


def test_where_the_models_files_are_not_here_it_is_asked_to_go_on(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "BASE_MODEL_DIR", tmp_path)
    kind, body = continued([*ASKED, {"role": "assistant", "content": TEXT}])
    assert kind == "chat"
    assert body["messages"][-1] == {"role": "user", "content": ASK}
    parse_request("chat", json.dumps(body).encode())


@pytest.mark.parametrize("messages", [None, 7, [], ["x"], ASKED, [*ASKED, {"role": "assistant"}]])
def test_what_is_no_conversation_is_left_to_the_contract(messages):
    assert continued(messages)[0] == "chat"


def test_any_other_call_is_a_chat_as_it_came():
    call = {**CALL, "messages": ASKED}
    assert read_continuation(json.dumps(call).encode()) == ("chat", json.dumps(call).encode())
