"""A gateway, Valkey and two engines, in any order of failures, hang-ups, flushes, promotions and hours.

Whatever happens, nothing stays held, and what was answered is an event once.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core import months
from core import valkey as names
from core.http import new_request_id
from inference.errors import DomainError
from inference.proxy import failover
from inference.proxy import runtime as gateway_module
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from inference.quota.settlement import sweep_expired_holds
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import SHORT_WAITS, Account, open_tables, read_before_each_request
from tests.inference.fakes import eventually, relay
from tests.profiles import examples
from tests.waiting import PATIENCE_S

PATIENT = replace(
    ProxySettings(),
    **SHORT_WAITS | {"engine_wait_s": 1800, "comment_every_s": 0.02, "silence_check_every_s": 0.01},
)
TOKENS = 4  # the fake engine's words
HOUR_S = 3600

steps = st.lists(
    st.sampled_from(
        [
            "ask",
            "ask for a stream",
            "a client hangs up",
            "the first engine fails",
            "the second engine fails",
            "engines recover",
            "valkey is emptied",
            "another version is promoted",
            "an hour passes",
            "heartbeat",
            "a moment passes",
        ]
    ),
    min_size=3,
    max_size=14,
)


class World:
    """What the steps act on, and what came of the requests."""

    def __init__(self, store, gateway, engines, urls):
        self.gateway = gateway
        self.engines = engines
        self.urls = urls
        self.account = Account(store, uuid4(), uuid4(), months.current())
        self.version = 3
        self.offset_s = 0.0
        self.asking: list[asyncio.Task] = []
        self.answered: list[str] = []
        self.lost: list[dict] = []  # events that went with an emptied Valkey
        self.was_emptied = False
        self.publish()

    def publish(self):
        self.account.open()
        self.account.offer("poetry", *self.urls, version=self.version)
        open_tables()

    async def take(self, step):
        match step:
            case "ask" | "ask for a stream":
                self.asking.append(asyncio.create_task(self._ask(stream=step != "ask")))
            case "a client hangs up":
                for task in self.asking[-1:]:
                    task.cancel()
            case "the first engine fails" | "the second engine fails":
                self.engines["second" in step].aborts = True
            case "engines recover":
                self.recover()
            case "valkey is emptied":
                self.lost += self.empty_valkey()
                self.was_emptied = True
                self.publish()
            case "another version is promoted":
                self.version = 7 - self.version
                self.account.offer("poetry", *self.urls, version=self.version)
            case "an hour passes":
                self.offset_s += HOUR_S
            case "heartbeat":
                await asyncio.gather(*map(self.gateway.heartbeat, list(self.gateway.in_flight)))
            case "a moment passes":
                await asyncio.sleep(0.03)
        await asyncio.sleep(0.002)

    def empty_valkey(self) -> list[dict]:
        """Return the events that are gone with all else, also those whose answers nobody has read yet."""
        with self.account.store.pipeline() as at_once:
            entries, _ = at_once.xrange(names.usage_key()).flushdb().execute()
        return self.account.own_events(entries)

    def recover(self):
        for engine in self.engines:
            engine.aborts = False

    async def end(self):
        self.recover()
        self.offset_s += HOUR_S  # who still waits gives up, or goes on
        await asyncio.wait_for(asyncio.gather(*self.asking, return_exceptions=True), PATIENCE_S)
        await eventually(lambda: not self.gateway.in_flight)

    async def _ask(self, *, stream):
        # Each asks something else: a request that breaks engines is refused for minutes.
        messages = [{"role": "user", "content": uuid4().hex}]
        request_id = new_request_id()
        try:
            answer = await relay(
                self.gateway, self.account.caller, request_id=request_id, messages=messages, stream=stream
            )
            if answer.stream:
                await self._read(answer.stream, request_id)
            else:
                self._note_answered(request_id, answer.body)
        except DomainError:
            return

    async def _read(self, stream, request_id):
        parts = []
        try:
            async for part in stream:
                parts.append(part)
                if b"[DONE]" in part:
                    self._note_answered(request_id, b"".join(parts))
        finally:
            await asyncio.shield(stream.aclose())

    def _note_answered(self, request_id, text):
        if b"usage: " in text and b'"error"' not in text:
            self.answered.append(request_id)


def check(world):
    account = world.account
    store = account.store
    for lease in store.zrange(names.leases_key(), 0, -1):  # of clients that left while Valkey was asked
        store.zadd(names.leases_key(), {lease: 1})
    sweep_expired_holds(store)
    assert account.held() == 0
    assert [hold for hold in account.holds() if "swept" not in hold] == []
    assert int(account.bucket().get("open", 0)) == 0
    assert world.gateway.unanswered == {}
    assert all(backend.queue.load == 0 for backend in world.gateway.backends._backends.values())
    events = account.events()
    by_id = {event["request_id"]: event for event in events}
    if (
        not world.was_emptied
    ):  # else a client that hangs up while one is added makes two; the ledger keeps one
        assert len(by_id) == len(events)
    ever = {event["request_id"]: event for event in world.lost} | by_id
    for request_id in world.answered:
        assert ever[request_id]["completion_tokens"] == TOKENS
    used = sum(event["prompt_tokens"] + event["completion_tokens"] for event in by_id.values())
    if world.was_emptied:  # what was settled without its hold waits for the ledger
        assert account.used() <= used
    else:
        assert account.used() == used


async def play(store, plan, patched):
    store.flushdb()
    engines = [FakeVllm(), FakeVllm()]
    for engine in engines:
        engine.pace_s = 0.02
    open_tables()
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(engine.serve()) for engine in engines]
        gateway = await stack.enter_async_context(Gateway(PATIENT))
        read_before_each_request(gateway)
        world = World(store, gateway, engines, urls)
        patched.monotonic = lambda: time.monotonic() + world.offset_s
        for step in plan:
            await world.take(step)
        await world.end()
        check(world)


@example(["ask for a stream", "a moment passes", "valkey is emptied", "heartbeat", "a moment passes"])
@example(["ask", "ask for a stream", "a moment passes", "valkey is emptied", "another version is promoted"])
@example(["the first engine fails", "the second engine fails", "ask", "a moment passes", "an hour passes"])
@example(["ask for a stream", "another version is promoted", "the first engine fails", "a client hangs up"])
@given(steps)
@settings(max_examples=examples(40))
def test_nothing_stays_held_and_every_answer_is_an_event_once(valkey, monkeypatch, plan):
    patched = SimpleNamespace(monotonic=time.monotonic)
    with monkeypatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(failover, "time", patched)
        patch.setattr(gateway_module, "request_version", lambda version_id: None)
        runner.run(play(valkey, plan, patched))
