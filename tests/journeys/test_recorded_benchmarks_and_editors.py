"""What benchmarks, evaluations and editors send, as recorded, against the whole stack."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import anthropic
import httpx2
import pytest

from tests.journeys.builders import billed
from tests.recorded_editors import FIRST, OBSIDIANS, Recorded

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
    with httpx2.Client(base_url=demo.site, headers=headers, timeout=600) as client:
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


def test_each_editor_and_chat_program_writes_in_a_style(demo, http):
    """As recorded, but for a stop that makes its answer short: several set no maximum, or a high one."""
    with ThreadPoolExecutor(len(FIRST)) as pool:
        faults = [fault for found in pool.map(partial(faults_of, demo, http), FIRST) for fault in found]
    assert faults == []


def faults_of(demo, http, recorded: Recorded) -> list[str]:
    """Return what is wrong with the answer that a program gets, each with the program's name."""
    chunks, request_id = read_stream(
        http, "/v1/chat/completions", recorded.body | {"stop": [*SOON]}, headers=recorded.headers
    )
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    read_tokens, written_tokens = billed(demo, request_id)
    usage = chunks[-1].get("usage") or {}
    told = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    expected = (read_tokens, written_tokens) if "stream_options" in recorded.body else (None, None)
    checks = {
        "does not stop": finishes[-1] == "stop",
        "has an error": not any("error" in chunk for chunk in chunks),
        "is billed no prompt": read_tokens > 0,
        f"is told {told} and billed {expected}": told == expected,
    }
    return [f"{recorded.program} {fault}" for fault, holds in checks.items() if not holds]


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


def test_what_the_engines_cache_does_is_told_in_every_form(http):
    asked = {"model": "poetry", "max_tokens": 2, "temperature": 0}
    told = [{"role": "user", "content": f"{uuid4()} " + "The sea is wide and deep and green. " * 30}]
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


def test_both_vendors_clients_list_the_styles(demo):
    listed = [model.id for model in demo.claude.models.list(limit=2)]  # from page to page
    assert {"base", "poetry"} <= set(listed)
    assert demo.claude.models.retrieve("poetry").display_name == "poetry"
    assert demo.client.responses.input_tokens.count(model="poetry", input="Rain?").input_tokens > 5
    with pytest.raises(anthropic.NotFoundError) as missing:
        demo.claude.models.retrieve("nothing")
    assert missing.value.body["error"]["type"] == "not_found_error"
