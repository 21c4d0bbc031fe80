"""The table of health checks: each can be well and can fail, and every view shows what it finds."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Placement, Style
from core import valkey as names
from core.errors import Unavailable
from core.sizes import GIB
from operations.models import FailedTask
from operations.monitoring import background_tasks, health, running_checks, setup_checks
from operations.monitoring.exporter import ServiceCollector
from operations.monitoring.health import CHECKS
from tenants.models import ApiKey
from tests.operations.builders import new_engine
from tests.tenants.builders import issue_key
from training.models import Training
from website import pages

GATEWAY = {"in_flight": 0, "loading": 0, "engines": {}}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept():
    health.kept.cache_clear()


@pytest.fixture
def world(request, valkey, monkeypatch, settings, tmp_path) -> Any:
    """An installation in which every check is well, and what a test needs to break it."""
    base = tmp_path / "base"
    base.mkdir()
    for file in ("config.json", "tokenizer.json"):
        (base / file).write_text("{}")
    settings.BASE_MODEL_DIR = base
    settings.SECURE = True
    settings.SITE_URL = "https://polyscribe.example.com"
    settings.S3_PUBLIC_ENDPOINT_URL = "https://files.example.com"
    settings.SUPPORT_EMAIL = "help@example.com"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    settings.WEB_WORKERS = 1
    settings.WATERMARK_KEYS = {1: 7}
    settings.TRAINING = True
    settings.TRAINING_PYTHON = str(tmp_path / "of-another-machine")
    monkeypatch.setattr(setup_checks, "_days_left", lambda host, port: 60)
    monkeypatch.setattr(setup_checks, "put_as_browser", lambda: "")
    monkeypatch.setattr(setup_checks, "refused_origin", lambda origin: "")
    monkeypatch.setattr(setup_checks, "find_workers", lambda queue: ["worker@another"])
    monkeypatch.setattr(setup_checks, "diagnose_engines", lambda: {"engine-1": []})
    monkeypatch.setattr(setup_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * GIB))
    monkeypatch.setattr(running_checks, "read_queues", lambda names: dict.fromkeys(names, (0, None)))
    engine = new_engine(is_healthy=True, checked_at=timezone.now())
    valkey.zadd(names.metrics_processes_key(), {"one": 1})
    valkey.set(names.metrics_process_key("one"), json.dumps(GATEWAY))
    background_tasks.count_task(valkey, running_checks.DRAIN, is_success=True, busy_s=0)
    return SimpleNamespace(
        patch=monkeypatch, settings=settings, valkey=valkey, engine=engine, fixture=request.getfixturevalue
    )


def levels(findings) -> set[str]:
    """Return `subject level` of each finding that is not well; all say how to mend it."""
    bad = [finding for finding in findings if not finding.is_ok]
    assert [finding for finding in bad if not finding.fix] == []
    return {f"{finding.subject} {finding.level}" for finding in bad}


def raising(error: type[Exception]) -> Callable[..., Any]:
    def away(*_: Any, **__: Any) -> Any:
        raise error

    return away


def lose_a_pepper(world) -> None:
    issue_key(world.fixture("acme"), name="old", by=None)
    ApiKey.objects.update(pepper=7)


def stop_a_clock(world) -> None:
    client = SimpleNamespace(time=lambda: (int(time.time()) - 60, 0))
    world.patch.setattr(names, "client", lambda: client)


def fail_a_task(world) -> None:
    now = timezone.now()
    FailedTask.objects.create(task="t", digest="d", error="E", first_at=now, last_at=now)


def queue_a_training(world) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    facts = {"tenant": world.fixture("acme"), "slug": "voice", "name": "Voice"}
    Training.objects.create(status="queued", changed_at=long_ago, **facts)


def want_a_style(world) -> None:
    style = Style.objects.create(
        owner=world.fixture("acme"), slug="rain", name="Rain", base_model=world.engine.base_model
    )
    version = AdapterVersion.objects.create(style=style, number=1, status="serving")
    long_ago = timezone.now() - timedelta(hours=1)
    Placement.objects.create(engine=world.engine, version=version, is_desired=True, requested_at=long_ago)


def add_usage(world) -> None:
    at_ms = int(time.time() * 1000) - 90_000
    world.valkey.xadd(names.usage_key(), {"a": "b"}, id=f"{at_ms}-0")


# How each check is made to fail. One without an entry, or that is still well after it, fails the test.
BREAK: dict[str, Callable[[Any], object]] = {
    "settings": lambda world: setattr(world.settings, "S3_BUCKET", ""),
    "base model": lambda world: (world.settings.BASE_MODEL_DIR / "tokenizer.json").unlink(),
    "disks": lambda world: world.patch.setattr(
        setup_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB // 2)
    ),
    "certificates": lambda world: world.patch.setattr(setup_checks, "_days_left", lambda host, port: 3),
    "PostgreSQL": lambda world: world.patch.setattr(
        running_checks.connection, "cursor", raising(OperationalError)
    ),
    "database": lambda world: world.patch.setattr(setup_checks, "OLDEST_POSTGRESQL", 10**9),
    "migrations": lambda world: world.patch.setattr(
        running_checks, "missing_migrations", lambda: ["tenants.0001_initial"]
    ),
    "peppers": lose_a_pepper,
    "Valkey": lambda world: world.patch.setattr(names, "client", lambda: redis.Redis(port=1)),
    "Valkey's settings": lambda world: setattr(
        world.settings, "CELERY_BROKER_URL", world.settings.VALKEY_URL
    ),
    "clocks": stop_a_clock,
    "broker": lambda world: setattr(world.settings, "CELERY_BROKER_URL", "redis://127.0.0.1:1/0"),
    "queues": lambda world: world.patch.setattr(
        running_checks, "read_queues", lambda names: {"uploads": (1, time.time() - 600)}
    ),
    "schedule": lambda world: world.valkey.delete(names.metrics_tasks_key()),
    "failed tasks": fail_a_task,
    "stuck": queue_a_training,
    "training": lambda world: world.patch.setattr(setup_checks, "find_workers", lambda queue: []),
    "ledger": add_usage,
    "refused usage": lambda world: world.valkey.xadd(names.refused_usage_key(), {"a": "b"}),
    "holds": lambda world: world.valkey.zadd(names.leases_key(), {"t r": 1}),
    "storage": lambda world: setattr(world.settings, "S3_BUCKET", "no-such-bucket"),
    "uploads": lambda world: world.patch.setattr(setup_checks, "put_as_browser", lambda: "it returns 403"),
    "watermark": lambda world: setattr(world.settings, "WATERMARK_KEYS", {}),
    "engines": lambda world: Engine.objects.update(checked_at=None),
    "engine limits": lambda world: world.patch.setattr(
        setup_checks, "diagnose_engines", lambda: {"engine-1": ["its --max-loras is 8, but 2 is registered"]}
    ),
    "placements": want_a_style,
    "gateways": lambda world: world.valkey.delete(names.metrics_process_key("one")),
}


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_can_be_well_and_can_fail(world, name):
    assert levels(CHECKS[name].run()) == set()
    BREAK[name](world)
    assert levels(CHECKS[name].run()) != set()


@pytest.mark.parametrize("name", [check.name for check in CHECKS.values() if check.mend])
def test_what_does_not_answer_is_a_finding_that_says_how_to_mend_it(name):
    check = replace(CHECKS[name], ask=raising(OSError))
    [finding] = check.run()
    assert (finding.level, finding.is_away, finding.fix) == ("fault", True, check.mend)


def test_every_view_shows_the_same_fault(world, operator_client):
    add_usage(world)
    [lag] = CHECKS["ledger"].run()
    assert (lag.level, "1 event waiting" in lag.seen) == ("fault", True)
    figures = []
    for group in operator_client.get(reverse("admin:index")).context["groups"]:
        figures += group.figures
    [tile] = [figure for figure in figures if figure.name == "Ledger lag"]
    assert (tile.level.value, "1 event waiting" in tile.note) == ("fault", True)
    [part] = [part for part in pages.read_status().parts if part.name == "Background work"]
    assert (part.state, str(part.sentence)[:16]) == ("slow", "Usage is delayed")
    assert metrics()["polyscribe_check", "ledger", "ledger"] == 2
    world.valkey.delete(names.usage_key())
    assert metrics()["polyscribe_check", "ledger", "ledger"] == 0


def test_one_is_counted_in_the_singular(world):
    for name in ("queues", "failed tasks", "refused usage", "holds"):
        BREAK[name](world)
    found = {name: " ".join(finding.seen for finding in CHECKS[name].run()) for name in BREAK}
    assert "1 message waiting; " in found["queues"]
    assert found["failed tasks"] == "1 task failed in the last hour"
    assert found["refused usage"] == "1 event was permanently rejected"
    assert found["holds"] == "1 has expired but was not swept"
    assert "0 events waiting" in found["ledger"]


def metrics() -> dict[tuple[str, ...], float]:
    found = {}
    for family in ServiceCollector(release=lambda: None).collect():
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            assert key not in found
            found[key] = sample.value
    return found


def test_metrics_have_each_part_and_no_level_of_what_can_not_be_asked(world):
    found = metrics()
    parts = {key[1]: value for key, value in found.items() if key[0] == "polyscribe_up"}
    assert parts == dict.fromkeys(("postgresql", "migrations", "valkey", "broker"), 1)
    watched = {check.name for check in CHECKS.values() if check.is_watched and not check.part}
    assert {key[1] for key in found if key[0] == "polyscribe_check"} == watched
    BREAK["Valkey"](world)
    BREAK["migrations"](world)
    found = metrics()
    assert found["polyscribe_up", "migrations"] == found["polyscribe_up", "valkey"] == 0
    assert {key[1] for key in found if key[0] == "polyscribe_check"} == {
        "failed tasks",
        "stuck",
        "engines",
        "placements",
    }


def test_a_site_whose_parts_all_answer_is_ready(client, valkey):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["parts"] == dict.fromkeys(
        ("postgresql", "migrations", "valkey", "broker", "storage"), "ok"
    )


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("PostgreSQL", OperationalError),
        ("Valkey", redis.ConnectionError),
        ("broker", redis.TimeoutError),
        ("storage", Unavailable),
    ],
)
def test_a_part_that_is_away_is_said_and_only_what_is_needed_makes_it_unready(
    client, valkey, monkeypatch, name, error
):
    check = replace(CHECKS[name], ask=raising(error))
    monkeypatch.setitem(CHECKS, name, check)
    answer = client.get("/readyz")
    assert answer.status_code == (503 if check.is_needed else 200)
    parts = answer.json()["parts"]
    assert {part: state for part, state in parts.items() if state != "ok"} == {check.part: "away"}
    assert client.get("/healthz").status_code == 200


def test_a_database_that_lacks_a_migration_is_not_ready(client, valkey, monkeypatch):
    monkeypatch.setattr(running_checks, "missing_migrations", lambda: ["tenants.0001_initial"])
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["migrations"]) == (503, "behind")


def test_who_asks_often_costs_one_round_of_questions(client, valkey, monkeypatch):
    asked = []

    def ask():
        asked.append(1)
        return []

    monkeypatch.setitem(CHECKS, "Valkey", replace(CHECKS["Valkey"], ask=ask))
    for _ in range(5):
        client.get("/readyz")
        client.get(reverse("status"))
    assert len(asked) == 1


def test_a_process_that_is_told_to_drain_gets_no_new_requests_until_the_file_is_gone(
    client, valkey, settings, tmp_path
):
    file = tmp_path / "draining"
    settings.DRAINING_PATH = str(file)
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    file.touch()
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [503, 503]
    assert client.get("/accounts/login/").status_code == 200
    file.unlink()
    assert client.get("/healthz").status_code == 200
