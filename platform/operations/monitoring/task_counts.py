"""What workers did: each task counts itself in Valkey when it ends."""

import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import redis
from celery.contrib.django.task import DjangoTask
from django.db import DatabaseError

from core import valkey
from operations.monitoring import failed_tasks
from operations.monitoring.broker import SENT_AT

SUCCEEDED = "ok"
FAILED = "failed"
BUSY_MS = "busy_ms"
LAST_S = "last_s"

logger = logging.getLogger(__name__)

type Store = Any


@dataclass
class TaskCounts:
    """How often a task ended, how long workers were busy with it, and when it last went well."""

    succeeded: int = 0
    failed: int = 0
    busy_s: float = 0.0
    last_s: int | None = None  # Unix seconds


class CountedTask(DjangoTask):  # type: ignore[type-arg]  # it is generic only in its stubs
    """A task that says when it was sent, counts its ends, and keeps its failures. All may fail without it."""

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send the task with the time, so that a queue tells how old its oldest message is."""
        options["headers"] = {SENT_AT: time.time(), **(options.get("headers") or {})}
        return super().apply_async(*args, **options)

    def before_start(self, *_: Any) -> None:
        """Note when the task began."""
        self.request.began_s = time.monotonic()  # type: ignore[attr-defined]  # a place for our own

    def after_return(self, status: str, *_: Any) -> None:
        """Count the end."""
        began_s = getattr(self.request, "began_s", None)
        busy_s = time.monotonic() - began_s if began_s else 0.0
        try:
            count_task(valkey.client(), str(self.name), is_success=status == "SUCCESS", busy_s=busy_s)
        except redis.RedisError:
            logger.warning("task %s was not counted: Valkey isn't responding", self.name)

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Keep what failed, for the console."""
        info = getattr(self.request, "delivery_info", None) or {}
        queue = str(info.get("routing_key") or "")
        try:
            failed_tasks.keep_failure(
                str(self.name), args, kwargs, error=exc, traceback=str(einfo), queue=queue
            )
        except DatabaseError:
            logger.warning("the failure of task %s was not recorded: PostgreSQL isn't responding", self.name)


def count_task(store: Store, task: str, *, is_success: bool, busy_s: float) -> None:
    """Count one end of a task. Raises redis.RedisError."""
    key = valkey.metrics_tasks_key()
    pipeline = store.pipeline(transaction=False)
    pipeline.hincrby(key, f"{task} {SUCCEEDED if is_success else FAILED}", 1)
    pipeline.hincrby(key, f"{task} {BUSY_MS}", int(busy_s * 1000))
    if is_success:
        pipeline.hset(key, f"{task} {LAST_S}", int(time.time()))
    pipeline.execute()


def read_counts(store: Store) -> dict[str, TaskCounts]:
    """Return what each task counted. Raises redis.RedisError."""
    counts: dict[str, TaskCounts] = defaultdict(TaskCounts)
    for field, written in store.hgetall(valkey.metrics_tasks_key()).items():
        task, kind = field.rsplit(" ", 1)
        number = int(written)
        if kind == SUCCEEDED:
            counts[task].succeeded = number
        elif kind == FAILED:
            counts[task].failed = number
        elif kind == BUSY_MS:
            counts[task].busy_s = number / 1000
        elif kind == LAST_S:
            counts[task].last_s = number
    return counts
