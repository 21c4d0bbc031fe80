"""Periodic tasks that need every floor. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from adapters.public import take_engine_samples
from config.watching import failed_tasks, series
from foundation import valkey


@shared_task
def sample_service() -> None:
    """Note how much the service did until now, and how each engine is, for the console's charts."""
    take_engine_samples(timezone.now())
    series.take_sample(valkey.client(), timezone.now())


@shared_task
def prune_failures() -> None:
    """Delete old failures of tasks."""
    failed_tasks.prune_failures(timezone.now())
