"""What benchmarks, evaluations and editors send, as recorded, against the whole stack."""

import json

import anthropic
import httpx2
import openai
import pytest

from tests.journeys.builders import QUESTION, billed
from tests.recorded_editors import FIRST, OBSIDIANS, STYLE, Recorded, name_of

GUIDELLM = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
# The tokens of a synthetic dataset: exactly so many are to be written.
GUIDELLMS_LENGTH = {"stop": None, "ignore_eos": True}
# Continue's list for an autocompletion with Qwen's template: the template's, then its own.
FILL_IN_MARKS = ("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")
QWENS_MARKS = [f"<|{mark}|>" for mark in ("endoftext", *FILL_IN_MARKS, "im_start", "im_end")]
CONTINUES_STOPS = [*QWENS_MARKS, "\n\n", "\r\n\r\n", "/src/", "#- coding: utf-8", "```"]
SEA = [{"type": "text", "text": "Tell me of the sea."}]
SOON = (".", ",", "\n")  # an answer ends with its first clause
USAGE = {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}


@pytest.fixture(scope="module")
def http(demo):
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    with httpx2.Client(base_url=demo.site, headers=headers, timeout=120) as client:
        yield client


def read_stream(http, path, body, headers=None):
    """Return the events of a stream, and its request's id."""
    with http.stream("POST", path, json=body, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines], answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": SEA}], "max_completion_tokens": 12},
        ),
        ("/v1/completions", {"prompt": "The sea", "max_tokens": 12}),
    ],
)
def test_guidellms_default_counts_each_token_as_it_comes(demo, http, path, body):
    for model in ("poetry", "base"):
        chunks, request_id = read_stream(http, path, {"model": model} | GUIDELLM | GUIDELLMS_LENGTH | body)
        usages = [chunk["usage"] for chunk in chunks]
        written = [usage["completion_tokens"] for usage in usages]
        assert written == sorted(written)
        assert written[-1] == 12
        assert len(set(written)) >= 6  # some tokens may come together
        for usage in usages:
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert usage.keys() <= USAGE
        assert billed(demo, request_id) == (usages[-1]["prompt_tokens"], 12)


def test_guidellms_responses_are_as_long_as_they_are_to_be(http):
    said = [{"type": "input_text", "text": "Tell me of the sea."}]
    body = {"model": "poetry", "input": [{"role": "user", "content": said}], "max_output_tokens": 9}
    body |= GUIDELLMS_LENGTH
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["output_tokens"] == 9


