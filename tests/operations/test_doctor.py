"""`manage.py doctor`: each fault is found, says how to mend it, and makes the exit code 1."""

import json
import socket
import sys
import time
from contextlib import nullcontext
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import redis
from django.core.management import CommandError, call_command
from django.utils import timezone

from adapters.engines import client
from adapters.errors import EngineUnavailable
from adapters.models import Engine
from config import celery
from core import valkey as names
from core.sizes import GIB
from events.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from metering.ledger import record_events
from operations import settings_checks
from operations.monitoring import background_tasks, running_checks, setup_checks
from operations.monitoring.findings import words_of_seconds
from operations.monitoring.health import CHECKS
from tenants.models import ApiKey
from tests.operations.builders import new_engine
from tests.tenants.builders import issue_key, make_event
from training.models import Training

pytestmark = pytest.mark.django_db


def levels(*checks: str) -> set[str]:
    """Return `subject level` of each finding of some checks that is not well; all say how to mend it."""
    bad = [finding for name in checks for finding in CHECKS[name].run() if not finding.is_ok]
    assert [finding for finding in bad if not finding.fix] == []
    return {f"{finding.subject} {finding.level}" for finding in bad}


@pytest.fixture
def an_engine() -> Engine:
    return new_engine(is_healthy=True, checked_at=timezone.now())


@pytest.fixture
def working(valkey, monkeypatch) -> None:
    """Workers did all tasks just now; what other tests sent, and nobody took, is not seen."""
    monkeypatch.setattr(running_checks, "read_queues", lambda names: dict.fromkeys(names, (0, None)))
    for task in ("inference.tasks.drain", "adapters.tasks.advance", "events.tasks.deliver_webhooks"):
        background_tasks.count_task(valkey, task, is_success=True, busy_s=0)


def test_an_installation_that_is_well_has_no_fault_and_one_that_is_not_exits_with_1(
    monkeypatch, valkey, an_engine, working
):
    monkeypatch.setattr(setup_checks, "diagnose_engines", lambda: {"engine-1": []})
    monkeypatch.delitem(CHECKS, "base model")
    valkey.zadd(names.metrics_processes_key(), {"one": 1})
    valkey.set(names.metrics_process_key("one"), json.dumps({"engines": {}}))
    out = StringIO()
    call_command("doctor", "--json", stdout=out)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {"PostgreSQL", "Valkey", "migrations", "storage", "uploads", "ledger", "beat"} <= {
        one["subject"] for one in found
    }
    monkeypatch.setattr(running_checks, "missing_migrations", lambda: ["tenants.0001_initial"])
    with pytest.raises(CommandError):
        call_command("doctor", "--quiet", stdout=(quiet := StringIO()))
    assert "manage.py migrate" in quiet.getvalue()
    assert "✓" not in quiet.getvalue()


def test_a_part_that_is_away_is_a_finding_and_ends_nothing(monkeypatch, valkey, an_engine):
    def away(*_):
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(names, "client", away)
    found = levels(*CHECKS)
    assert {"Valkey fault", "queues fault", "ledger fault"} <= found
    assert "PostgreSQL fault" not in found


def test_a_key_under_a_pepper_that_is_gone_is_found(acme, settings):
    issue_key(acme, name="old", by=None)
    assert levels("peppers") == set()
    ApiKey.objects.update(pepper=7)
    [finding] = CHECKS["peppers"].run()
    assert (finding.level, "pepper 7" in finding.seen) == ("fault", True)


def test_answers_without_the_mark_or_with_an_unknown_key_are_found(acme, settings):
    settings.WATERMARK_KEYS = {1: 7}
    record_events(
        [make_event(acme, watermark="gumbel; epoch=1"), make_event(acme, watermark="none; reason=off")]
    )
    assert levels("watermark") == set()
    record_events(
        [
            make_event(acme, watermark="none; reason=engine", engine="b"),
            make_event(acme, watermark="gumbel; epoch=2"),
        ]
    )
    seen = [finding.seen for finding in CHECKS["watermark"].run()]
    assert len(seen) == 2
    assert "engine b has no key" in seen[0]
    assert "epoch 2" in seen[1]
    settings.WATERMARK_KEYS = {}
    assert levels("watermark") == {"watermark note"}


def test_a_valkey_that_forgets_or_stands_by_is_found(monkeypatch, valkey):
    facts = valkey.info() | {"maxmemory_policy": "allkeys-lru", "aof_enabled": 0, "role": "slave"}
    ahead = (int(time.time()) + 60, 0)
    monkeypatch.setattr(names, "client", lambda: SimpleNamespace(info=lambda: facts, time=lambda: ahead))
    found = levels("Valkey's settings", "clocks")
    assert found == {"Valkey fault", "Valkey note", "Valkey's clock fault"}


