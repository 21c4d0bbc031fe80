"""The status page tells in words what is away, also when the database is."""

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone, translation
from redis import RedisError

from adapters.errors import StorageUnavailable
from adapters.models import BaseModel, Engine
from core.valkey import usage_key
from operations.monitoring import health, running_checks
from website.pages import read_status


@pytest.fixture(autouse=True)
def _own_answers(monkeypatch):
    """Nothing is kept of the test before, and what other tests sent, and nobody took, is not seen."""
    health.kept.cache_clear()
    monkeypatch.setattr(running_checks, "read_queues", lambda names: dict.fromkeys(names, (0, None)))


@pytest.fixture
def engines(db) -> list[Engine]:
    base = BaseModel.objects.create(name="base", config={}, modules={})
    facts = {"base_model": base, "device": "cpu", "max_loras": 8, "max_cpu_loras": 64, "max_lora_rank": 16}
    return [
        Engine.objects.create(
            name=name,
            url=f"http://{name}:8000",
            max_model_len=2048,
            is_healthy=True,
            checked_at=timezone.now(),
            **facts,
        )
        for name in ("first", "second")
    ]


def states() -> dict[str, str]:
    health.kept.cache_clear()
    return {part.name: part.state for part in read_status().parts}


def test_all_parts_are_named_when_all_is_well(client, engines, valkey):
    page = client.get(reverse("status"))
    assert page.status_code == 200
    assert "All systems operational" in page.text
    assert page["Cache-Control"] == "public, max-age=5"
    assert set(states().values()) == {"up"}


def test_engines_that_are_away_are_counted(engines, valkey):
    Engine.objects.filter(name="first").update(is_healthy=False)
    assert states()["Model servers"] == "slow"
    part = next(part for part in read_status().parts if part.name == "Model servers")
    assert str(part.sentence).startswith("1 of 2 model servers is responding.")
    with translation.override("de"):
        assert str(part.sentence).startswith("1 von 2 Modellservern antwortet;")
    Engine.objects.update(checked_at=None)
    assert states()["Model servers"] == "down"


def test_an_engine_out_of_service_is_no_fault(engines, valkey):
    Engine.objects.filter(name="first").update(is_healthy=False, is_draining=True)
    assert states()["Model servers"] == "up"


def test_the_page_answers_while_database_and_valkey_are_away(client, monkeypatch):
    def broken(*args, **kwargs):
        raise OperationalError

    def broken_valkey(*args, **kwargs):
        raise RedisError

    def broken_storage():
        raise StorageUnavailable

    monkeypatch.setattr(running_checks.connection, "cursor", broken)
    monkeypatch.setattr(running_checks, "summarize_engines", broken)
    monkeypatch.setattr(running_checks.valkey, "client", broken_valkey)
    monkeypatch.setattr(running_checks, "read_queues", broken_valkey)
    monkeypatch.setattr(running_checks, "check_storage", broken_storage)
    page = client.get(reverse("status"))
    assert page.status_code == 200
    assert "Some systems are down" in page.text
    assert page.text.count("Down") == 4


@pytest.mark.django_db
def test_usage_that_waits_for_minutes_is_told(valkey):
    valkey.xadd(usage_key(), {"request": "req_1"}, id="1000-1")
    assert states()["Background work"] == "slow"


def test_a_queue_that_nobody_serves_is_told(engines, valkey, monkeypatch):
    waiting = {"uploads": (500, None)}
    monkeypatch.setattr(
        running_checks, "read_queues", lambda names: dict.fromkeys(names, (0, None)) | waiting
    )
    assert states()["Background work"] == "slow"
