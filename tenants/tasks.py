"""What beat asks for, again and again. Safe to repeat."""

from celery import shared_task

from tenants import accounts


@shared_task
def prune_sign_ups() -> None:
    """Delete accounts whose address nobody confirmed."""
    accounts.prune_unconfirmed()
