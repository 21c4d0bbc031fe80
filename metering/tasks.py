"""Periodic tasks: partitions of usage events, planned changes of limits. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from core import valkey
from metering import partitions
from metering.quota_sync import snapshot


@shared_task
def make_usage_partitions() -> None:
    """Make the tables of the coming months' usage events."""
    partitions.make_partitions(timezone.now())


@shared_task
def publish_planned_changes() -> None:
    """Publish what limits will be, some hours before they change by themselves. Safe to repeat."""
    snapshot.publish_planned_changes(valkey.client(), timezone.now())
