"""Periodic tasks that need every floor. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from config.watching import series
from foundation import valkey


@shared_task
def sample_service() -> None:
    """Note how much the service did until now, for the console's charts."""
    series.take_sample(valkey.client(), timezone.now())
