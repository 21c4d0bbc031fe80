"""Periodic tasks that need every package. Safe to repeat."""

from datetime import timedelta

from celery import shared_task
from django.apps import apps
from django.utils import timezone

from adapters.public import take_engine_samples
from core import valkey
from operations import workspace_erasure
from operations.monitoring import failed_tasks, series


@shared_task
def sample_service() -> None:
    """Note how much the service did until now, and how each engine is, for the console's charts."""
    take_engine_samples(timezone.now())
    series.take_sample(valkey.client(), timezone.now())


@shared_task
def erase_workspaces() -> None:
    """Begin what deleted workspaces have to erase, and note those that are done."""
    workspace_erasure.erase_deleted_workspaces()


CONSOLE_HISTORY_KEPT = timedelta(days=90)


@shared_task
def prune_console_history() -> None:
    """Delete Django's own notes of changes in the console: the audit log says more, and for longer."""
    before = timezone.now() - CONSOLE_HISTORY_KEPT
    apps.get_model("admin", "LogEntry").objects.filter(action_time__lt=before).delete()


@shared_task
def prune_failures() -> None:
    """Delete old failures of tasks."""
    failed_tasks.prune_failures(timezone.now())
