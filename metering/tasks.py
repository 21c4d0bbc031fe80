"""The periodic task of usage events. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from metering import partitions


@shared_task
def make_usage_partitions() -> None:
    """Make the tables of the coming months' usage events."""
    partitions.make_partitions(timezone.now())
