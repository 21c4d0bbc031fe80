"""What the data plane logs: one line for each thing that went wrong, with its request, and no prompt."""

import asyncio
import logging
import shlex
import time
from types import SimpleNamespace

import pytest

from core.http import new_request_id
from inference import telemetry
from inference.contract.usage import Usage
from inference.errors import EngineDied, EngineUnavailable, FailingRequest
from inference.proxy import request
from inference.proxy.admission_wait import admit_request
from inference.proxy.backends import MAX_FAILURES
from inference.quota.admission import InFlight
from inference.telemetry import BURST, LINES_PER_S, EventLogger
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat, eventually, parse_chat, read_answer, relay

pytestmark = pytest.mark.proxy_settings(**SHORT_WAITS)
SECRET = "Who did it?"


@pytest.fixture
def ask(gateway, account):
    async def ask(**more):
        request_id = new_request_id()
        messages = [{"role": "user", "content": SECRET}]
        await read_answer(
            await relay(gateway, account.caller, request_id=request_id, messages=messages, **more)
        )
        return request_id

    return ask


@pytest.fixture
def lines(caplog):
    """Return the lines of one event as dictionaries of their facts."""
    caplog.set_level(logging.WARNING)

    def lines(event):
        written = [record.getMessage() for record in caplog.records if record.name.startswith("inference.")]
        assert not any(SECRET in line for line in written)
        words = [line.split(" ", 1)[1] for line in written if line.startswith(f"{event} ")]
        return [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in words]

    return lines


@pytest.mark.parametrize("health", [200, 503])
async def test_a_failure_at_an_engine_is_a_line_with_its_request(engine, account, ask, lines, health):
    engine.refuses, engine.health = (500, f"no: {SECRET}"), health
    with pytest.raises(FailingRequest if health == 200 else EngineDied):
        await ask()
    [line] = lines("engine_failure")
    assert line["request"].startswith("req_")
    assert (line["tenant"], line["engine"]) == (str(account.tenant), "engine-1")
    assert (line["reason"], line["health"]) == ("RequestFailed", "up" if health == 200 else "down")
    assert line["state"] == "sent"


async def test_a_circuit_that_opens_and_closes_is_a_line_each_however_many_meet_it(
    gateway, account, ask, lines
):
    backend = gateway.backends.backend(account.route("poetry").placements[0])
    for number in range(1, 3 * MAX_FAILURES):
        backend.mark_failed("", EngineUnavailable(), request=f"req_{number}")
    for _ in range(3):
        backend.mark_answered("")
    [opened] = lines("circuit_opened")
    assert (opened["engine"], opened["request"]) == ("engine-1", f"req_{MAX_FAILURES}")
    assert [line["engine"] for line in lines("circuit_closed")] == ["engine-1"]


async def test_the_failure_that_closes_an_engine_is_named_with_its_request(engine, ask, lines):
    engine.refuses, engine.health = (500, "no"), 503
    with pytest.raises(EngineDied):
        await ask()
    [failure], [opened] = lines("engine_failure"), lines("circuit_opened")
    assert (opened["engine"], opened["request"]) == ("engine-1", failure["request"])


async def test_a_5xx_is_a_line_with_its_request_and_a_4xx_is_none(client, engine, lines):
    engine.refuses = (400, "no")
    assert (await client.ask(chat()))[0] == 400
    assert lines("answered_5xx") == []
    engine.refuses = (500, f"no: {SECRET}")
    assert (await client.ask(chat()))[0] == 400  # the request's own fault, as long as the engine is well
    assert lines("answered_5xx") == []
    engine.health = 503
    status, head, _ = await client.ask(chat(max_tokens=3))
    [line] = lines("answered_5xx")
    assert line == {"request": head["x-request-id"], "status": str(status), "code": "engine_stopped"}


async def test_a_settlement_without_a_hold_is_a_line(gateway, account, ask, lines, engine):
    await ask()
    assert lines("settlement_refused") == []
    grant, _ = await admit_request(gateway, account.caller, parse_chat(), new_request_id())
    for _ in range(2):
        await gateway.meter.settle(InFlight.begin(grant, Usage(prompt=3, completion=1)), "complete")
    [line] = lines("settlement_refused")
    assert (line["request"], line["tokens"]) == (grant.request_id, "4")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_long_wait_is_a_line_with_how_it_ended(engine, ask, lines, stream, monkeypatch):
    await ask(stream=stream)
    assert lines("slow_request") == []
    monkeypatch.setattr(telemetry, "SLOW_FROM_S", 0)
    engine.hangs = True
    asking = asyncio.create_task(ask(stream=stream))
    await eventually(lambda: len(engine.received) == 2)
    asking.cancel()
    await asyncio.wait({asking})
    [line] = lines("slow_request")
    assert (line["outcome"], line["engine"]) == ("client_disconnect", "engine-1")
    assert line["state"] == "sent"


async def test_a_long_whole_answer_is_no_long_wait(engine, ask, lines, monkeypatch):
    clock, passed_s = time.monotonic, 0.0
    monkeypatch.setattr(request, "time", SimpleNamespace(monotonic=lambda: clock() + passed_s))
    engine.pace_s = 0.02
    asking = asyncio.create_task(ask())
    await eventually(lambda: engine.written)
    passed_s = 60.0
    assert not asking.done()
    await asking
    assert lines("slow_request") == []


def test_an_outage_does_not_fill_the_disk_and_says_how_much_it_kept_back(caplog):
    now_s = 1000.0
    lines = EventLogger(logging.getLogger("inference.test"), "storm", clock=lambda: now_s)
    for number in range(BURST + 100):
        lines.write(request=number)
    assert len(caplog.records) == BURST
    now_s += 1
    for _ in range(2 * LINES_PER_S):
        lines.write(request="next")
    assert len(caplog.records) == BURST + LINES_PER_S
    assert caplog.records[BURST].getMessage() == "storm request=next suppressed=100"


def test_nobody_can_write_a_line_of_their_own(caplog):
    EventLogger(logging.getLogger("inference.test"), "storm").write(reason="x\nERROR forged=yes")
    assert caplog.records[0].getMessage() == r"storm reason='x\nERROR forged=yes'"
