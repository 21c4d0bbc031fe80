"""Suspension: a style answers nobody, its owner neither, and is taken off the engines; its files are kept.

For what must stop at once and may be looked at later. Lifting it brings all back as it was.
"""

from django.db import transaction
from django.utils import timezone

from adapters.errors import NotSuspended, SuspendedAlready
from adapters.models import Placement, Style
from adapters.routing import publisher


def suspend_style(style: Style, *, reason: str) -> None:
    """Let no name lead to a style from the next request on; its owner reads the reason.

    Requests that run end as they would have. Raises SuspendedAlready.
    """
    with transaction.atomic():
        # Placements first, in the order of `mark_loaded`: so the two never wait for each other.
        Placement.objects.filter(version__style=style).update(is_desired=False)
        serving = Style.objects.filter(pk=style.pk, suspended_at=None)
        if not serving.update(suspended_at=timezone.now(), suspended_reason=reason[:300]):
            raise SuspendedAlready
        publisher.mark_changed(style)


def lift_suspension(style: Style) -> None:
    """Let a style answer again; the next plan places it, else a request does. Raises NotSuspended."""
    with transaction.atomic():
        suspended = Style.objects.filter(pk=style.pk).exclude(suspended_at=None)
        if not suspended.update(suspended_at=None, suspended_reason=""):
            raise NotSuspended
        publisher.mark_changed(style)
