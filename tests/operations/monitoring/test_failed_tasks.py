"""What tasks failed with is kept, masked and counted; operators run it again."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import redis
from celery import Task
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from config.celery import app
from operations import retention
from operations.models import FailedTask
from operations.monitoring import background_tasks
from operations.monitoring.background_tasks import read_queues
from tenants.models import AuditEntry
from tests.operations.builders import clerk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
OLDER = "Workspaces not yet published to gateways"
JOBS = reverse("admin:jobs")
QUEUE = "housekeeping"


def _fail(*args: object, **kwargs: object) -> None:
    raise ValueError("no such bucket at s3://reader:hunter2@files.example.com")


@pytest.fixture
def fail() -> Iterator[Task]:
    """A task that always fails, known to Celery for as long as a test runs."""
    app.task(_fail, name="tests.fail")
    app.finalize()
    yield app.tasks["tests.fail"]
    app.tasks.pop("tests.fail")


@pytest.fixture
def broker() -> redis.Redis:
    """The broker with an empty queue."""
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL, protocol=2)
    client.delete(QUEUE)
    yield client
    client.delete(QUEUE)
    client.close()


def test_a_task_that_fails_again_and_again_has_one_row(fail):
    version_id = str(uuid4())
    for _ in range(3):
        fail.apply(args=[version_id])
    fail.apply(args=[str(uuid4())])
    row = FailedTask.objects.get(args=[version_id])
    assert (row.task, row.times, row.is_masked) == ("tests.fail", 3, False)
    assert row.first_at < row.last_at
    assert FailedTask.objects.count() == 2


def test_no_secret_is_stored(fail):
    secret = "sk-poly_" + "a1B2" * 10
    fail.apply(args=[secret, 7], kwargs={"password": "hunter2", "style": "noir"})
    row = FailedTask.objects.get()
    assert row.args == [background_tasks.MASK, 7]
    assert row.kwargs == {"password": background_tasks.MASK, "style": "noir"}
    assert row.is_masked
    stored = json.dumps([row.args, row.kwargs, row.error, row.traceback])
    assert "hunter2" not in stored
    assert secret not in stored
    assert "no such bucket" in row.error


def test_an_operator_runs_it_again_and_the_queue_tells_its_age(
    operator_client, broker, fail, django_capture_on_commit_callbacks
):
    version_id = str(uuid4())
    fail.apply(args=[version_id])
    row = FailedTask.objects.get()
    FailedTask.objects.update(queue=QUEUE)
    form = {"action": "retry", "_selected_action": [row.pk], "confirmed": "1", "why": "Storage is back"}
    began_s = time.time()
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator_client.post(reverse("admin:operations_failedtask_changelist"), form)
    assert answer.status_code == 302
    message = json.loads(broker.lindex(QUEUE, 0))
    assert message["headers"]["task"] == "tests.fail"
    assert version_id in message["headers"]["argsrepr"]
    assert read_queues([QUEUE, "nothing"]) == {
        QUEUE: (1, pytest.approx(began_s, abs=60)),
        "nothing": (0, None),
    }
    row.refresh_from_db()
    assert row.retried_at
    assert AuditEntry.objects.get(action="retry").reason == "Storage is back"
    page = operator_client.get(JOBS)
    queues = {queue.name: queue for queue in page.context["queues"]}
    assert queues[QUEUE].waiting == 1
    assert queues[QUEUE].oldest.endswith("s")


def test_what_was_masked_is_not_run_again(operator_client, broker, fail):
    fail.apply(kwargs={"token": "t"})
    row = FailedTask.objects.get()
    form = {"action": "retry", "_selected_action": [row.pk], "confirmed": "1", "why": "Again"}
    shown = operator_client.post(reverse("admin:operations_failedtask_changelist"), form, follow=True).text
    assert "its arguments are masked" in shown
    assert broker.llen(QUEUE) == 0


def test_failures_are_pruned_by_age_and_number(monkeypatch):
    now = timezone.now()
    for days in (20, 3, 2, 1):
        at = now - timedelta(days=days)
        FailedTask.objects.create(task="t", digest=str(days), error="E", first_at=at, last_at=at)
    monkeypatch.setattr(retention, "MAX_FAILURES", 2)
    assert retention.delete_old("FailedTask", now) == 2
    assert set(FailedTask.objects.values_list("digest", flat=True)) == {"1", "2"}


def test_the_page_names_what_is_stuck_and_the_whole_timetable(operator_client, acme, operator):
    page = operator_client.get(JOBS)
    tasks = {entry.task for entry in page.context["schedule"]}
    assert tasks == {planned["task"] for planned in settings.CELERY_BEAT_SCHEDULE.values()}
    assert [kind.name for kind in page.context["stuck"]] == ["Workspaces not yet published to gateways"]
    for kind in page.context["stuck"]:
        assert operator_client.get(kind.address).status_code == 200


@pytest.mark.parametrize(("role", "status"), [("Engineer", 200), ("Support", 200), ("Finance", 403)])
def test_roles_that_see_jobs(alice_client, role, status):
    assert alice_client.get(JOBS).status_code == 302
    assert clerk(role).get(JOBS).status_code == status
