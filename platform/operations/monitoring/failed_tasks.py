"""Keep what tasks failed with, and run them again.

A task that fails every two seconds has one row, with a count. Arguments are ids by our own rule; whatever
looks like a secret is masked all the same, before it is stored.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.errors import Conflict

if TYPE_CHECKING:
    from operations.models import FailedTask

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
