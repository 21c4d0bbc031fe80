"""`/healthz` says that the process lives, `/readyz` of each part whether it answers."""

import pytest
import redis
from django.db import OperationalError

from core.cached_result import CachedResult
from core.errors import Unavailable
from operations.monitoring import health

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rounds(monkeypatch) -> list[int]:
    """How often all parts were asked; nothing is kept of the test before."""
    rounds = []

    def check_parts() -> dict[str, str]:
        rounds.append(1)
        return health.check_parts()

    monkeypatch.setattr(health, "readiness", CachedResult(check_parts, max_age_s=health.MAX_AGE_S))
    return rounds


def test_a_site_whose_parts_all_answer_is_ready(client, valkey):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert set(answer.json()["parts"].values()) == {"ok"}


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("postgresql", OperationalError),
        ("valkey", redis.ConnectionError),
        ("broker", redis.TimeoutError),
        ("storage", Unavailable),
    ],
)
def test_a_part_that_is_away_is_said_and_only_what_is_needed_makes_it_unready(
    client, valkey, monkeypatch, part, fault
):
    def away() -> str:
        raise fault

    monkeypatch.setattr(health, f"_check_{part}", away)
    answer = client.get("/readyz")
    assert answer.status_code == (503 if part in health.NEEDED else 200)
    parts = answer.json()["parts"]
    assert {name for name, state in parts.items() if state != "ok"} == {part}
    assert client.get("/healthz").status_code == 200


def test_a_database_that_lacks_a_migration_is_not_ready(client, valkey, monkeypatch):
    monkeypatch.setattr(health, "missing_migrations", lambda: ["tenants.0001_initial"])
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["migrations"]) == (503, "behind")


def test_who_asks_often_costs_one_round_of_questions(client, valkey, rounds):
    for _ in range(5):
        client.get("/readyz")
    assert len(rounds) == 1


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
