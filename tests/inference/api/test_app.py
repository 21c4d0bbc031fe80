import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from inference.contract import base_model, tokenizer
from inference.contract.prompt_length import Size
from inference.errors import EngineBusy, LimitsUnavailable
from inference.proxy import runtime as gateway_module
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat, eventually
from tests.waiting import PATIENCE_S


def chunks(body):
    return [json.loads(line[6:]) for line in body.decode().split("\n\n") if line and line != "data: [DONE]"]


async def test_a_whole_answer_names_the_style_and_is_metered(client, engine, account):
    status, head, body = await client.ask(chat(priority=9, store=True, user="ada"))
    answer = json.loads(body)
    assert (status, answer["model"]) == (200, "poetry")
    assert b"v_secret" not in body
    assert head["x-polyscribe-style-version"] == "3"
    assert head["x-ratelimit-remaining-requests"] == "99"
    assert engine.received[0]["model"] == "v_secret"
    assert not {"store", "user"} & engine.received[0].keys()
    assert engine.received[0]["priority"] == 0  # the gateway's own
    pool = engine.received[0]["vllm_xargs"]
    assert (pool["weight"], str(account.tenant) in pool["pool"]) == (1, False)
    [event] = account.events()
    assert event["request_id"] == head["x-request-id"]
    assert (event["prompt_tokens"], event["cached_tokens"], event["completion_tokens"]) == (10, 4, 4)
    assert (event["outcome"], event["finish_reason"]) == ("complete", "stop")


@pytest.mark.parametrize("choices", [1, 2])
async def test_the_ledger_tells_an_answer_that_says_nothing(client, engine, account, choices):
    for words in ([""] * choices, [""] * (choices + 1)):
        engine.words = words
        await client.ask(chat(n=choices))
    assert [event["finish_reason"] for event in account.events()] == ["empty", "stop"]


async def test_a_long_prompt_is_counted_before_its_answer_is_cut_short_or_it_is_refused(
    client, engine, account, monkeypatch
):
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", lambda parsed: 600)
    for content in ("word " * 500, "short"):
        await client.ask(chat(messages=[{"role": "user", "content": content}]))
    assert [body["max_tokens"] for body in engine.received] == [50, 50]
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", lambda parsed: 100)
    account.limit(monthly_tokens=300)  # too little by the byte bound
    status, _, _ = await client.ask(chat(messages=[{"role": "user", "content": "word " * 100}]))
    assert status == 200


@pytest.fixture
def demanded(monkeypatch):
    """Versions that the gateway asked to have loaded."""
    versions = []
    monkeypatch.setattr(gateway_module, "request_version", versions.append)
    return versions


