"""Celery's tasks: how many wait in the broker, which failed and may run again, and what each took."""

import hashlib
import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import redis
from celery.contrib.django.task import DjangoTask
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from core import valkey
from core.errors import Conflict

if TYPE_CHECKING:
    from operations.models import FailedTask


TIMEOUT_S = 2
SENT_AT = "sent_at"  # a header of our tasks' messages: seconds since the epoch


def read_queues(names: Sequence[str]) -> dict[str, tuple[int, float | None]]:
    """Return queue → how many messages wait, and when the oldest was sent.

    That is in Unix seconds, and None where nothing says so. Raises redis.RedisError.
    """
    with _connect() as broker:
        pipeline = broker.pipeline(transaction=False)
        for name in names:
            pipeline.llen(name)
            pipeline.lindex(name, -1)  # kombu pushes on the left and pops on the right
        answers = pipeline.execute()
    return {
        name: (waiting, _sent_at(oldest))
        for name, waiting, oldest in zip(names, answers[::2], answers[1::2], strict=True)
    }


def _sent_at(message: bytes | None) -> float | None:
    if message is None:
        return None
    try:
        return float(json.loads(message)["headers"][SENT_AT])
    except (ValueError, KeyError, TypeError):
        return None


def ping_broker() -> None:
    """Raise redis.RedisError unless the broker answers."""
    with _connect() as broker:
        broker.ping()


def _connect() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL, protocol=2, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )


# Keep what tasks failed with, and run them again.
#
# A task that fails every two seconds has one row, with a count. Arguments are ids by our own rule; whatever
# looks like a secret is masked all the same, before it is stored.

MAX_TEXT = 300  # characters of one argument
MAX_ITEMS = 100  # of a list
MAX_TRACEBACK = 6_000
MASK = "•••"
SECRET_NAME = re.compile(r"secret|token|password|passwd|api_?key|pepper|authorization", re.IGNORECASE)
SECRET_VALUE = re.compile(
    r"\bsk-[\w-]{8,}"  # a key of ours
    r"|\bwhsec_\w+|\b(?:sk|rk)_(?:live|test)_\w+"  # of webhooks, of the payment provider
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # a password in an address
    r"|\b[A-Za-z0-9_-]{40,}\b"  # long and without a gap
)


class NotRetryable(Conflict):
    """This task can't be run again from here because its arguments are masked. Its periodic sweep will retry
    it."""


def keep_failure(
    task: str,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    *,
    error: BaseException,
    traceback: str,
    queue: str,
) -> None:
    """Keep a failure, or count it to the row of the same task and arguments. Raises DatabaseError."""
    shown_args = [mask_value(value) for value in args]
    shown_kwargs = {name: MASK if SECRET_NAME.search(name) else mask_value(kwargs[name]) for name in kwargs}
    written = json.dumps([shown_args, shown_kwargs], sort_keys=True, ensure_ascii=False)
    now = timezone.now()
    facts = {
        "queue": queue[:80],
        "error": mask_text(f"{type(error).__name__}: {error}")[:500],
        "traceback": mask_text(traceback)[-MAX_TRACEBACK:],
        "last_at": now,
    }
    new = {
        **facts,
        "args": shown_args,
        "kwargs": shown_kwargs,
        "is_masked": MASK in written,
        "first_at": now,
    }
    digest = hashlib.sha256(written.encode()).hexdigest()
    with transaction.atomic():
        row, is_new = _model().objects.get_or_create(task=task, digest=digest, defaults=new)
        if not is_new:
            _model().objects.filter(pk=row.pk).update(times=F("times") + 1, **facts)


def mask_value(value: object) -> object:
    """Return an argument as it may be stored: short, and without what looks like a secret.

    What is cut ends as what is masked does: neither can be sent again.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [mask_value(item) for item in value[:MAX_ITEMS]] + [MASK] * (len(value) > MAX_ITEMS)
    text = mask_text(str(value))
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + MASK


def mask_text(text: str) -> str:
    """Return a text in which whatever looks like a secret is masked; ids stay."""
    return SECRET_VALUE.sub(_mask_unless_id, text)


def _mask_unless_id(found: re.Match[str]) -> str:
    try:
        UUID(found.group())
    except ValueError:
        return MASK
    return found.group()


def retry_task(failed: "FailedTask") -> None:
    """Send a failed task again when the transaction commits, with its arguments. Raises NotRetryable."""
    from celery import current_app  # noqa: PLC0415 (this module is imported by its task class)

    if failed.is_masked:
        raise NotRetryable
    _model().objects.filter(pk=failed.pk).update(retried_at=timezone.now())
    message = current_app.signature(failed.task, args=failed.args, kwargs=failed.kwargs)
    options: dict[str, Any] = {"queue": failed.queue} if failed.queue else {}
    transaction.on_commit(lambda: message.apply_async(**options))


def _model() -> Any:
    # Celery makes its task class before any model is loaded.
    return apps.get_model("operations", "FailedTask")


# What workers did: each task counts itself in Valkey when it ends.

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
            keep_failure(str(self.name), args, kwargs, error=exc, traceback=str(einfo), queue=queue)
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
