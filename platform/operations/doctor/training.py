"""Trainings: whether a worker takes them, whether its Python can train, and whether one is stuck."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from celery import Celery
from django.conf import settings
from django.utils import timezone

from operations.doctor.findings import Finding, fault, note, ok
from training.public import find_silent, find_unserved

QUEUE = "training"
IMPORTS = "import peft, torch, transformers"
ANSWER_WITHIN_S = 2.0
IMPORT_WITHIN_S = 180  # PyTorch from a cold disk
START = (
    "Start it: `docker compose --profile training up -d`, or `celery -A config worker -Q training`. "
    "TRAINING=off hides trainings instead."
)


def check_training() -> Iterator[Finding]:
    """Look for a worker, at the Python that trains where that worker runs, and at stuck trainings."""
    if not settings.TRAINING:
        yield ok("training", "off: no styles are trained from texts")
        return
    workers = find_workers(QUEUE)
    yield _judge_workers(workers)
    is_here = any(worker.endswith(f"@{socket.gethostname()}") for worker in workers)
    if is_here or Path(settings.TRAINING_PYTHON).exists():
        yield _judge_python()
    yield _judge_stuck()


def find_workers(queue: str) -> list[str]:
    """Return the names of workers that serve a queue, `worker@host`, busy ones too.

    Raises kombu.exceptions.OperationalError.
    """
    app = Celery("doctor", set_as_current=False, config_source="django.conf:settings", namespace="CELERY")
    replies = app.control.inspect(timeout=ANSWER_WITHIN_S).active_queues() or {}
    found = []
    for worker, queues in replies.items():
        if any(one["name"] == queue for one in queues):
            found.append(worker)
    return sorted(found)


def _judge_workers(workers: list[str]) -> Finding:
    waiting = find_unserved(timezone.now()).count()
    if workers:
        return ok("training", f"served by {', '.join(workers)}")
    if waiting:
        return fault("training", f"{waiting} queued, and no worker takes them", START)
    return note("training", "TRAINING is on, and no worker serves its queue", START)


def _judge_python() -> Finding:
    """Import what the child imports. Workers themselves never do."""
    python = settings.TRAINING_PYTHON
    fix = "Set TRAINING_PYTHON to the engine's Python, with the packages that engine/requirements-*.txt name."
    try:
        done = subprocess.run(
            [python, "-c", IMPORTS], capture_output=True, text=True, timeout=IMPORT_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return fault("training", f"{python} doesn't start: {error}", fix)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return fault("training", f"{python} can't train: {last[:200]}", fix)
    return ok("training", f"{python} has PyTorch and PEFT")


def _judge_stuck() -> Finding:
    stuck = find_silent(timezone.now()).count()
    if stuck:
        return fault(
            "training",
            f"{stuck} in progress without a sign of life for ten minutes",
            "See the worker's log, and Jobs in the console. A worker resumes each from its checkpoint.",
        )
    return ok("training", "none is stuck")
