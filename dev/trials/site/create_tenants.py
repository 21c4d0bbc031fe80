"""Make a trial's tenants."""

from secrets import token_hex
from typing import Any

from django.contrib.auth import get_user_model

from accounts.subscriptions import subscribe_tenant
from adapters.catalog.selection import select_style
from adapters.models import Style
from adapters.public import found_workspace
from core import months
from keys.actions import create_key
from metering.credits import grant_credit
from metering.models import Plan, PlanVersion
from tenants.access import access_of_person
from tenants.models import Scope

PLAN = "trial"
WIDE = 10_000_000  # no minute's limit is meant to be met: the trials are about the month's


def create_tenants(*, tenants: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Return what was made: id, name, cap and API key of each tenant."""
    return [create_tenant_with_key(**wanted) for wanted in tenants]


def create_tenant_with_key(
    *, name: str, monthly_tokens: int, credit_nanousd: int | None = None
) -> dict[str, object]:
    """Return a new tenant with a hard cap of its own, every public style selected, and a key.

    With a credit it has no overage and no included tokens: the credit is all that it may spend.
    """
    user = get_user_model().objects.create_user(f"{name}-{token_hex(4)}@polyscribe.example")
    tenant = found_workspace(user, name=f"Trial {name}")
    # Since the month began: days on the free plan would bring a part of its included tokens.
    begins_at, _ = months.bounds(months.current())
    tenant.subscriptions.all().delete()
    version = create_plan_version(monthly_tokens, overage_allowed=credit_nanousd is None)
    subscribe_tenant(tenant, version, at=begins_at)
    if credit_nanousd is not None:
        grant_credit(
            tenant,
            credit_nanousd,
            source="promotion",
            source_id=f"trial {tenant.pk}",
            reason="Trial",
            actor="trial",
        )
    for style in Style.objects.filter(is_public=True):
        select_style(tenant, style)
    owner = access_of_person(user, tenant, address=None)
    _, secret = create_key(owner, name="trial", scopes=[Scope.ADMIN.value])
    return {
        "id": str(tenant.pk),
        "name": name,
        "monthly_tokens": monthly_tokens,
        "api_key": secret,
        "credit_nanousd": credit_nanousd,
    }


def create_plan_version(monthly_tokens: int, *, overage_allowed: bool) -> PlanVersion:
    """Return a new version of the trials' plan."""
    plan, _ = Plan.objects.get_or_create(code=PLAN, defaults={"name": "Trial"})
    return PlanVersion.objects.create(
        plan=plan,
        number=plan.versions.count() + 1,
        monthly_tokens=monthly_tokens,
        requests_per_minute=WIDE,
        tokens_per_minute=WIDE,
        parallel_requests=WIDE,
        max_output_tokens=256,
        private_styles=100,
        monthly_trainings=100,
        overage_allowed=overage_allowed,
    )
