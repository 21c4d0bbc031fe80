"""Erase the styles of deleted workspaces, some at a time. It goes on after any restart."""

from django.db.models import QuerySet

from adapters.erasure import workflow
from adapters.models import Erasure, Selection, Share, Style
from tenants.models import Tenant
from tenants.public import list_to_erase, mark_erased

BATCH_SIZE = 20  # styles at once of one workspace: the sweep comes again in seconds


def erase_deleted_workspaces() -> None:
    """Begin to erase the next styles of each deleted workspace, and note those that are done."""
    for tenant in list_to_erase():
        _erase_some(tenant)
        if not open_styles(tenant).exists() and not unfinished_erasures(tenant).exists():
            mark_erased(tenant)


def open_styles(tenant: Tenant) -> QuerySet[Style]:
    """Return the styles whose erasure has not begun."""
    return Style.objects.filter(owner=tenant, retired_at=None)


def unfinished_erasures(tenant: Tenant) -> QuerySet[Erasure]:
    """Return the erasures that still have a step to take."""
    return Erasure.objects.filter(version__style__owner=tenant, finished_at=None)


def _erase_some(tenant: Tenant) -> None:
    Selection.objects.filter(tenant=tenant).delete()
    Share.objects.filter(tenant=tenant).delete()
    for style in open_styles(tenant).order_by("pk")[:BATCH_SIZE]:
        workflow.erase_style(style, None, at_once=True)
