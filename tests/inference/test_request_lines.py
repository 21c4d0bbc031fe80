"""LOG_FORMAT=json: one line a request of the data plane, with its stages and without its words."""

import io
import json

import pytest

from core import log_lines
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat

pytestmark = pytest.mark.proxy_settings(**SHORT_WAITS)
PROMPT = "A prompt that nobody else may read"


@pytest.fixture
def lines():
    stream = io.BytesIO()
    log_lines.configure(log_lines.JSON, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log_lines.configure(log_lines.TEXT)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_one_line_with_what_an_operator_asks_about(client, account, engine, lines, stream):
    messages = [{"role": "user", "content": PROMPT}]
    _, headers, _ = await client.ask(chat(stream=stream, messages=messages, user=PROMPT))
    [line] = lines()
    [event] = account.events()
    route = account.route("poetry")
    assert line["request_id"] == headers["x-request-id"] == event["request_id"]
    assert (line["endpoint"], line["status"]) == ("/v1/chat/completions", 200)
    assert (line["workspace"], line["key"]) == (str(account.tenant), str(account.key))
    assert (line["style"], line["version"], line["engine"]) == (route.style, route.version_id, "engine-1")
    assert (line["outcome"], line["attempts"]) == ("complete", 1)
    assert line["completion_tokens"] == event["completion_tokens"]
    assert 0 <= line["admitted_ms"] <= line["sent_ms"] <= line["first_byte_ms"] <= line["total_ms"]
    written = str(line)
    for word in (PROMPT, client.secret, *engine.words):
        assert word.strip() not in written


async def test_a_client_that_hangs_up_and_one_that_is_refused_have_a_line(client, account, engine, lines):
    await client.ask(chat(stream=True), hang_up_after=1)
    await client.ask(chat(model="no-such-style"))
    await client.ask(chat(), secret="sk-ps-no-key")
    hung_up, refused, stranger = lines()
    assert hung_up["outcome"] == "client_disconnect"
    assert (refused["status"], refused["code"]) == (404, "model_not_found")
    assert "admitted_ms" not in refused
    assert (stranger["status"], stranger["code"]) == (401, "invalid_api_key")
    assert "workspace" not in stranger
    assert "sk-ps" not in str(lines())


async def test_text_writes_no_line(client, account, engine, capfd):
    log_lines.configure(log_lines.TEXT)
    await client.ask(chat())
    assert "request_id" not in capfd.readouterr().err
