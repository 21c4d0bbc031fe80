"""The official Python client, unchanged, against the whole stack."""

import os

import openai
import pytest

from stack.pages import rows
from tests.journeys.conftest import eventually

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


def test_the_lesson_runs_as_written(demo):
    client = demo.client
    answer = client.chat.completions.create(model="poetry", messages=QUESTION, max_tokens=40)
    assert answer.model == "poetry"
    assert answer.choices[0].message.content
    assert {"base", "genz", "legal", "poetry"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("poetry").id == "poetry"


def test_adapters_that_the_engine_was_started_with_are_recognised(demo):
    assert "--lora-modules" in os.environ["ENGINE_OPTIONS"]
    engines = demo.session.get("/console/adapters/engine/").text
    assert "poetry-bot (poetry@1)" in engines
    assert "legal-bot (legal@1)" in engines
    assert demo.say("legal", "Why is the sky blue?", max_tokens=8)


def test_a_streamed_answer_is_the_same_text_as_a_whole_one(demo):
    options = {"model": "legal", "messages": QUESTION, "max_tokens": 24, "temperature": 0}
    whole = demo.client.chat.completions.create(**options)
    chunks = list(
        demo.client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert {chunk.model for chunk in chunks} == {"legal"}


def test_completions_and_provenance(demo):
    raw = demo.client.completions.with_raw_response.create(model="genz", prompt="The sea", max_tokens=8)
    assert raw.parse().choices[0].text
    assert raw.headers["x-polyscribe-style"] == "genz"
    assert len(raw.headers["x-polyscribe-adapter-sha256"]) == 64
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["x-ratelimit-remaining-requests"]) >= 0


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"model": "nobody/nothing"}, openai.NotFoundError, "model_not_found"),
        ({"messages": []}, openai.BadRequestError, None),
        (
            {"messages": [{"role": "user", "content": "word " * 3000}]},
            openai.BadRequestError,
            "context_length_exceeded",
        ),
    ],
)
def test_errors_are_raised_as_the_client_documents(demo, changes, error, code):
    with pytest.raises(error) as raised:
        demo.client.chat.completions.create(**({"model": "poetry", "messages": QUESTION} | changes))
    assert raised.value.code == code
    assert "/" not in raised.value.message.replace("nobody/nothing", "").replace("/v1/models", "")


def test_a_key_that_is_wrong_is_refused(demo):
    for key in ("nonsense", demo.api_key[:-1] + ("0" if demo.api_key[-1] != "0" else "1")):
        client = demo.client.with_options(api_key=key)
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model="poetry", messages=QUESTION)
        assert raised.value.code == "invalid_api_key"


def test_a_stranger_sees_only_what_it_selected(demo, stranger, random_adapters):
    own = demo.upload(random_adapters[0]).model
    assert demo.say(own, "Hello", max_tokens=4)
    for model in (own, "poetry"):  # another tenant's, and a public one that was not selected
        with pytest.raises(openai.NotFoundError):
            stranger.say(model, "Hello", max_tokens=4)
    assert [model.id for model in stranger.client.models.list()] == ["base"]


def test_a_revoked_key_is_refused_from_the_next_request_on(stranger):
    assert stranger.say("base", "Hello", max_tokens=4)
    page = stranger.session.get("/keys/").text
    path = page.split('action="/keys/')[-1].split('"')[0]
    stranger.post(f"/keys/{path}", name="journey")
    with pytest.raises(openai.AuthenticationError):
        stranger.say("base", "Hello", max_tokens=4)


def test_a_hang_up_is_billed_what_was_made(stranger):
    stream = stranger.client.chat.completions.create(
        model="base", messages=QUESTION, max_tokens=400, temperature=0, stream=True
    )
    for _ in range(3):
        next(stream)
    stream.close()

    def counted() -> bool:
        return "hung up" in stranger.session.get("/usage/").text

    eventually(counted, within_s=30, what="the usage page does not tell of the hang-up")
    [row] = [row for row in rows(stranger.session.get("/usage/").text) if "hung up" in " ".join(row)]
    assert any(cell.isdecimal() and 1 <= int(cell) < 200 for cell in row)


def test_the_free_plans_limits_hold(stranger):
    def hurry() -> None:
        for _ in range(30):
            stranger.say("base", "Hello", max_tokens=1)

    with pytest.raises(openai.RateLimitError) as raised:
        hurry()
    assert raised.value.code == "rate_limit_exceeded"
    assert int(raised.value.response.headers["retry-after"]) >= 1
