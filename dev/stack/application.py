"""The site's own processes and its one-off commands."""

import sys
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stack.folders import Folders
from stack.processes import Program

LAYER = 2
READY_WITHIN_S = 600.0  # all start at once, on a machine that others may use
CELERY = [sys.executable, "-m", "celery", "-A", "config"]
LEVEL = ["--loglevel", "INFO"]
WORKERS = (
    "worker-housekeeping",
    "worker-uploads",
    "worker-reading",
    "worker-webhooks",
    "worker-billing",
    "worker-engine",
    "worker-training",
)
READING_BASE_MODEL = ("web", "worker-engine")  # as they start


def programs(port: int, variables: Mapping[str, str], folders: Folders) -> list[Program]:
    """Return web, beat and the workers: each queue has processes of its own."""
    web = [sys.executable, "-m", "config.serve", "config.asgi:application"]
    web += ["--port", str(port), "--workers", variables["WEB_WORKERS"]]
    work = partial(worker, variables=variables, folders=folders)
    return [
        Program(
            name="web",
            title="web server",
            argv=web,
            env=variables,
            layer=LAYER,
            ready=partial(ready, f"http://127.0.0.1:{port}"),
            ready_within_s=READY_WITHIN_S,
            step="web",
        ),
        work("worker-housekeeping", "housekeeping", threads=4),
        work("worker-uploads", "uploads"),
        work("worker-reading", "reading", threads=2),  # each waits for its child
        work("worker-webhooks", "webhooks", threads=8),  # they wait for other people's servers
        work("worker-billing", "billing", threads=1),
        work("worker-training", "training", threads=1),
        work("worker-engine", f"engine.{variables['ENGINE_NAME']}", threads=2),
        Program(
            name="beat",
            title="beat",
            argv=[*CELERY, "beat", "--schedule", str(folders.var / "beat"), "--pidfile=", *LEVEL],
            env=variables,
            layer=LAYER,
        ),
    ]


def worker(
    name: str, queue: str, *, variables: Mapping[str, str], folders: Folders, threads: int = 0
) -> Program:
    """Return a worker that serves a queue: in threads, or in one process that can be stopped by a time limit.

    A process has 60 to 100 MB of its own; threads of one share them.
    """
    pool = ["--pool", "threads", "--concurrency", str(threads)] if threads else ["--concurrency", "1"]
    options = ["-Q", queue, *pool, "--hostname", f"{name}@%h"]
    return Program(
        name=name,
        title=name,
        argv=[*CELERY, "worker", *options, *LEVEL],
        env={"DATABASE_STATEMENT_TIMEOUT_S": "300", **variables},
        layer=LAYER,
        ready=partial(works, folders.logs / f"{name}.log"),
        ready_within_s=READY_WITHIN_S,
    )


def manage(command: str, *options: str, variables: Mapping[str, str], title: str) -> Program:
    """Return one management command as a program that ends."""
    return Program(
        name=command,
        title=title,
        argv=[sys.executable, "manage.py", command, *options],
        env={**variables, "PYTHONUNBUFFERED": "1"},
        layer=LAYER,
        errors_apart=True,
    )


def ready(address: str) -> bool:
    """Return True once the first page comes back whole: Django, its settings and its templates work."""
    try:
        with urllib.request.urlopen(f"{address}/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def works(log: Path) -> bool:
    """Return True once the worker's log tells that it takes tasks."""
    return log.exists() and " ready." in log.read_text(errors="replace")
