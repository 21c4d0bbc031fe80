"""The status page tells in words what is away, also when the database is."""

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone
from redis import RedisError

from adapters.models import BaseModel, Engine
from core.valkey import usage_key
from website import status_page


@pytest.fixture(autouse=True)
def _own_board():
    status_page.board.cache_clear()


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
    return {part.name: part.state for part in status_page.ask_all().parts}


def test_all_parts_are_named_when_all_is_well(client, engines, valkey, monkeypatch):
    monkeypatch.setattr(status_page, "is_storage_answering", lambda: True)
    page = client.get(reverse("status"))
    assert page.status_code == 200
    assert "All systems operational" in page.text
    assert page["Cache-Control"] == "public, max-age=5"
    assert set(states().values()) == {"up"}


def test_engines_that_are_away_are_counted(engines, valkey):
    Engine.objects.filter(name="first").update(is_healthy=False)
    assert states()["Model servers"] == "slow"
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

    monkeypatch.setattr(status_page.connection, "cursor", broken)
    monkeypatch.setattr(status_page.Engine.objects, "in_service", broken)
    monkeypatch.setattr(status_page.valkey, "client", broken_valkey)
    monkeypatch.setattr(status_page, "read_queue_lengths", broken_valkey)
    monkeypatch.setattr(status_page, "is_storage_answering", lambda: False)
    page = client.get(reverse("status"))
    assert page.status_code == 200
    assert "Some systems are down" in page.text
    assert page.text.count("Down") == 4


@pytest.mark.django_db
def test_usage_that_waits_for_minutes_is_told(valkey):
    valkey.xadd(usage_key(), {"request": "req_1"}, id="1000-1")
    assert states()["Background work"] == "slow"


def test_each_part_is_asked_once_for_many_visitors(monkeypatch):
    asked = []
    part = status_page.Part("API", "up", "")
    monkeypatch.setattr(status_page, "PARTS", (lambda: asked.append(1) or part,))
    status_page.board().read()
    status_page.board().read()
    assert len(asked) == 1
