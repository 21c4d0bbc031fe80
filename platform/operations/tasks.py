"""Periodic tasks that need every package. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from adapters.public import take_engine_samples
from core import valkey
from operations import retention, workspace_data
from operations.monitoring import series


@shared_task
def sample_service() -> None:
    """Note how much the service did until now, and how each engine is, for the console's charts."""
    take_engine_samples(timezone.now())
    series.take_sample(valkey.client(), timezone.now())


@shared_task
def erase_workspaces() -> None:
    """Begin what deleted workspaces have to erase, and note those that are done."""
    workspace_data.erase_deleted_workspaces()


@shared_task
def sweep_retention() -> None:
    """Enqueue each row of the table of retention whose turn it is."""
    for row in retention.take_due():
        delete_old.apply_async((row.name,), queue=row.queue, expires=row.every.total_seconds())


@shared_task
def delete_old(name: str) -> None:
    """Delete what a row of the table of retention no longer keeps."""
    retention.delete_old(name, timezone.now())
