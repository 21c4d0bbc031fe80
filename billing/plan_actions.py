"""What owners and programs do to the plan: the change with its entry in the audit log, in one transaction."""

from datetime import datetime

from django.db import transaction

from billing import plan_changes
from tenants.metering import plans
from tenants.models import PlanVersion, Subscription
from tenants.public import Access


@transaction.atomic
def change_plan(access: Access, code: str, *, now: datetime) -> tuple[PlanVersion, Subscription]:
    """Return the plan before and the new subscription. Raises what `plan_changes.choose_plan` does."""
    before = plans.plan_version_at(access.tenant, now)
    subscription = plan_changes.choose_plan(access.tenant, code, now=now)
    begins = {"plan": str(subscription.plan_version), "takes_effect_at": subscription.starts_at.isoformat()}
    access.audit("plan.changed", subscription, before={"plan": str(before)}, after=begins)
    return before, subscription


@transaction.atomic
def keep_plan(access: Access) -> PlanVersion:
    """Forget the scheduled change; return the plan that stays. Raises NothingScheduled."""
    kept = plan_changes.keep_plan(access.tenant)
    access.audit("plan.kept", access.tenant, after={"plan": str(kept)})
    return kept
