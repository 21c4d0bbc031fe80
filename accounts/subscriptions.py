"""Which plan a workspace is on: subscribe it, and cancel a change that is scheduled."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict
from events.models import EventType
from events.outbox import record_event
from metering import plans
from metering.models import PlanVersion, Subscription
from metering.quota_sync import snapshot
from tenants.models import Tenant


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