def test_a_queue_that_nobody_serves_and_a_beat_that_stopped_are_found(
    monkeypatch, valkey, an_engine, working
):
    assert levels("queues", "schedule") == set()
    waiting = {"engine.engine-1": (3, None), "uploads": (500, None)}
    monkeypatch.setattr(
        running_checks, "read_queues", lambda names: dict.fromkeys(names, (0, None)) | waiting
    )
    assert levels("queues") == {"queue engine.engine-1 fault", "queue uploads note"}
    valkey.delete(names.metrics_tasks_key())
    assert levels("schedule") == {"beat fault"}


@pytest.mark.parametrize(
    ("queue", "waiting", "age_s", "silent_s", "level"),
    [
        ("uploads", 1, 1, None, "ok"),  # the first task of an installation, or of a quiet day
        ("uploads", 1, 200, 200, "fault"),
        ("uploads", 1, 700, 10, "note"),  # they are taken, but late
        ("training", 5, 4_000, None, "ok"),
    ],
)
def test_a_queue_is_judged_by_how_old_its_messages_are(queue, waiting, age_s, silent_s, level):
    assert running_checks.Queue(queue, waiting, age_s, silent_s).finding.level == level


def test_a_task_of_the_schedule_that_is_late_is_found(valkey, working):
    key, drain, sweep = names.metrics_tasks_key(), running_checks.DRAIN, "inference.tasks.sweep"
    valkey.hset(key, f"{sweep} last_s", int(time.time()) - 300)
    assert levels("schedule") == {f"task {sweep} note"}
    valkey.hset(key, f"{drain} last_s", int(time.time()) - 300)
    assert levels("schedule") == {f"task {sweep} note", "beat fault"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.038, "38 ms"), (1.5, "1.5 s"), (90, "90 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 d")],
)
def test_lengths_of_time_are_in_the_unit_that_suits_them(seconds, words):
    assert words_of_seconds(seconds) == words


def test_trainings_without_a_worker_and_a_python_that_can_not_train_are_found(
    monkeypatch, settings, acme, tmp_path
):
    monkeypatch.setattr(setup_checks, "find_workers", lambda queue: [])
    settings.TRAINING_PYTHON = str(tmp_path / "of-another-machine")
    assert levels("training") == {"training note"}
    long_ago = timezone.now() - timedelta(hours=1)
    facts = {"tenant": acme, "slug": "voice", "name": "Voice", "changed_at": long_ago}
    training = Training.objects.create(status="queued", **facts)
    assert "queued trainings fault" in levels("stuck")
    monkeypatch.setattr(setup_checks, "find_workers", lambda queue: ["worker@another"])
    assert levels("training") == set()
    Training.objects.filter(pk=training.pk).update(status="running")
    assert "silent trainings fault" in levels("stuck")
    Training.objects.all().delete()
    monkeypatch.setattr(setup_checks, "find_workers", lambda queue: [f"worker@{socket.gethostname()}"])
    assert levels("training") == {"training fault"}
    settings.TRAINING_PYTHON = sys.executable  # it has no PyTorch
    [lacks] = [finding for finding in CHECKS["training"].run() if finding.level == "fault"]
    assert "can't train" in lacks.seen
    settings.TRAINING = False
    assert levels("training") == set()


def test_a_delivery_that_no_worker_makes_is_stuck_and_one_behind_a_failed_one_is_not(acme, valkey):
    """A receiver that is down for hours is no fault of this installation."""
    long_ago = timezone.now() - timedelta(hours=1)
    endpoint = WebhookEndpoint.objects.create(tenant=acme, url="https://hooks.example/", sealed_secret="s")
    for next_attempt_at in (timezone.now() + timedelta(hours=1), long_ago):
        event = OutboxEvent.objects.create(tenant=acme, type="workspace.resumed", object={})
        WebhookDelivery.objects.create(endpoint=endpoint, event=event, next_attempt_at=next_attempt_at)
    assert "webhook endpoints fault" not in levels("stuck")
    WebhookDelivery.objects.update(next_attempt_at=long_ago)
    assert "webhook endpoints fault" in levels("stuck")


def test_usage_that_waits_or_was_refused_is_found(valkey):
    checks = ("ledger", "refused usage", "holds")
    assert levels(*checks) == set()
    valkey.xadd(names.usage_key(), {"a": "b"}, id=f"{int(time.time() * 1000) - 90_000}-0")
    valkey.xadd(names.refused_usage_key(), {"a": "b"})
    valkey.zadd(names.leases_key(), {"t r": 1})
    assert levels(*checks) == {"ledger fault", "refused usage fault", "holds note"}


