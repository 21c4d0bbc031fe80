"""Periodic task: the chain of the audit log. Safe to repeat."""

from celery import shared_task

from tenants.audit import chain


@shared_task
def link_audit() -> None:
    """Link entries of the audit log whose own process did not."""
    chain.link_all()
