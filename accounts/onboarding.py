"""The first steps of a workspace: what is done is read from its rows, so that no step can be wrong."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from metering.models import Invoice, UsageDaily
from metering.request_log import RefusedLately, read_refusals, refused_lately
from tenants.models import ApiKey, Membership, Tenant, User


@dataclass(frozen=True)
class Onboarding:
    """What a workspace has done so far, what was refused to it, and whether a member reads the next steps."""

    is_hidden: bool
    has_written: bool
    has_key: bool
    has_called: bool  # by a key of its own, so from a program
    owes: bool  # a finalized invoice is not paid
    refusals: list[RefusedLately]  # of the last day


def onboarding_of(user: User, tenant: Tenant) -> Onboarding:
    """Return what a member's workspace has done, and what was refused to it; one query.

    An operator who impersonates the owner is no member, and sees the steps.
    """
    of_tenant = {"tenant": OuterRef("pk")}
    usage = UsageDaily.objects.filter(**of_tenant)
    unpaid = Invoice.objects.filter(**of_tenant, state=Invoice.State.FINALIZED, total_nanousd__gt=0)
    own_place = Membership.objects.filter(**of_tenant, user=user)
    workspaces = Tenant.objects.filter(pk=tenant.pk).annotate(
        steps_hidden_at=Subquery(own_place.values("steps_hidden_at")),
        has_written=Exists(usage),
        has_key=Exists(ApiKey.objects.filter(**of_tenant, revoked_at=None).exclude(digest=None)),
        has_called=Exists(usage.exclude(key__digest=None)),
        owes=Exists(unpaid),
        refusals=refused_lately(OuterRef("pk")),
    )
    columns = ("steps_hidden_at", "has_written", "has_key", "has_called", "owes", "refusals")
    row = workspaces.values(*columns).get()
    return Onboarding(
        is_hidden=row["steps_hidden_at"] is not None,
        has_written=row["has_written"],
        has_key=row["has_key"],
        has_called=row["has_called"],
        owes=row["owes"],
        refusals=read_refusals(row["refusals"]),
    )


def hide_steps(user: User, tenant: Tenant) -> None:
    """Take the next steps off a member's Home, for that member alone."""
    shown = Membership.objects.filter(user=user, tenant=tenant, steps_hidden_at=None)
    shown.update(steps_hidden_at=timezone.now())
