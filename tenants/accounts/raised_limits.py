"""Raise a limit of a workspace for some time. It ends by its date: no task has to run for that."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid
from tenants.metering import plans
from tenants.models import RaisedLimit, Tenant, User
from tenants.quota_sync import snapshot

LONGEST = timedelta(days=90)  # who needs more for longer needs another plan
HIGHEST = {
    "max_output_tokens": 100_000,
    "sequences_per_request": 1_000,
}  # what an engine takes at all
HIGHEST_OF_OTHERS = 10**12


class NotRaised(Invalid):
    """The workspace already has {present} {limit}. Enter a higher number."""

    code = "not_raised"


class TooHigh(Invalid):
    """Too high. The maximum is {highest} {limit}."""

    code = "limit_too_high"


class BadEnd(Invalid):
    """The end must be within the next {days} days."""

    code = "bad_end"


class AlreadyEnded(Conflict):
    """This has already ended."""

    code = "already_ended"


def raise_limit(
    tenant: Tenant, limit: str, amount: int, *, ends_at: datetime, actor: User | None, reason: str
) -> RaisedLimit:
    """Let a workspace use more of something from the next request on, until a moment.

    Raises NotRaised, TooHigh and BadEnd.
    """
    now = timezone.now()
    require_raise(tenant, limit, amount, ends_at=ends_at, now=now)
    with transaction.atomic():
        raised = RaisedLimit.objects.create(
            tenant=tenant,
            limit=limit,
            amount=amount,
            starts_at=now,
            ends_at=ends_at,
            actor=actor,
            reason=reason[:300],
        )
        snapshot.mark_changed(tenant.pk)
    return raised


def require_raise(tenant: Tenant, limit: str, amount: int, *, ends_at: datetime, now: datetime) -> None:
    """Raise NotRaised, TooHigh or BadEnd for what would raise nothing, too much or for too long."""
    label = RaisedLimit.Limit(limit).label
    highest = HIGHEST.get(limit, HIGHEST_OF_OTHERS)
    if amount > highest:
        raise TooHigh(highest=f"{highest:,}", limit=label, field="amount")
    present = getattr(plans.limits_of(tenant, now), limit)
    if amount <= present:
        raise NotRaised(present=f"{present:,}", limit=label, field="amount")
    if not now < ends_at <= now + LONGEST:
        raise BadEnd(days=LONGEST.days, field="ends_at")


def end_raised_limit(raised: RaisedLimit) -> None:
    """Let the plan's limit hold again from the next request on. Raises AlreadyEnded."""
    now = timezone.now()
    with transaction.atomic():
        open_ones = RaisedLimit.objects.at(now).filter(pk=raised.pk)
        if not open_ones.update(ends_at=now):
            raise AlreadyEnded
        snapshot.mark_changed(raised.tenant_id)
