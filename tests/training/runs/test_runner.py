"""What a worker asks the database while a child trains, and when it stops the child."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from unittest.mock import Mock

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Evaluation, Placement, Style
from adapters.models import Status as VersionStatus
from training import storage
from training.models import Status, StopRequest, Training
from training.notes import TrainingFailure
from training.runs import evaluator, runner

pytestmark = pytest.mark.django_db

TICK = None
START = {"type": "start", "steps": 1_000, "first_step": 0}
STOPPED = {"type": "stopped"}


class FakeChild:
    """Reports given events, calls what it finds among them, and counts the queries that each event took."""

    def __init__(self, *reported: object) -> None:
        self._reported = reported
        self.queries: list[int] = []
        self.stops = 0

    def __call__(self, program: str, folder: Path) -> "FakeChild":
        return self

    def __enter__(self) -> "FakeChild":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        self.stops += 1

    def events(self) -> Iterator[object]:
        for event in self._reported:
            if callable(event):
                event()
                continue
            with CaptureQueriesContext(connection) as captured:
                yield event
            self.queries.append(len(captured))


@pytest.fixture
def queued(acme, base_model, valkey) -> Training:
    """A training that waits for a worker and costs nothing."""
    training = Training.objects.create(tenant=acme, slug="my-voice", name="My voice", status=Status.QUEUED)
    for name in (storage.LEARN, storage.VALIDATE):
        storage.write_file(training.pk, name, b"{}\n")
    return training


@pytest.fixture
def run(queued, monkeypatch) -> Callable[..., FakeChild]:
    def run_child(*reported: object) -> FakeChild:
        child = FakeChild(*reported)
        monkeypatch.setattr(runner, "EngineChild", child)
        assert runner.run_next()
        queued.refresh_from_db()
        return child

    return run_child


def step(number: int) -> dict[str, object]:
    return {"type": "step", "step": number, "loss": 1.0, "tokens": 10 * number, "seconds": 0.1}


def test_an_event_takes_one_query_at_most(run):
    child = run(START, TICK, TICK, *map(step, [1, 2, 3, 4]), STOPPED)
    _, *ticks_and_steps, stopped = child.queries
    assert ticks_and_steps[:2] == [1, 1]
    assert max(ticks_and_steps) == stopped == 1


@pytest.mark.parametrize(
    ("requested", "status"), [(StopRequest.PAUSE, Status.PAUSED), (StopRequest.CANCEL, Status.CANCELLED)]
)
def test_a_request_stops_the_child_once_and_what_was_trained_is_saved(run, queued, requested, status):
    def request_stop() -> None:
        Training.objects.filter(pk=queued.pk).update(stop_request=requested)

    child = run(START, step(1), request_stop, TICK, step(2), STOPPED)
    assert child.stops == 1
    assert (queued.status, queued.step, queued.trained_tokens) == (status, 2, 20)


@pytest.fixture
def evaluation(acme, base_model, registered_engine) -> Evaluation:
    """A check whose version is loaded on an engine that is well."""
    Engine.objects.update(is_healthy=True)
    style = Style.objects.create(owner=acme, slug="other", name="Other", base_model=base_model)
    version = AdapterVersion.objects.create(style=style, number=1, status=VersionStatus.SERVING)
    loaded = {"is_desired": True, "loaded_at": timezone.now(), "loaded_as": version.engine_name}
    Placement.objects.create(engine=registered_engine, version=version, **loaded)
    return Evaluation.objects.create(version=version)


@pytest.mark.usefixtures("evaluation")
@pytest.mark.parametrize(("turn_s", "stops"), [(0, 1), (3_600, 0)])
def test_a_training_makes_room_for_an_evaluation_after_its_turn(run, queued, monkeypatch, turn_s, stops):
    monkeypatch.setattr(runner, "TURN_S", turn_s)
    child = run(START, step(1), TICK, step(2), STOPPED)
    assert child.stops == stops
    assert (queued.status, queued.leased_until) == (Status.RUNNING, None), "the next worker resumes it"
    assert queued.step == 2


def test_of_two_trainings_one_makes_room_for_an_evaluation(run, queued, evaluation, monkeypatch):
    """The other one goes on; if a second check waits, it makes room for that."""
    monkeypatch.setattr(runner, "TURN_S", 0)
    assert run(START, step(1), TICK, step(2), STOPPED).stops == 1
    assert run(START, step(1), TICK, step(2), STOPPED).stops == 0
    Evaluation.objects.create(version=evaluation.version)
    assert run(START, step(1), TICK, step(2), STOPPED).stops == 1


def test_a_training_goes_on_while_valkey_is_away(run, evaluation, monkeypatch):
    monkeypatch.setattr(runner, "TURN_S", 0)
    monkeypatch.setattr(evaluator.cache, "add", Mock(side_effect=redis.ConnectionError))
    assert run(START, step(1), TICK, STOPPED).stops == 0


@pytest.mark.parametrize("status", [VersionStatus.PUSHING, VersionStatus.VALID])
def test_a_training_makes_no_room_for_an_evaluation_that_waits_for_an_engine(
    run, evaluation, monkeypatch, status
):
    monkeypatch.setattr(runner, "TURN_S", 0)
    AdapterVersion.objects.update(status=status)
    assert run(START, step(1), TICK, STOPPED).stops == 0


def test_a_training_makes_no_room_for_an_evaluation_whose_engine_is_away(run, evaluation, monkeypatch):
    monkeypatch.setattr(runner, "TURN_S", 0)
    Engine.objects.update(is_healthy=False)
    assert run(START, step(1), TICK, STOPPED).stops == 0


def test_a_worker_that_shuts_down_stops_the_child_and_leaves_the_training_to_others(run, queued, monkeypatch):
    stopping = Event()
    monkeypatch.setattr(runner, "STOPPING", stopping)
    child = run(START, step(1), stopping.set, step(2), STOPPED)
    assert child.stops == 1
    assert (queued.status, queued.step, queued.leased_until) == (Status.RUNNING, 2, None)


def test_a_child_that_ends_without_a_result_is_tried_again_and_then_fails_the_training(run, queued):
    for attempt in range(1, runner.MAX_ATTEMPTS + 1):
        run(START, step(1))
        assert (queued.status, queued.attempts, queued.leased_until) == (Status.RUNNING, attempt, None)
        assert not queued.note, "it is the child's fault, and the next worker resumes it"
    run(START, step(1))
    assert queued.status == Status.FAILED
    assert queued.failure == TrainingFailure.CRASHED(times=runner.MAX_ATTEMPTS)


def test_a_worker_that_lost_its_lease_writes_nothing(run, queued):
    def take() -> None:
        Training.objects.filter(pk=queued.pk).update(leased_until="2099-01-01T00:00Z", step=7)

    child = run(START, take, TICK, step(9))
    assert len(child.queries) == 1
    assert queued.step == 7
    assert queued.leased_until.year == 2099
