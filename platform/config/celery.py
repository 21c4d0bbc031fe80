"""Celery only wakes workers: rows are the queue. See docs/architecture.md."""

import os
from typing import Any

from celery import Celery
from celery.apps.worker import Worker
from celery.signals import celeryd_after_setup

from core.queues import queue_of
from operations.settings_checks import refuse_half_configured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("polyscribe", task_cls="operations.monitoring.background_tasks:CountedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_after_setup.connect
def refuse_without_mail(sender: str, instance: Worker, **_: Any) -> None:
    """Raise SystemExit in a worker that would send mail, and has no server for it."""
    if queue_of("events.tasks.send_notices") in instance.app.amqp.queues.consume_from:
        refuse_half_configured(sends_mail=True)
