"""Where a Celery task waits and how often beat sends it, as settings say.

They name only the queues of tasks that don't wait in the default one.
"""

from django.conf import settings


def queue_of(task: str) -> str:
    """Return the queue that a task waits in, unless who enqueues it names another."""
    route = settings.CELERY_TASK_ROUTES.get(task)
    return route["queue"] if route else settings.CELERY_TASK_DEFAULT_QUEUE


def configured_queues() -> set[str]:
    """Return all queues that tasks wait in."""
    others = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    return {settings.CELERY_TASK_DEFAULT_QUEUE, *others}


def interval_s(task: str) -> float:
    """Return every how many seconds beat sends a task: what it enqueues expires when it enqueues it again."""
    return float(str(settings.CELERY_BEAT_SCHEDULE[task]["schedule"]))
