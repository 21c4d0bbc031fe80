"""Who gets through to vLLM: engine/extensions/polyscribe_guard.py."""

import time

import pytest
from polyscribe_guard import Guard

KEY = {"authorization": "Bearer right"}
USED = [
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/inference/v1/abort_requests"),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
]
UNUSED = [
    ("POST", "/invocations"),
    ("POST", "/adapters"),
    ("POST", "/tokenize"),
    ("POST", "/reset_prefix_cache"),
    ("POST", "/inference/v1/generate"),
    ("POST", "/abort_requests"),
    ("POST", "/collective_rpc"),
    ("POST", "/pause"),
    ("GET", "/server_info"),
    ("GET", "/v1/chat/completions"),
    ("POST", "/health"),
    ("OPTIONS", "/v1/models"),
    ("POST", "/v1/completions/"),
    ("POST", "//v1/completions"),
]
WRONG_KEYS = [None, "", "right", "Bearer wrong", "Bearer ", "Basic right"]
WRITES = [("POST", "/v1/chat/completions"), ("POST", "/v1/completions")]


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "right")
    return guarded()


@pytest.fixture(autouse=True)
def no_keys_of_the_stack(monkeypatch):
    for name in ("ENGINE_API_KEY", "ENGINE_API_KEY_FILE", "ENGINE_API_KEY_FALLBACKS"):
        monkeypatch.delenv(name, raising=False)


def guarded(clock=time.monotonic):
    """Return the guard before a server that answers everything with 200."""

    async def server(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return Guard(server, clock)


async def status(guard, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await guard({"type": "http", "method": method, "path": path, "headers": raw}, None, send)
    return sent[0]["status"]


async def test_nothing_but_its_health_is_had_without_the_key(guard):
    for authorization in WRONG_KEYS:
        headers = {} if authorization is None else {"authorization": authorization}
        for address in [*USED, *UNUSED]:
            assert await status(guard, *address, headers) == 401, (address, authorization)
    assert await status(guard, "GET", "/health") == 200


async def test_with_the_key_only_the_addresses_that_the_platform_uses_answer(guard):
    assert {address: await status(guard, *address, KEY) for address in USED} == dict.fromkeys(USED, 200)
    assert {address: await status(guard, *address, KEY) for address in UNUSED} == dict.fromkeys(UNUSED, 404)


async def test_an_engine_without_a_key_serves_the_same_addresses(monkeypatch):
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert await status(guarded(), "GET", "/v1/models") == 200
    assert await status(guarded(), "POST", "/invocations") == 404


async def test_a_websocket_is_closed(guard):
    sent = []

    async def send(message):
        sent.append(message)

    await guard({"type": "websocket", "path": "/v1/realtime", "headers": []}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_key_is_replaced_while_the_engine_runs(monkeypatch, tmp_path):
    """The steps of docs/running.md: known first, then used, then the old one forgotten; nobody is refused."""
    key, fallbacks = tmp_path / "key", tmp_path / "fallbacks"
    key.write_text("old\n")
    fallbacks.write_text("")
    monkeypatch.setenv("VLLM_API_KEY", "old")
    monkeypatch.setenv("ENGINE_API_KEY_FILE", str(key))
    monkeypatch.setenv("ENGINE_API_KEY_FALLBACKS_FILE", str(fallbacks))
    now = [0.0]
    guard = guarded(lambda: now[0])

    async def asked(given: str) -> int:
        now[0] += 1.5
        return await status(guard, "GET", "/v1/models", {"authorization": f"Bearer {given}"})

    assert (await asked("old"), await asked("new")) == (200, 401)
    fallbacks.write_text("new,old")
    assert (await asked("old"), await asked("new")) == (200, 200)
    key.write_text("new")
    assert (await asked("old"), await asked("new")) == (200, 200)
    key.write_text("")  # as it is while somebody writes it
    assert (await asked("old"), await asked("new")) == (200, 200)
    key.write_text("new")
    fallbacks.write_text("")
    assert await asked("old") == 200  # a gateway may still be on its way out
    now[0] += 60
    assert (await asked("old"), await asked("new")) == (401, 200)


async def test_answers_of_an_engine_that_marks_name_the_keys_epoch(monkeypatch):
    async def headers(method: str, path: str) -> list[tuple[bytes, bytes]]:
        sent = []

        async def send(message):
            sent.append(message)

        await guarded()({"type": "http", "method": method, "path": path, "headers": []}, None, send)
        return sent[0]["headers"]

    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert [await headers(*address) for address in USED] == [[]] * len(USED)
    monkeypatch.setenv("POLYSCRIBE_WATERMARK", "3:00000000000000aa")
    for address in USED:
        assert await headers(*address) == ([(b"x-watermark-epoch", b"3")] if address in WRITES else []), (
            address
        )


async def test_the_file_with_the_watermarks_key_is_removed_once_vllm_has_read_it(monkeypatch, tmp_path):
    file = tmp_path / "options.yaml"
    file.touch()
    monkeypatch.setenv("POLYSCRIBE_OPTIONS_FILE", str(file))
    guarded()
    assert not file.exists()
    guarded()


async def test_vllm_gets_the_key_that_it_was_started_with(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "old")
    monkeypatch.setenv("ENGINE_API_KEY", "old")
    monkeypatch.setenv("ENGINE_API_KEY_FALLBACKS", "new")
    guard = guarded()
    seen = []

    async def server(scope, receive, send):
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guard.app = server
    assert await status(guard, "GET", "/v1/models", {"authorization": "Bearer new", "x-own": "1"}) == 200
    assert seen == [(b"x-own", b"1"), (b"authorization", b"Bearer old")]
