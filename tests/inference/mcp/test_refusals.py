"""What is refused before the SDK sees it, and what a tool says when the API refuses."""

import asyncio
import json
from uuid import uuid4

import httpx2
import pytest

from core import months
from core import valkey as names
from inference.proxy.bodies import BODY_MAX_BYTES
from tenants.models.keys import digest_by_peppers, new_secret
from tests.inference.builders import Account
from tests.inference.fakes import chat, eventually
from tests.inference.mcp.conftest import connect

ACCEPT = {"Accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


@pytest.fixture
async def http(address, engine):
    async with httpx2.AsyncClient(base_url=address, headers=ACCEPT, timeout=60) as http:
        yield http


@pytest.fixture
def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def second_account(account) -> tuple[Account, str]:
    """Another workspace and the secret of its key."""
    other = Account(account.store, uuid4(), uuid4(), months.current())
    other.open()
    secret = new_secret()
    account.store.set(names.owner_key(digest_by_peppers(secret)[0]), f"{other.tenant}:{other.key}")
    return other, secret


async def write(address, secret, *, mode="auto", hear=None, **arguments):
    """Call the tool `write` in a session of its own."""
    arguments = {"style": "poetry", "prompt": "x"} | arguments
    async with connect(address, secret, mode) as session:
        return await session.call_tool("write", arguments, progress_callback=hear)


def envelope(version: str) -> dict[str, object]:
    """What each message of the newest revision says of its client."""
    prefix = "io.modelcontextprotocol"
    return {f"{prefix}/protocolVersion": version, f"{prefix}/clientCapabilities": {}}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer ps-wrong"}, {"Authorization": "Basic eDp5"}]
)
async def test_without_a_valid_key_nothing_is_said(http, headers):
    answer = await http.post("/mcp", json=INITIALIZE, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_a_key_that_was_revoked_or_may_not_write_is_refused(http, bearer, account):
    key = names.key_key(account.tenant, account.key)
    for state, status in (("unscoped", 403), ("revoked", 401)):
        account.store.hset(key, "state", state)
        assert (await http.post("/mcp", json=LIST, headers=bearer)).status_code == status


async def test_strangers_are_counted_as_at_v1(http, account, settings):
    settings.API_REFUSALS_PER_ADDRESS = 3
    statuses = [(await http.post("/mcp", json=LIST)).status_code for _ in range(10)]
    assert statuses == sorted(statuses)
    assert set(statuses) == {401, 429}


async def test_a_page_of_another_site_is_refused_unless_its_origin_is_allowed(http, bearer, settings):
    page = {**bearer, "Origin": "https://app.example"}
    assert (await http.post("/mcp", json=LIST, headers=page)).json()["error"]["code"] == "origin_not_allowed"
    settings.API_ALLOWED_ORIGINS = ["https://app.example"]
    answer = await http.post("/mcp", json=LIST, headers=page)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, page["Origin"])
    asked = {"Access-Control-Request-Headers": "authorization,mcp-protocol-version,mcp-method"}
    preflight = await http.options("/mcp", headers={"Origin": page["Origin"], **asked})
    assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]


async def test_there_is_no_stream_without_a_request(http, bearer):
    for method in ("GET", "DELETE"):
        answer = await http.request(method, "/mcp", headers=bearer)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_body_is_bounded_as_at_v1(http, bearer, gateway):
    answer = await http.post("/mcp", content=b" " * (BODY_MAX_BYTES + 1), headers=bearer)
    assert answer.status_code == 413
    assert (await http.post("/mcp", json=LIST, headers=bearer)).status_code == 200
    await eventually(lambda: not gateway.bodies._taken.total())


async def test_another_revision_of_the_protocol_is_told_which_are_known(http, bearer):
    headers = {**bearer, "MCP-Protocol-Version": "2031-01-01", "Mcp-Method": "tools/list"}
    answer = await http.post(
        "/mcp", json=LIST | {"params": {"_meta": envelope("2031-01-01")}}, headers=headers
    )
    assert answer.status_code == 400
    assert "2026-07-28" in answer.text


