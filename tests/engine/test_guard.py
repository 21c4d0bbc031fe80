"""Who gets through to vLLM: engine/extensions/polyscribe_guard.py."""

import importlib.util
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).resolve().parents[2] / "engine" / "extensions"
KEY = {"authorization": "Bearer right"}
USED = [
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
]
UNUSED = [
    ("POST", "/invocations"),
    ("POST", "/adapters"),
    ("POST", "/tokenize"),
    ("POST", "/reset_prefix_cache"),
    ("POST", "/collective_rpc"),
    ("POST", "/pause"),
    ("GET", "/server_info"),
    ("GET", "/v1/chat/completions"),
    ("POST", "/health"),
    ("OPTIONS", "/v1/models"),
    ("POST", "/v1/completions/"),
    ("POST", "//v1/completions"),
]


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "right")
    return guarded()


def guarded():
    """Return the guard before a server that answers everything with 200."""
    spec = importlib.util.spec_from_file_location("polyscribe_guard", EXTENSIONS / "polyscribe_guard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def server(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return module.Guard(server)


async def status(guard, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await guard({"type": "http", "method": method, "path": path, "headers": raw}, None, send)
    return sent[0]["status"]


@pytest.mark.parametrize(("method", "path"), [*USED, *UNUSED])
@pytest.mark.parametrize("authorization", [None, "", "right", "Bearer wrong", "Bearer ", "Basic right"])
async def test_nothing_but_its_health_is_had_without_the_key(guard, method, path, authorization):
    headers = {} if authorization is None else {"authorization": authorization}

    assert await status(guard, method, path, headers) == 401


async def test_whether_it_is_well_anybody_may_ask(guard):
    assert await status(guard, "GET", "/health") == 200


@pytest.mark.parametrize(("method", "path"), USED)
async def test_with_the_key_the_addresses_that_the_platform_uses_answer(guard, method, path):
    assert await status(guard, method, path, KEY) == 200


@pytest.mark.parametrize(("method", "path"), UNUSED)
async def test_with_the_key_there_are_no_other_addresses(guard, method, path):
    assert await status(guard, method, path, KEY) == 404


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
