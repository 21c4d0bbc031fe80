"""What a gateway counts: by words of ours and engines alone, once each, in the totals of all processes."""

import pytest

from core import valkey as names
from inference import metrics
from inference.errors import LimitsUnavailable
from inference.metrics import prune_totals, read_total
from inference.proxy.metrics_flush import MetricsFlush
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat, read_answer, relay

pytestmark = pytest.mark.proxy_settings(**SHORT_WAITS)
PROMPT = "A prompt that nobody else may read"


@pytest.fixture(autouse=True)
def nothing_counted():
    metrics.take_pending()
    yield
    metrics.take_pending()


@pytest.fixture
def totals(valkey):
    def totals(name: str) -> dict[tuple[str, ...], int]:
        found = {}
        for field, count in valkey.hgetall(names.metrics_key()).items():
            metric, words = read_total(field)
            if metric.endswith(name):
                found[words] = int(count)
        return found

    return totals


@pytest.fixture
def ask(gateway, account):
    async def ask(*, stream: bool = False):
        await read_answer(await relay(gateway, account.caller, stream=stream))

    return ask


async def flush(gateway):
    await gateway.metrics.flush(in_flight=0, loading=0)


async def test_every_request_is_counted_with_its_tokens_and_stages(gateway, account, engine, ask, totals):
    for stream in (False, True):
        await ask(stream=stream)
    await flush(gateway)
    assert totals("outcomes") == {("complete",): 2}
    [event, other] = account.events()
    prompt_tokens = event["prompt_tokens"] + other["prompt_tokens"]
    completion_tokens = event["completion_tokens"] + other["completion_tokens"]
    assert totals("_tokens") == {
        ("prompt",): prompt_tokens,
        ("completion",): completion_tokens,
        ("cached",): event["cached_tokens"] + other["cached_tokens"],
    }
    stages = totals("stage_duration_seconds")
    counts = {stage: sum(n for (name, kind), n in stages.items() if name == stage and kind != metrics.SUM)
              for stage in ("admission", "queue", "engine")}  # fmt: skip
    # A whole answer's first byte comes with its last one: it would tell how long the text was.
    assert counts == {"admission": 2, "queue": 2, "engine": 1}
    first_bytes = totals("time_to_first_byte_seconds")
    assert sum(n for (_, kind), n in first_bytes.items() if kind != metrics.SUM) == 1


async def test_nothing_that_a_workspace_or_a_client_chose_is_in_a_label(
    client, gateway, account, engine, valkey
):
    await client.ask(chat(messages=[{"role": "user", "content": PROMPT}], user=PROMPT))
    await client.ask(chat(model="no-such-style"))
    await client.ask({}, path=f"/v1/{PROMPT}")
    await client.ask({}, path="/v1/models/poetry", method="GET")
    await flush(gateway)
    written = str(valkey.hgetall(names.metrics_key()))
    state = valkey.get(names.metrics_process_key(gateway.metrics.process))
    for word in ("other", "/v1/models", "model_not_found", "404", "200"):
        assert f'"{word}"' in written
    for word in (PROMPT, "poetry", "no-such-style", str(account.tenant), str(account.key)):
        assert word not in written
        assert word not in state


async def test_processes_add_up_and_one_that_ends_takes_nothing_with_it(gateway, valkey, totals):
    other = MetricsFlush(gateway.valkey, gateway.backends)
    metrics.OUTCOMES.add("complete")
    await flush(gateway)
    metrics.OUTCOMES.add("complete", by=2)
    await other.leave()
    await flush(gateway)
    assert totals("outcomes") == {("complete",): 3}
    assert valkey.zrange(names.metrics_processes_key(), 0, -1) == [gateway.metrics.process]


async def test_what_valkey_does_not_take_is_written_later_and_once(gateway, totals, monkeypatch):
    record = gateway.metrics._record

    async def away(*_):
        raise LimitsUnavailable

    metrics.REFUSALS.add("rate_limited")
    monkeypatch.setattr(gateway.metrics, "_record", away)
    await flush(gateway)
    await flush(gateway)
    assert totals("refusals") == {}
    metrics.REFUSALS.add("rate_limited")
    monkeypatch.setattr(gateway.metrics, "_record", record)
    await flush(gateway)
    await flush(gateway)
    assert totals("refusals") == {("rate_limited",): 2}


async def test_a_failover_is_counted_at_the_engine_that_failed(gateway, account, ask, totals):
    async with FakeVllm().serve() as url:
        account.offer("poetry", "http://127.0.0.1:1", url)
        await ask()
    await flush(gateway)
    assert totals("failovers") == {("engine-1",): 1}
    assert totals("engine_failures") == {("engine-1", "EngineUnavailable"): 1}
    assert totals("outcomes") == {("complete",): 1}


def test_the_totals_of_an_engine_that_is_gone_go(account, valkey):
    for engine in ("engine-1", "gone"):
        valkey.hset(names.metrics_key(), metrics.name_total(metrics.FAILOVERS.name, engine), 3)
    valkey.hset(names.metrics_key(), metrics.name_total(metrics.REFUSALS.name, "gone"), 3)
    assert prune_totals(valkey) == 1
    left = {read_total(field)[1] for field in valkey.hkeys(names.metrics_key())}
    assert left == {("engine-1",), ("gone",)}
    valkey.delete(names.route_engines_key())
    assert prune_totals(valkey) == 0