WRONG_ARGUMENTS = [
    ({"style": "poetry"}, "write needs the argument `prompt`."),
    ({"style": "poetry", "prompt": " "}, "`prompt` must not be empty."),
    ({"style": 5, "prompt": "x"}, "`style` must be a string."),
    ({"style": "poetry", "prompt": "x", "tone": "sad"}, "write has no argument “tone”."),
    ({"style": "poetry", "prompt": "x", "max_tokens": 0}, "max_tokens"),
]


async def test_a_wrong_argument_is_named(address, secret, engine, account):
    async with connect(address, secret) as session:
        for arguments, says in WRONG_ARGUMENTS:
            result = await session.call_tool("write", arguments)
            assert (result.is_error, says in result.content[0].text) == (True, True), says
    assert not account.events()


async def test_a_style_of_others_is_as_unknown_as_at_v1(*, address, secret, engine, account, http, bearer):
    other, _secret = second_account(account)
    other.offer("theirs", "http://127.0.0.1:1")
    result = await write(address, secret, style="theirs")
    async with connect(address, secret) as session:
        styles = (await session.call_tool("list_styles")).structured_content["styles"]
    refusal = (await http.post("/v1/chat/completions", json=chat(model="theirs"), headers=bearer)).json()
    assert result.is_error
    assert result.content[0].text.startswith(refusal["error"]["message"])
    assert "theirs" not in {style["name"] for style in styles}


async def test_a_spent_quota_is_the_tools_error(address, secret, engine, account):
    account.limit(monthly_tokens=1)
    result = await write(address, secret)
    assert result.is_error
    assert "(insufficient_quota, req_" in result.content[0].text
    assert not account.events()


async def test_two_workspaces_at_once_pay_each_for_itself(address, secret, engine, account):
    other, other_secret = second_account(account)
    other.publish({"poetry": account.written("poetry")})
    engine.pace_s = 0.01
    results = await asyncio.gather(*[write(address, key) for key in (secret, other_secret) * 3])
    assert not any(result.is_error for result in results)
    assert len(account.events()) == len(other.events()) == 3
    requests = {event["request_id"] for event in account.events()}
    assert requests == {result.structured_content["request_id"] for result in results[::2]}


async def test_what_was_written_before_the_engine_broke_is_shown(address, secret, engine, account):
    engine.breaks_after = 2
    result = await write(address, secret)
    assert result.is_error
    assert result.content[0].text.endswith("Written until then, and billed:\n\nRoses are ")
    [event] = account.events()
    assert event["completion_tokens"] == 2


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_long_text_reports_its_progress(*, address, secret, engine, account, mode, monkeypatch):
    monkeypatch.setattr("inference.mcp.api.REPORT_EVERY_S", 0.02)
    engine.words, engine.pace_s = ["word "] * 40, 0.01
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, message))

    result = await write(address, secret, mode=mode, hear=hear)
    assert len(result.structured_content["text"]) == 200
    assert len(heard) > 3
    assert heard == sorted(heard)
    assert heard[-1][1] == f"{int(heard[-1][0])} tokens written"


@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
async def test_a_client_that_hangs_up_ends_the_text_and_pays_what_was_made(
    http, bearer, engine, account, version
):
    engine.words, engine.pace_s = ["word "] * 1000, 0.01
    account.limit(max_output_tokens=1000, monthly_tokens=10**9, tokens_per_minute=10**9)
    arguments = {"style": "poetry", "prompt": "x"}
    params = {"name": "write", "arguments": arguments, "_meta": envelope(version)}
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    headers = {**bearer, "MCP-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "write"}
    calling = asyncio.create_task(http.post("/mcp", json=call, headers=headers))
    await eventually(lambda: engine.written > 5)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await eventually(account.events)
    [event] = account.events()
    assert 5 < event["completion_tokens"] < 500
    assert event["outcome"] != "complete"
    await eventually(lambda: not account.held())


async def test_a_malformed_message_is_answered_as_json_rpc_has_it(http, bearer):
    answer = await http.post("/mcp", content=b"{", headers={**bearer, "Content-Type": "application/json"})
    assert answer.status_code == 400
    assert json.loads(answer.content)["error"]["code"] == -32700


async def test_a_fault_of_ours_tells_nothing_of_itself(address, secret, engine, monkeypatch):
    def fail(_):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("inference.mcp.tools.read_stream", fail)
    for mode in ("auto", "legacy"):
        result = await write(address, secret, mode=mode)
        assert (result.is_error, result.content[0].text) == (True, "Something went wrong on our side.")
