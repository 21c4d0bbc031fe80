"""Queues: whatever is enqueued is served by some worker, and what runs for minutes holds up nothing else."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from config.celery import app
from core.queues import queue_of
from stack import application
from stack.folders import ROOT, Folders

MINUTES = {
    "adapters.tasks.advance",
    "adapters.tasks.erase",
    "training.tasks.advance",
    "training.tasks.erase",
}


def queues_in(text: str) -> list[str]:
    """Return what each `celery … worker -Q QUEUES` serves."""
    return re.findall(r" worker -Q (\S+)", text)


def in_the_stack() -> list[str]:
    variables = {"WEB_WORKERS": "1", "ENGINE_NAME": settings.ENGINE_NAME}
    programs = application.programs(8000, variables, Folders(Path("/nowhere")))
    return queues_in("\n".join(" ".join(program.argv) for program in programs))


def in_compose() -> list[str]:
    return queues_in((ROOT / "docker-compose.yml").read_text())


def our_tasks() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_settings_name_tasks_that_are_there_and_only_those_with_another_queue():
    routes = settings.CELERY_TASK_ROUTES
    assert {*routes, *settings.CELERY_BEAT_SCHEDULE} <= our_tasks()
    assert [task for task in routes if queue_of(task) == settings.CELERY_TASK_DEFAULT_QUEUE] == []


@pytest.mark.parametrize("served", [in_the_stack, in_compose])
def test_each_queue_has_workers_of_its_own(served):
    used = {queue_of(task) for task in our_tasks()}
    assert {queue.replace("engine.local", f"engine.{settings.ENGINE_NAME}") for queue in served()} == used
    assert len(served()) == len(used), "one process serves two queues, or two serve the same"


def test_what_runs_for_minutes_never_shares_a_queue_with_what_runs_every_second():
    assert {task for task in our_tasks() if queue_of(task) == "uploads"} == MINUTES
    assert [task for task in our_tasks() if queue_of(task) == "reading"] == ["training.tasks.read"]


def test_the_check_of_an_upload_ends():
    task = app.tasks["adapters.tasks.advance"]
    assert task.soft_time_limit == settings.UPLOAD_CHECK_S < task.time_limit
