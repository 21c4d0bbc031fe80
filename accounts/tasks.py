"""Delete workspaces whose day is over. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from accounts import deletion


@shared_task
def delete_workspaces() -> None:
    """Delete the workspaces that no owner kept within a day."""
    deletion.delete_due(timezone.now())
