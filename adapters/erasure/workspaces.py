"""Erase the styles of a deleted workspace, some at a time. It goes on after any restart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from adapters.erasure import workflow
from adapters.erasure.report import STAYS, erasure_reports
from adapters.models import Erasure, Selection, Share, Style
from tenants.models import Tenant

BATCH_SIZE = 20  # styles at once of one workspace: the sweep comes again in seconds
SHOWN = 200


@dataclass(frozen=True)
class StylesErasure:
    """How far the styles of a workspace are erased. A style waits until that of its versions begins."""

    waiting_styles: int
    done_count: int
    total_count: int
    erasures: Sequence[Erasure]  # the unfinished ones first, SHOWN at most


def erase_some_styles(tenant: Tenant) -> bool:
    """Begin to erase the next styles of a workspace; return whether all of them are erased."""
    Selection.objects.filter(tenant=tenant).delete()
    Share.objects.filter(tenant=tenant).delete()
    for style in _open_styles(tenant).order_by("pk")[:BATCH_SIZE]:
        workflow.erase_style(style, None, at_once=True)
    is_open = _open_styles(tenant).exists()
    return not is_open and not _erasures(tenant).filter(finished_at=None).exists()


def describe_styles_erasure(tenant: Tenant) -> StylesErasure:
    """Return how far the erasure of a workspace's styles is."""
    erasures = _erasures(tenant)
    total = erasures.count()
    return StylesErasure(
        waiting_styles=_open_styles(tenant).count(),
        done_count=total - erasures.filter(finished_at=None).count(),
        total_count=total,
        erasures=list(erasures.order_by("finished_at", "-requested_at")[:SHOWN]),
    )


def report_styles_erasure(tenant: Tenant) -> dict[str, Any]:
    """Return every version's proof for JSON, and what stays of a version."""
    reports = erasure_reports(list(_erasures(tenant).order_by("requested_at")))
    return {"stays": STAYS, "versions": [report.data() for report in reports]}


def _open_styles(tenant: Tenant) -> QuerySet[Style]:
    """Return the styles whose erasure has not begun."""
    return Style.objects.filter(owner=tenant, retired_at=None)


def _erasures(tenant: Tenant) -> QuerySet[Erasure]:
    return Erasure.objects.filter(version__style__owner=tenant).select_related("version__style__owner")