def test_storage_takes_what_a_browser_sends_and_a_wrong_address_is_found(settings, valkey, monkeypatch):
    assert levels("storage", "uploads") == set()
    monkeypatch.setattr(setup_checks, "put_as_browser", lambda: "it returns 403 for a signed PUT")
    monkeypatch.setattr(setup_checks, "refused_origin", lambda origin: "no origin")
    assert levels("storage", "uploads") == {"uploads fault"}
    settings.S3_BUCKET = "no-such-bucket"
    assert levels("storage") == {"storage fault"}


def test_an_engine_with_other_flags_than_its_row_is_found(monkeypatch, an_engine):
    pages = {
        "/v1/models": json.dumps({"data": [{"id": "base", "max_model_len": 1024}]}),
        "/metrics": 'vllm:lora_requests_info{max_lora="8",running_lora_adapters=""} 1.0\n',
    }
    monkeypatch.setattr(client, "check_health", lambda engine: None)
    monkeypatch.setattr(client, "read_page", lambda engine, path: pages[path])
    assert [finding.seen for finding in CHECKS["engine limits"].run()] == [
        "its --max-model-len is 1024, but 2048 is registered",
        ("its --max-loras is 8, but 2 is registered"),
    ]
    pages["/v1/models"] = json.dumps({"data": [{"id": "other"}]})
    assert "it serves other, not base" in str(CHECKS["engine limits"].run())

    def away(engine):
        raise EngineUnavailable

    monkeypatch.setattr(client, "check_health", away)
    assert levels("engine limits") == {"engine engine-1 fault"}


def test_an_engine_whose_worker_is_silent_or_that_does_not_answer_it_is_found(an_engine):
    assert levels("engines") == set()
    for change, seen in (
        ({"is_healthy": False}, "to its worker"),
        ({"checked_at": None}, "its worker isn't"),
    ):
        Engine.objects.update(**change)
        [finding] = CHECKS["engines"].run()
        assert (finding.subject, finding.level) == ("engine engine-1", "fault")
        assert seen in finding.seen
    Engine.objects.update(is_draining=True)
    [finding] = CHECKS["engines"].run()
    assert "none is in service" in finding.seen


@pytest.mark.parametrize(("free_bytes", "level"), [(GIB // 2, "fault"), (3 * GIB, "note"), (50 * GIB, "ok")])
def test_a_disk_that_is_nearly_full_is_found(monkeypatch, free_bytes, level):
    monkeypatch.setattr(setup_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    assert {finding.level for finding in CHECKS["disks"].run()} == {level}


@pytest.mark.parametrize(("days", "level"), [(3, "fault"), (60, "ok")])
def test_a_certificate_that_ends_soon_is_found(monkeypatch, settings, days, level):
    settings.SITE_URL = "https://polyscribe.example.com"
    settings.S3_PUBLIC_ENDPOINT_URL = ""
    monkeypatch.setattr(setup_checks, "_days_left", lambda host, port: days)
    [finding] = CHECKS["certificates"].run()
    assert finding.level == level


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"SECURE": True, "S3_PUBLIC_ENDPOINT_URL": "http://files.example.com"}, "mixed_content"),
        ({"SITE_URL": "https://example.com/polyscribe"}, "site_url"),
        ({"API_KEY_PEPPERS": {}}, "no_pepper"),
        ({"ENGINE_MAX_CPU_LORAS": 1}, "engine_memory"),
    ],
)
def test_a_process_refuses_to_start_with_settings_that_contradict_each_other(settings, change, name):
    settings_checks.refuse_half_configured()
    for setting, value in change.items():
        setattr(settings, setting, value)
    assert [fault.id for fault in settings_checks.find_faults()] == [f"polyscribe.{name}"]
    with pytest.raises(SystemExit, match="can't start"):
        settings_checks.refuse_half_configured()


def test_only_what_sends_mail_refuses_to_start_without_a_mail_server(settings):
    """Pages do, and the worker of the queue that mail is sent by."""
    settings.SECURE = True
    settings.S3_PUBLIC_ENDPOINT_URL = "https://files.example.com"
    settings.HAS_MAIL_SERVER = False
    settings_checks.refuse_half_configured()
    with pytest.raises(SystemExit, match="EMAIL_URL is empty"):
        settings_checks.refuse_half_configured(sends_mail=True)
    for queue in ("billing", "webhooks"):
        worker = Mock()
        worker.app.amqp.queues.consume_from = {queue: Mock()}
        with pytest.raises(SystemExit) if queue == "webhooks" else nullcontext():
            celery.refuse_without_mail("worker@host", worker)
    settings.HAS_MAIL_SERVER = True
    settings_checks.refuse_half_configured(sends_mail=True)
