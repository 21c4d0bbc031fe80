"""`/metrics`: every metric that the dashboard and the alerts name, and which part is away."""

import json
import re
import urllib.request
from contextlib import closing
from uuid import uuid4

import pytest
import redis
import yaml
from prometheus_client.parser import text_string_to_metric_families

from adapters.models import Engine
from core import valkey as names
from inference import metrics
from inference.metrics import name_total
from operations.monitoring import background_tasks, exporter, gateway_metrics
from operations.monitoring.exporter import ServiceCollector
from stack.folders import ROOT
from stack.ports import Ports
from tests.operations.builders import new_engine

OBSERVABILITY = ROOT / "deploy" / "observability"
ALERTS = OBSERVABILITY / "alerts.yml"
DASHBOARD = OBSERVABILITY / "grafana" / "dashboards" / "polyscribe.json"
METRIC = re.compile(r"\b(?:polyscribe_|vllm:)\w+")

pytestmark = pytest.mark.django_db


@pytest.fixture
def an_engine() -> Engine:
    return new_engine(is_healthy=True)


@pytest.fixture
def a_process(valkey) -> dict:
    """A gateway process, as it tells how it is."""
    state = {
        "at_s": 0,
        "in_flight": 3,
        "loading": 1,
        "engines": {
            "engine-1": {
                "waiting": 2,
                "running": 4,
                "capacity": 8,
                "is_open": False,
                "max_loras": 2,
                "max_cpu_loras": 3,
                "used": [["v_3", 300], ["v_2", 200], ["v_1", 100]],
            }
        },
    }
    write_process(valkey, "one", state)
    return state


def write_process(store, process: str, state: dict) -> None:
    store.zadd(names.metrics_processes_key(), {process: 1})
    store.set(names.metrics_process_key(process), json.dumps(state))


@pytest.fixture
def everything(valkey, an_engine, a_process) -> None:
    """Each metric of a gateway with one series, and a task."""
    for metric in metrics.ALL:
        labels = ["engine-1" if label == "engine" else "x" for label in metric.labels]
        last = ["0"] if isinstance(metric, metrics.Histogram) else []
        valkey.hset(names.metrics_key(), name_total(metric.name, *labels, *last), 1)
    background_tasks.count_task(valkey, "inference.tasks.drain", is_success=True, busy_s=0.5)


def samples() -> dict[tuple[str, ...], float]:
    """Return each sample that is scraped: its name and its labels' values → its value."""
    found = {}
    for family in ServiceCollector(release=lambda: None).collect():
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


@pytest.mark.django_db(transaction=True)
def test_every_metric_of_the_dashboard_and_of_the_alerts_is_there(everything):
    ports = Ports()
    port = ports.take("exporter")
    stop = exporter.serve("127.0.0.1", port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            scraped = answer.read().decode()
    finally:
        stop()
        ports.release()
    families = text_string_to_metric_families(scraped)
    there = {sample.name for family in families for sample in family.samples}
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [rule["expr"] for rule in rules]
    queries += [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name for query in queries for name in METRIC.findall(query)}
    assert len(named) > 30
    assert named - there == set()


def test_the_dashboard_shows_every_metric_of_a_gateway():
    text = DASHBOARD.read_text()
    assert [metric.name for metric in metrics.ALL if metric.name not in text] == []


def test_counts_and_durations_of_all_processes_are_added_up(valkey, an_engine):
    first_byte = metrics.FIRST_BYTE
    first_byte.observe(0.2, "warm")
    first_byte.observe(20, "warm")
    metrics.TOKENS.add("prompt", by=7)
    for _ in range(2):
        for name, count in metrics.take_pending().items():
            valkey.hincrby(names.metrics_key(), name, count)
        metrics.TOKENS.add("prompt", by=7)
    metrics.take_pending()
    found = samples()
    assert found["polyscribe_gateway_tokens_total", "prompt"] == 14
    name = first_byte.name
    assert found[f"{name}_bucket", "warm", "0.25"] == 1
    assert found[f"{name}_bucket", "warm", "+Inf"] == found[f"{name}_count", "warm"] == 2
    assert found[f"{name}_sum", "warm"] == pytest.approx(20.2)


def test_what_processes_see_of_an_engine_is_added_up_and_adapters_are_merged_by_their_last_use(
    valkey, an_engine, a_process
):
    engine = a_process["engines"]["engine-1"]
    write_process(valkey, "two", a_process | {"engines": {"engine-1": engine | {"used": [["v_1", 400]]}}})
    valkey.zadd(names.metrics_processes_key(), {"dead": 1})
    found = samples()
    assert found["polyscribe_gateway_processes",] == 2
    assert found["polyscribe_gateway_queue_waiting", "engine-1"] == 4
    levels = {sample[2]: sample[3] for sample in found if sample[0] == "vllm:lora_adapter_loaded"}
    assert levels == {"v_1": "gpu", "v_3": "gpu", "v_2": "cpu"}
    assert found["vllm:num_gpu_loaded_lora_adapters", "engine-1"] == 2
    assert found["vllm:num_cpu_loaded_lora_adapters", "engine-1"] == 3


def test_the_drains_lag_and_the_open_holds_are_told(valkey, an_engine):
    now_ms = int(valkey.time()[0]) * 1000
    valkey.xadd(names.usage_key(), {"request": "r"}, id=f"{now_ms - 90_000}-0")
    valkey.zadd(names.leases_key(), {f"{uuid4()} a": now_ms + 60_000, f"{uuid4()} b": now_ms - 60_000})
    found = samples()
    assert found["polyscribe_ledger_lag_seconds",] >= 90
    assert found["polyscribe_ledger_pending_events",] == 1
    assert found["polyscribe_holds_open",] == 2
    assert found["polyscribe_holds_overdue",] == 1


def test_a_part_that_is_away_is_said_and_the_others_are_still_told(valkey, an_engine, monkeypatch):
    away = redis.Redis(port=1, decode_responses=True)
    monkeypatch.setattr(exporter.valkey, "client", lambda: away)
    found = samples()
    assert found["polyscribe_up", "valkey"] == 0
    assert found["polyscribe_up", "postgresql"] == found["polyscribe_up", "broker"] == 1
    assert found["polyscribe_engine_healthy", "engine-1"] == 1
    with closing(away), pytest.raises(redis.RedisError):
        gateway_metrics.read_processes(away)


def test_the_guide_says_what_to_do_at_each_alert():
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    guide = (ROOT / "docs" / "watching.md").read_text()
    section = guide.split("## When an alert fires")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [rule["alert"] for rule in rules]
