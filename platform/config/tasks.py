"""Periodic tasks that need every floor. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from config.watching import failed_tasks, series
from foundation import valkey


@shared_task
def sample_service() -> None:
    """Note how much the service did until now, for the console's charts."""
    series.take_sample(valkey.client(), timezone.now())


@shared_task
def prune_failures() -> None:
    """Delete old failures of tasks."""
    failed_tasks.prune_failures(timezone.now())