@pytest.mark.proxy_settings(**SHORT_WAITS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_style_that_is_not_loaded_in_time_is_told_in_headers(client, account, demanded, stream, path):
    account.load("poetry", "v1")
    status, head, _ = await client.ask(chat(stream=stream, max_tokens=5), path=path)
    assert status in (503, 529)  # Anthropic's own for it
    assert (head["x-adapter-state"], head["retry-after"]) == ("loading", "5")
    assert demanded == ["v1"]


@pytest.mark.proxy_settings(loading_max_per_tenant=0)
async def test_too_many_who_wait_for_a_style_are_told_in_headers(client, account, demanded):
    account.load("poetry", "v1")
    status, head, _ = await client.ask(chat())
    assert (status, head["x-adapter-state"], head["retry-after"]) == (503, "loading", "5")
    # That many wait is this key's doing.
    await eventually(lambda: account.store.keys("*:refusals:*"))


@pytest.mark.proxy_settings(adapter_wait_s=0)
async def test_a_refusal_by_the_byte_bound_is_counted_again_before_a_style_is_loaded(
    client, account, demanded, monkeypatch
):
    account.limit(monthly_tokens=300)
    account.load("poetry", "v1")
    parsed = chat(messages=[{"role": "user", "content": "word " * 100}])
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", lambda parsed: 100)
    assert (await client.ask(parsed))[0] == 503
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", lambda parsed: 290)
    assert (await client.ask(parsed))[0] == 429
    assert demanded == []


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_stream_ends_settled_and_carries_usage_only_if_asked(client, engine, account, include_usage):
    _, head, body = await client.ask(chat(stream=True, stream_options={"include_usage": include_usage}))
    assert head["content-type"].startswith("text/event-stream")
    assert body.endswith(b"data: [DONE]\n\n")
    assert b"v_secret" not in body
    read = chunks(body)
    text = "".join(c["choices"][0]["delta"]["content"] for c in read if c["choices"])
    assert text == "".join(engine.words)
    assert [bool(c.get("usage")) for c in read] == [False] * 4 + [True] * include_usage
    assert account.used() == 14
    assert account.held() == 0


COUNTED = {
    "prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
}  # fmt: skip


async def test_usage_has_openais_fields_alone(client, engine, account):
    _, _, whole = await client.ask(chat())
    assert json.loads(whole)["usage"] == COUNTED
    _, _, stream = await client.ask(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks(stream)[-1]["usage"] == COUNTED


async def test_what_guidellm_sends_by_default_has_a_running_usage_in_each_chunk(client, engine, account):
    options = {"include_usage": True, "continuous_usage_stats": True}
    _, _, stream = await client.ask(chat(stream=True, stream_options=options))
    usages = [chunk["usage"] for chunk in chunks(stream)]
    assert usages[-1] == COUNTED
    assert [usage["completion_tokens"] for usage in usages] == [1, 2, 3, 4, 4]
    assert {tuple(usage) for usage in usages} == {tuple(COUNTED)}
    assert account.used() == 14


@pytest.mark.parametrize("stream", [False, True])
async def test_other_forms_tell_what_a_cache_had_and_what_it_has_now(client, engine, stream):
    _, _, message = await client.ask(chat(max_tokens=20, stream=stream), path="/v1/messages")
    asked = {"model": "poetry", "input": "Rain?", "stream": stream}
    _, _, response = await client.ask(asked, path="/v1/responses")
    if stream:
        [told] = [line for line in message.split(b"\n\n") if line.startswith(b"event: message_delta")]
        message = told.partition(b"data: ")[2]
        response = response.rstrip().split(b"data: ")[-1]
    told = json.loads(response)
    details = told.get("response", told)["usage"]["input_tokens_details"]
    assert details == {"cached_tokens": 4, "cache_write_tokens": 3}
    usage = json.loads(message)["usage"]
    del usage["output_tokens"]
    assert usage == {
        "input_tokens": 3, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4,
    }  # fmt: skip


async def test_a_hang_up_stops_the_engine_and_is_billed_what_was_made(client, engine, account):
    engine.words, engine.pace_s = ["word "] * 200, 0.02
    await client.ask(chat(stream=True), hang_up_after=3)
    await asyncio.wait_for(engine.hung_up.wait(), PATIENCE_S)
    [event] = account.events()
    assert event["outcome"] == "client_disconnect"
    assert 2 <= event["completion_tokens"] <= engine.written
    assert account.used() == 10 + event["completion_tokens"]
    assert account.held() == 0


async def test_an_engine_that_breaks_off_is_told_in_the_stream(client, engine, account):
    engine.breaks_after = 2
    _, _, body = await client.ask(chat(stream=True))
    assert chunks(body)[-1]["error"]["code"] == "server_is_overloaded"
    assert b"[DONE]" not in body
    assert account.events()[0]["outcome"] == "upstream_error"


@pytest.mark.proxy_settings(**SHORT_WAITS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_token_bills_nothing_and_is_an_event(
    client, engine, account, stream
):
    engine.refuses = (503, "LoRA /srv/adapters/v_secret is broken")
    status, head, body = await client.ask(chat(stream=stream))
    assert status == 503
    assert head["retry-after"]
    assert b"srv" not in body
    [event] = account.events()
    assert (event["outcome"], event["engine"], event["cost_nanousd"]) == ("upstream_error", "engine-1", 0)
    assert (account.used(), account.held()) == (0, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "says",
    [
        "LoRA /srv/adapters/v_secret is broken",
        "xgrammar: invalid range in JSON schema /srv/x",
        "maximum recursion depth exceeded",
    ],
)
@pytest.mark.parametrize("in_an_event", [False, True])
async def test_a_requests_own_failure_is_told_not_to_be_sent_again(
    client, engine, account, *, says, stream, in_an_event
):
    engine.refuses = None if in_an_event and stream else (500, says)
    engine.error_event = {"error": {"message": says, "code": 500}} if in_an_event else None
    told, head, body = await client.ask(chat(stream=stream))
    error = json.loads(body)["error"]
    assert (told, error["type"], b"srv" in body) == (400, "invalid_request_error", False)
    assert head.get("x-should-retry") is None
    assert "retry-after" not in head
    assert (account.events(), account.used(), account.held()) == ([], 0, 0)
    assert account.bucket()["open"] == "0"
    assert int(float(account.bucket()["requests"])) == 99  # of 100 a minute


@pytest.mark.parametrize(
    ("path", "field"), [("/v1/chat/completions", "messages"), ("/v1/responses", "input")]
)
async def test_what_the_engine_refuses_is_no_failure_and_names_the_clients_field(
    client, engine, account, path, field
):
    engine.refuses = (400, "This model's maximum context length is 2048 tokens for v_secret.")
    body = chat() if field == "messages" else {"model": "poetry", "input": "Rain?"}
    status, _, body = await client.ask(body, path=path)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", field)
    assert (account.events(), account.held()) == ([], 0)


@pytest.mark.parametrize(
    ("change", "path", "status", "code"),
    [
        ({"model": "charlie/private"}, "/v1/chat/completions", 404, "model_not_found"),
        ({"model": 3}, "/v1/chat/completions", 400, None),
        ({"messages": []}, "/v1/chat/completions", 400, None),
        ({"n": 129}, "/v1/chat/completions", 400, None),
        ({}, "/v1/embeddings", 404, "unknown_url"),
        ({}, "/v1/files", 404, "unknown_url"),
    ],
)
async def test_bad_requests_get_openais_errors(client, change, path, status, code):
    got, head, body = await client.ask(chat() | change, path=path)
    error = json.loads(body)["error"]
    assert (got, error["code"]) == (status, code)
    assert error.keys() == {"message", "type", "param", "code"}
    assert head["x-request-id"]


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("text/plain;charset=UTF-8", 415),
        ("multipart/form-data; boundary=a", 415),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.acme+json", 200),
        ("", 200),
    ],
)
async def test_a_body_that_says_it_is_not_json_is_not_read(client, engine, media_type, status):
    got, _, body = await client.ask(chat(), headers={"content-type": media_type})
    assert got == status
    if status == 415:
        assert json.loads(body)["error"]["code"] == "unsupported_media_type"
        assert engine.received == []


async def test_a_key_with_a_wrong_checksum_needs_no_look_up(client, account, monkeypatch):
    monkeypatch.setattr(client.gateway.workspaces, "_find_owner", None)
    status, _, body = await client.ask(chat(), secret="sk-ps-" + "a" * 30 + "000000")
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")


async def test_models_lists_what_the_key_may_use(client, account):
    account.offer("legal")
    account.load("fresh", "v1")
    account.load("cold", "v2")
    account.load("cold@3", "v2")  # it serves, though on no engine now
    account.split("legal", 10)
    _, _, body = await client.ask({}, path="/v1/models", method="GET")
    assert [m["id"] for m in json.loads(body)["data"]] == ["base", "cold", "legal", "poetry"]
    assert b"v_secret" not in body


async def test_an_answer_never_goes_out_unmetered(client, engine, account, monkeypatch):
    real, calls = client.gateway.meter.settle, []

    async def flaky(*args):
        calls.append(args)
        if len(calls) < 3:
            raise LimitsUnavailable
        await real(*args)

    monkeypatch.setattr(client.gateway.meter, "settle", flaky)
    status, _, _ = await client.ask(chat())
    assert status == 200
    assert len(account.events()) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_idempotency_key_is_served_and_billed_once(client, engine, account, stream):
    first = await client.ask(chat(stream=stream), headers={"idempotency-key": "k1"})
    again = await client.ask(chat(stream=stream), headers={"idempotency-key": "k1"})
    assert first[2] == again[2]
    assert again[1]["idempotent-replayed"] == "true"
    assert again[1]["x-polyscribe-first-request"] == first[1]["x-request-id"]
    assert len(account.events()) == len(engine.received) == 1


async def test_an_idempotency_key_is_for_one_request(client, engine):
    await client.ask(chat(), headers={"idempotency-key": "k1"})
    status, head, body = await client.ask(chat(seed=1), headers={"idempotency-key": "k1"})
    assert (status, head["x-should-retry"]) == (409, "false")
    assert json.loads(body)["error"]["code"] == "idempotency_key_reused"


@pytest.mark.proxy_settings(**SHORT_WAITS)
async def test_an_idempotency_key_in_use_tells_to_wait_and_a_failure_frees_it(client, engine):
    engine.pauses_after = 1
    running = asyncio.create_task(client.ask(chat(), headers={"idempotency-key": "k1"}))
    await eventually(lambda: engine.received)
    status, head, _ = await client.ask(chat(), headers={"idempotency-key": "k1"})
    assert (status, head["retry-after"]) == (409, "2")
    engine.pauses_after = None
    assert (await running)[0] == 200

    engine.refuses = (500, "no")
    assert (await client.ask(chat(), headers={"idempotency-key": "k2"}))[0] == 400
    engine.refuses = None
    status, head, _ = await client.ask(chat(), headers={"idempotency-key": "k2"})
    assert (status, head.get("idempotent-replayed")) == (200, None)


async def test_messages_and_responses_are_chats_in_another_form(client, engine, account):
    body = chat(max_tokens=20)
    _, head, message = await client.ask(body, path="/v1/messages", headers={"idempotency-key": "k"})
    assert json.loads(message)["content"][0]["text"] == "".join(engine.words)
    assert head["request-id"] == head["x-request-id"]
    _, _, again = await client.ask(body, path="/v1/messages", headers={"idempotency-key": "k"})
    assert again == message
    _, _, stream = await client.ask(
        {"model": "poetry", "input": "Rain?", "stream": True}, path="/v1/responses"
    )
    assert stream.rstrip().split(b"event: ")[-1].startswith(b"response.completed")
    assert len(account.events()) == 2


@pytest.fixture
def counts(monkeypatch):
    """Prompts that were counted with the tokenizer."""
    counted = []
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", lambda parsed: counted.append(parsed) or 100)
    return counted


async def test_a_prompt_that_can_never_fit_is_refused_without_counting_it(client, engine, account, counts):
    client.gateway.longest_token = Size(81, 25)
    for path, body in (
        ("/v1/chat/completions", chat(messages=[{"role": "user", "content": "word " * 100_000}])),
        ("/v1/completions", {"model": "poetry", "prompt": ["short", "word " * 100_000]}),
        ("/v1/completions", {"model": "poetry", "prompt": " " * 500_000}),
        ("/v1/messages/count_tokens", chat(messages=[{"role": "user", "content": "word " * 100_000}])),
    ):
        status, _, answer = await client.ask(body, path=path)
        assert (status, b"2048 tokens" in answer) == (400, True)
    assert (counts, engine.received, account.held()) == ([], [], 0)


@pytest.mark.parametrize(
    "limits", [{"parallel_requests": 0}, {"requests_per_minute": 0.5}, {"monthly_tokens": 40}]
)
async def test_what_a_count_could_not_change_is_refused_without_one(client, account, counts, limits):
    account.limit(**limits)
    status, _, _ = await client.ask(
        chat(max_tokens=50, messages=[{"role": "user", "content": "word " * 3_000}])
    )
    assert (status, counts) == (429, [])


async def test_one_workspace_counts_one_prompt_at_a_time(gateway, account, monkeypatch):
    loop, both = asyncio.get_running_loop(), asyncio.Event()
    release, lock = threading.Event(), threading.Lock()
    now = most = 0

    def count(parsed):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if now == 2:
            loop.call_soon_threadsafe(both.set)
        release.wait(PATIENCE_S)
        with lock:
            now -= 1
        return 1

    monkeypatch.setattr(tokenizer, "count_prompt_tokens", count)
    monkeypatch.setattr(tokenizer, "WAITING_MAX_PER_TENANT", 16)
    monkeypatch.setattr(gateway.tokens, "_threads", ThreadPoolExecutor(4))
    many = [asyncio.create_task(gateway.tokens.count(account.tenant, None)) for _ in range(20)]
    done, _ = await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
    assert {type(task.exception()) for task in done} == {EngineBusy}  # more than 16 are not waited for
    neighbour = asyncio.create_task(gateway.tokens.count(uuid4(), None))
    await asyncio.wait_for(both.wait(), PATIENCE_S)
    release.set()
    assert await neighbour == 1
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert (most, answers.count(1)) == (2, 16)


async def test_a_gateway_that_is_told_to_drain_says_so_and_serves_who_still_comes(
    client, engine, settings, tmp_path
):
    settings.DRAINING_PATH = str(tmp_path / "draining")
    for expected in (200, 503):
        for path in ("/healthz", "/readyz", "/health"):
            status, _, _ = await client.ask({}, path=path, method="GET")
            assert (path, status) == (path, expected)
        (tmp_path / "draining").touch()
    status, _, _ = await client.ask(chat())
    assert status == 200


@pytest.mark.proxy_settings(comment_every_s=0.01, silence_check_every_s=0.01, queue_wait_s=0.2)
async def test_a_stream_that_waited_in_vain_ends_with_its_error(client, engine, account):
    [at] = account.places("poetry")
    account.offer("poetry", places=[at | {"max_num_seqs": 1}])
    engine.hangs = True
    first = asyncio.create_task(client.ask(chat(stream=True)))
    await eventually(lambda: engine.received)
    status, _, body = await client.ask(chat(stream=True))
    first.cancel()
    assert status == 200
    assert body.startswith(b": waiting")
    [error] = [json.loads(line[6:])["error"] for line in body.decode().split("\n") if line.startswith("data")]
    assert error["code"] == "server_is_overloaded"


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WITH_TOOLS = {
    "/v1/chat/completions": chat(
        tools=[{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
    ),
    "/v1/messages": chat(max_tokens=5, tools=[{"name": "weather", "input_schema": PARAMETERS}]),
    "/v1/responses": {
        "model": "poetry", "input": "Rain?",
        "tools": [{"type": "function", "name": "weather", "parameters": PARAMETERS}],
    },
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", WITH_TOOLS)
async def test_a_choice_that_calls_nothing_is_said_in_a_header(client, engine, monkeypatch, path, stream):
    monkeypatch.setattr(base_model, "has_tools", lambda: False)
    status, head, _ = await client.ask(WITH_TOOLS[path] | {"stream": stream}, path=path)
    assert (status, head["x-polyscribe-tool-choice"]) == (200, "none")
    assert "tools" not in engine.received[0]
    monkeypatch.setattr(base_model, "has_tools", lambda: True)
    _, head, _ = await client.ask(WITH_TOOLS[path] | {"stream": stream}, path=path)
    assert "x-polyscribe-tool-choice" not in head
    assert engine.received[1]["tool_choice"] == "auto"


async def test_an_answer_that_is_given_again_says_it_again(client, engine, monkeypatch):
    monkeypatch.setattr(base_model, "has_tools", lambda: False)
    for _ in range(2):
        _, head, _ = await client.ask(
            WITH_TOOLS["/v1/chat/completions"], headers={"idempotency-key": "agent"}
        )
        assert head["x-polyscribe-tool-choice"] == "none"
    assert head["idempotent-replayed"] == "true"