def test_continue_completes_with_its_stops(http):
    body = {"model": "base", "prompt": "The quick brown fox", "max_tokens": 24, "temperature": 0.01}
    body |= {"stream": True, "stop": CONTINUES_STOPS}
    chunks, _ = read_stream(http, "/v1/completions", body)
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text
    assert not [stop for stop in CONTINUES_STOPS if stop in text]
    word = text.split()[2]
    chunks, _ = read_stream(
        http, "/v1/completions", body | {"stop": [*CONTINUES_STOPS, word], "temperature": 0}
    )
    assert word not in "".join(chunk["choices"][0]["text"] for chunk in chunks)
    answer = http.post("/v1/completions", json=body | {"stop": [str(n) for n in range(17)]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stop")


@pytest.mark.parametrize("recorded", FIRST, ids=name_of)
def test_each_editor_and_chat_program_writes_in_a_style(demo, http, recorded: Recorded):
    """As recorded, but for a stop that makes its answer short: several set no maximum, or a high one."""
    headers = recorded.headers
    if recorded.is_page:
        headers = headers | {"origin": OBSIDIANS[0]}
        asking = {"access-control-request-headers": "authorization, content-type, x-stainless-os"}
        allowed = http.options("/v1/chat/completions", headers=headers | asking)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, OBSIDIANS[0])
    listed = http.get("/v1/models", headers=headers).json()["data"]
    assert STYLE in [model["id"] for model in listed]
    chunks, request_id = read_stream(
        http, "/v1/chat/completions", recorded.body | {"stop": [*SOON]}, headers=headers
    )
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert finishes[-1] == "stop"
    assert not [chunk for chunk in chunks if "error" in chunk]
    read_tokens, written_tokens = billed(demo, request_id)
    assert read_tokens > 0
    usage = chunks[-1].get("usage")
    if "stream_options" in recorded.body:
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (read_tokens, written_tokens)
    else:
        assert not usage


# What Obsidian's window does in its plugins' place: it asks, and reads the answer as it comes.
WINDOW = """async ({address, headers, body}) => {
    const answer = await fetch(address, {method: "POST", headers, body: JSON.stringify(body)});
    const name = answer.headers.get("x-request-id");
    return [answer.status, await answer.text(), name];
}"""


def test_a_page_of_obsidians_origin_reads_its_answers(demo, page, faults):
    android = OBSIDIANS[-1]  # the only one of its origins that a browser's page can have
    # Chromium asks a person before a page may reach the machine itself, where the demo is.
    page.context.grant_permissions(["local-network-access"], origin=android)
    page.route(f"{android}/", lambda route: route.fulfill(body="<h1>Vault</h1>", content_type="text/html"))
    page.goto(f"{android}/")
    composer = next(recorded for recorded in FIRST if "smart-composer" in recorded.program)
    headers = {"authorization": f"Bearer {demo.api_key}", "content-type": "application/json"}
    asked = {"headers": composer.headers | headers, "body": composer.body | {"stop": [*SOON]}}
    address = f"{demo.site}/v1/chat/completions"
    status, text, request_id = page.evaluate(WINDOW, asked | {"address": address})
    assert (status, text.endswith("data: [DONE]\n\n"), bool(request_id)) == (200, True, True)
    for path, why in (("/v1/embeddings", "Embeddings are not available"), ("/chat/completions", "/v1")):
        status, text, _ = page.evaluate(WINDOW, asked | {"address": f"{demo.site}{path}"})
        assert (status, why in json.loads(text)["error"]["message"]) == (404, True)
        assert "404" in faults.pop()


def test_what_other_services_know_changes_no_answer(http):
    plain = {"model": "poetry", "messages": QUESTION, "max_tokens": 12, "temperature": 0}
    habits = {
        "thinking": {"type": "disabled"},
        "chat_template_kwargs": {"enable_thinking": False},
        "context_management": {"edits": []},
        "usage": {"include": True},
        "cache_prompt": True,
        "reasoning": {"effort": "low"},
    }
    answers = [http.post("/v1/chat/completions", json=body).json() for body in (plain, plain | habits)]
    assert answers[0]["choices"] == answers[1]["choices"]
    messages = [http.post("/v1/messages", json=body).json() for body in (plain, plain | habits)]
    assert messages[0]["content"] == messages[1]["content"]
    assert messages[0]["content"][0]["text"] == answers[0]["choices"][0]["message"]["content"]


def test_what_the_engines_cache_does_is_told_in_every_form(http):
    asked = {"model": "poetry", "max_tokens": 2, "temperature": 0}
    told = [{"role": "user", "content": "The sea is wide and deep and green. " * 30}]
    usages = [http.post("/v1/messages", json=asked | {"messages": told}).json()["usage"] for _ in range(2)]
    read = [
        sum(usage[f"{kind}input_tokens"] for kind in ("", "cache_creation_", "cache_read_"))
        for usage in usages
    ]
    assert read[0] == read[1]
    assert usages[0]["cache_creation_input_tokens"] > 0
    assert usages[1]["cache_read_input_tokens"] >= usages[0]["cache_creation_input_tokens"]
    chat = http.post("/v1/chat/completions", json=asked | {"messages": told}).json()["usage"]
    assert chat["prompt_tokens_details"].keys() == {"cached_tokens", "cache_write_tokens"}
    assert chat["prompt_tokens_details"]["cached_tokens"] == usages[1]["cache_read_input_tokens"]
    said = {"model": "poetry", "max_output_tokens": 2, "input": told[0]["content"]}
    details = http.post("/v1/responses", json=said).json()["usage"]["input_tokens_details"]
    assert details == chat["prompt_tokens_details"]


def test_lm_evals_remote_tokenizer_agrees_with_the_engine(http):
    info = http.get("/tokenizer_info").raise_for_status().json()
    assert isinstance(info["eos_token"], str)
    assert "messages" in info["chat_template"]
    text = "Ünïcödé 😀 and the sea.\n\nIt is  wide."
    encoded = http.post("/tokenize", json={"prompt": text, "add_special_tokens": False})
    tokens = encoded.raise_for_status().json()["tokens"]
    decoded = http.post("/detokenize", json={"tokens": tokens}).raise_for_status().json()
    assert decoded == {"prompt": text}
    asked = {"model": "base", "prompt": tokens, "max_tokens": 1}
    assert http.post("/v1/completions", json=asked).json()["usage"]["prompt_tokens"] == len(tokens)
    chat = [{"role": "user", "content": text}]
    split = http.post("/v1/tokenize", json={"messages": chat}).json()
    answer = http.post("/v1/chat/completions", json={"model": "base", "messages": chat, "max_tokens": 1})
    counted = http.post("/v1/responses/input_tokens", json={"model": "base", "input": text}).json()
    prompt_tokens = answer.json()["usage"]["prompt_tokens"]
    assert split["count"] == len(split["tokens"]) == counted["input_tokens"] == prompt_tokens


def test_both_vendors_clients_list_the_styles_and_read_the_errors(demo, site):
    with (
        anthropic.Anthropic(base_url=site, api_key=demo.api_key, max_retries=0) as claude,
        openai.OpenAI(base_url=f"{site}/v1", api_key=demo.api_key, max_retries=0) as gpt,
    ):
        listed = [model.id for model in claude.models.list(limit=2)]  # from page to page
        assert listed == [model.id for model in gpt.models.list()]
        assert claude.models.retrieve("poetry").display_name == "poetry"
        assert gpt.responses.input_tokens.count(model="poetry", input="Rain?").input_tokens > 5
        with pytest.raises(anthropic.NotFoundError) as missing:
            claude.models.retrieve("nothing")
        assert missing.value.body["error"]["type"] == "not_found_error"
        with pytest.raises(openai.NotFoundError, match="embedding model"):
            gpt.embeddings.create(model="poetry", input="x")
    with anthropic.Anthropic(base_url=site, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            stranger.models.list()
        assert refused.value.response.headers["www-authenticate"] == "Bearer"


def test_a_client_whose_address_lacks_v1_is_told_in_json(demo, site):
    with openai.OpenAI(base_url=site, api_key=demo.api_key, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="/v1") as missing:
            client.chat.completions.create(model="poetry", messages=[{"role": "user", "content": "x"}])
        assert missing.value.code == "unknown_url"
