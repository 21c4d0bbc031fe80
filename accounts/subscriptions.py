"""Which plan a workspace is on: subscribe it, and cancel a change that is scheduled."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from core import locks, months
from core.errors import Conflict
from events.models import EventType
from events.outbox import record_event
from metering import plans
from metering.models import LedgerEntry, PlanVersion, Subscription
from metering.quota_sync import snapshot
from tenants.models import FormerMember, Membership, Tenant, User
from tenants.persons import keep_person, person_of

# A person owns at most one workspace on the free plan, so that its tokens are once a person and month.
#
# A workspace that was deleted counts until the month ends, if it used some of them. A person is whoever reads
# one mailbox (tenants/persons.py). Operators may assign the free plan as they like.


class FreePlanTaken(Conflict):
    """You can own one workspace on the free plan, and you have one: {workspace}. Choose a paid plan for it
    first."""


class FreePlanUsed(Conflict):
    """You can own one workspace on the free plan per month, and {workspace}, which you deleted, was on it.
    You can have another one from {day}."""


class OwnsOtherFreeWorkspace(Conflict):
    """A person can own one workspace on the free plan, and {email} already owns one. Choose a paid plan for
    this workspace or the other one."""


def lock(user: User) -> None:
    """Until the transaction ends, let nobody else decide what this person may own."""
    keep_person(user)
    locks.one_at_a_time(f"founding by {user.person}")


def is_free(tenant: Tenant) -> bool:
    """Return whether a workspace is on the free plan, or will be once what is scheduled begins."""
    return not _paid_subscriptions().filter(tenant=tenant).exists()


def require_unused(user: User, *, beside: Tenant | None = None) -> None:
    """Raise FreePlanTaken or FreePlanUsed where a person has another workspace on the free plan."""
    lock(user)
    refusal = find_refusal(user, beside=beside)
    if refusal:
        raise refusal


def find_refusal(user: User, *, beside: Tenant | None = None) -> FreePlanTaken | FreePlanUsed | None:
    """Return why a person can't have another workspace on the free plan now, or None."""
    now = timezone.now()
    other = find_free_workspace(user, now, beside=beside)
    if other is None:
        return None
    if other.deleted_at is None:
        return FreePlanTaken(workspace=other.name, field="workspace")
    _, month_ends = months.bounds(months.period_of(now))
    return FreePlanUsed(workspace=other.name, day=date_format(month_ends, gettext("j F")), field="workspace")


def require_for_owner(user: User, tenant: Tenant) -> None:
    """Raise OwnsOtherFreeWorkspace for a person who is to own a workspace on the free plan beside another."""
    if is_free(tenant):
        lock(user)
        if find_free_workspace(user, timezone.now(), beside=tenant):
            raise OwnsOtherFreeWorkspace(email=user.email)


def require_for_owners(tenant: Tenant) -> None:
    """Raise OwnsOtherFreeWorkspace where an owner of a workspace that is to be a free one has another."""
    owners = User.objects.filter(memberships__tenant=tenant, memberships__role=Membership.Role.OWNER)
    for owner in owners.order_by("pk"):
        lock(owner)
        if find_free_workspace(owner, timezone.now(), beside=tenant):
            raise OwnsOtherFreeWorkspace(email=owner.email)


def find_free_workspace(user: User, now: datetime, *, beside: Tenant | None = None) -> Tenant | None:
    """Return a workspace on the free plan that a person owns, or has owned and used this month, or None."""
    person = person_of(user)
    owned = Membership.objects.filter(Q(user=user) | Q(user__person=person), role=Membership.Role.OWNER)
    once_owned = FormerMember.objects.filter(person=person, was_owner=True)
    others = Tenant.objects.exclude(pk=beside.pk) if beside else Tenant.objects.all()

    of_workspace = Q(tenant=OuterRef("pk"))
    is_owned = Exists(owned.filter(of_workspace))
    live = Q(is_owned, ~Exists(_paid_subscriptions().filter(of_workspace)), deleted_at=None)

    period = months.period_of(now)
    month_begins, month_ends = months.bounds(period)
    # With the account of its last member, a workspace loses its owner. Whatever plan it was on ends with it:
    # then it is on the free plan, which began at that moment.
    was_free = Subscription.objects.within(month_begins, month_ends).filter(
        of_workspace, plan_version__plan=plans.FREE, starts_at__lt=OuterRef("deleted_at")
    )
    used = LedgerEntry.objects.filter(of_workspace, period=period, tokens__gt=0)
    deleted = Q(Exists(was_free), Exists(used), deleted_at__gte=month_begins)

    # One query, which begins with the person's few workspaces: an OR of conditions would read all of them.
    theirs = owned.values("tenant").union(once_owned.values("tenant"))
    found = others.filter(live | deleted, pk__in=theirs)
    return found.order_by(F("deleted_at").asc(nulls_first=True)).first()


def _paid_subscriptions() -> QuerySet[Subscription]:
    """Return subscriptions without an end to other plans: a change that is scheduled counts as made."""
    return Subscription.objects.filter(ends_at=None).exclude(plan_version__plan=plans.FREE)


class LaterSubscription(Conflict):
    """The current subscription starts later than that. Choose a later time."""

    code = "conflict"


def subscribe_tenant(tenant: Tenant, version: PlanVersion, *, at: datetime | None = None) -> Subscription:
    """Return a new open subscription from a moment on (default: now); the present one ends there.

    Raises LaterSubscription when the present one began later than that.
    """
    at = at or timezone.now()
    with transaction.atomic():
        before = Subscription.objects.select_for_update().filter(tenant=tenant, ends_at=None).first()
        if before and before.starts_at > at:
            raise LaterSubscription
        if before:
            Subscription.objects.filter(pk=before.pk).update(ends_at=at)
        subscription = Subscription.objects.create(tenant=tenant, plan_version=version, starts_at=at)
        snapshot.mark_changed(tenant.pk)
    return subscription


def assign_plan(tenant: Tenant, version: PlanVersion, *, now: datetime | None = None) -> Subscription:
    """Subscribe a workspace at once to any plan version, as operators may; return the subscription.

    What was scheduled before is forgotten.
    """
    now = now or timezone.now()
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        current = plans.plan_version_at(tenant, now)
        scheduled = scheduled_change(tenant, now)
        if scheduled:
            cancel_scheduled(scheduled)
        subscription = subscribe_tenant(tenant, version, at=now)
        record_plan_change(tenant, current, version, now)
    return subscription


def scheduled_change(tenant: Tenant, now: datetime) -> Subscription | None:
    """Return the subscription that begins later, or None."""
    later = Subscription.objects.filter(tenant=tenant, starts_at__gt=now)
    return later.select_related("plan_version__plan").order_by("starts_at").first()


def cancel_scheduled(scheduled: Subscription) -> None:
    """Delete a subscription that has not begun, and let the one before it go on."""
    Subscription.objects.filter(pk=scheduled.pk).delete()
    before = Subscription.objects.filter(tenant=scheduled.tenant_id, ends_at=scheduled.starts_at)
    before.update(ends_at=None)


def record_plan_change(tenant: Tenant, before: PlanVersion, after: PlanVersion, starts_at: datetime) -> None:
    """Record the event of a change of the plan."""
    record_event(
        tenant.pk,
        EventType.PLAN_CHANGED,
        tenant,
        plan=after.plan_id,
        previous_plan=before.plan_id,
        takes_effect_at=starts_at,
    )
