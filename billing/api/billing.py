"""Billing: the plan, its limits, the prices in force, and what the month has cost until now."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import DollarsField
from billing.invoices.invoices import balance_nanousd
from core import months
from tenants.metering.allowance import OveragePolicy, allowance_of
from tenants.metering.credits import credits_left
from tenants.metering.ledger import usage_of
from tenants.metering.plans import limits_of
from tenants.models import Plan, Scope, Subscription
from tenants.public import scheduled_change
from tenants.rest import WorkspaceView, operation

OVERAGE_POLICIES = [overage.value for overage in OveragePolicy]

BILLING_EXAMPLE = {
    "object": "billing",
    "plan": {"code": "free", "name": "Free"},
    "limits": {
        "requests_per_minute": 60,
        "tokens_per_minute": 20_000,
        "parallel_requests": 4,
        "max_output_tokens": 1024,
        "sequences_per_request": 16,
        "monthly_tokens": 1_000_000,
        "monthly_nanousd": None,
        "private_styles": 3,
        "stored_versions": 30,
        "stored_bytes": 2_147_483_648,
        "open_uploads": 3,
        "api_requests_per_minute": 300,
    },
    "prices": {"input_nanousd": 200, "cached_input_nanousd": 100, "output_nanousd": 600},
    "base_prices": None,
    "month": {
        "period": "2026-11",
        "tokens": 23_600,
        "included_tokens": 200_000,
        "included_tokens_left": 176_400,
        "max_tokens": 1_000_000,
        "shared_tokens": None,
        "overage": "credits",
        "cost_nanousd": 12_940_000,
        "cost_usd": "0.01294",
    },
    "scheduled_plan": None,
    "credits_left_nanousd": 21_500_000_000,
    "credits_left_usd": "21.50",
    "balance_nanousd": 0,
    "balance_usd": "0.00",
}


class PlanObject(serializers.Serializer[Any]):
    """A plan."""

    code = serializers.CharField()
    name = serializers.CharField()


class ScheduledPlanObject(PlanObject):
    """A scheduled plan."""

    takes_effect_at = serializers.DateTimeField()


class LimitsObject(serializers.Serializer[Any]):
    """The plan's limits. `null` for no limit."""

    requests_per_minute = serializers.IntegerField()
    tokens_per_minute = serializers.IntegerField()
    parallel_requests = serializers.IntegerField()
    max_output_tokens = serializers.IntegerField()
    sequences_per_request = serializers.IntegerField()
    monthly_tokens = serializers.IntegerField()
    monthly_nanousd = serializers.IntegerField(allow_null=True)
    private_styles = serializers.IntegerField()
    stored_versions = serializers.IntegerField()
    stored_bytes = serializers.IntegerField()
    open_uploads = serializers.IntegerField()
    api_requests_per_minute = serializers.IntegerField()


class PricesObject(serializers.Serializer[Any]):
    """Current prices, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField()
    cached_input_nanousd = serializers.IntegerField()
    output_nanousd = serializers.IntegerField()


class MonthObject(serializers.Serializer[Any]):
    """Usage in the current UTC month so far. Equals the ledger's total."""

    period = serializers.CharField()
    tokens = serializers.IntegerField()
    included_tokens = serializers.IntegerField(help_text="From the month's plans, prorated by day.")
    included_tokens_left = serializers.IntegerField()
    max_tokens = serializers.IntegerField(help_text="The plan's hard cap. No request can exceed it.")
    shared_tokens = serializers.IntegerField(
        allow_null=True,
        help_text="Used by all free workspaces of this workspace's longest-standing owner, who shares "
        "the included tokens between them. `null` on a paid plan.",
    )
    overage = serializers.ChoiceField(
        OVERAGE_POLICIES,
        help_text="What happens beyond the included tokens. `credits`: they are paid from credits, or "
        "the request is refused. `overage`: credits are used first, the rest is invoiced. "
        "`refused`: requests are refused.",
    )
    cost_nanousd = serializers.IntegerField()
    cost_usd = DollarsField(source="cost_nanousd")


class BillingObject(serializers.Serializer[Any]):
    """The plan, limits, prices and this month's cost."""

    object = serializers.CharField(default="billing", read_only=True)
    plan = PlanObject()
    limits = LimitsObject()
    prices = PricesObject(help_text="The standard price, for styles without their own price (`styles.get`).")
    base_prices = PricesObject(allow_null=True, help_text="The base model's price, if it has its own.")
    month = MonthObject()
    scheduled_plan = ScheduledPlanObject(allow_null=True, help_text="The scheduled plan change.")
    credits_left_nanousd = serializers.IntegerField()
    credits_left_usd = DollarsField(source="credits_left_nanousd")
    balance_nanousd = serializers.IntegerField(help_text="Amount due on finalized invoices.")
    balance_usd = DollarsField(source="balance_nanousd")


class BillingView(WorkspaceView):
    """What the workspace pays for."""

    @operation(
        "billing.get",
        "Get the plan, limits, prices and the month's cost so far",
        scope=Scope.BILLING_READ,
        answer=BillingObject,
        example=BILLING_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the current state."""
        now = timezone.now()
        tenant = self.access.tenant
        limits = limits_of(tenant, now)
        period = months.period_of(now)
        used = usage_of(tenant.pk, period)
        allowance = allowance_of(tenant, now)
        billing = {
            "scheduled_plan": _present_scheduled(scheduled_change(tenant, now)),
            "credits_left_nanousd": credits_left(tenant, period),
            "balance_nanousd": balance_nanousd(tenant.pk),
            "plan": Plan.objects.get(pk=limits.plan),
            "limits": limits,
            "prices": limits,
            "base_prices": limits.base_prices,
            "month": {
                "period": period,
                "tokens": used.tokens,
                "included_tokens": allowance.included_tokens,
                "included_tokens_left": max(0, allowance.included_tokens - allowance.counted(used.tokens)),
                "max_tokens": allowance.max_tokens,
                "shared_tokens": allowance.shared_tokens,
                "overage": allowance.overage.value,
                "cost_nanousd": used.nanousd,
            },
        }
        return Response(BillingObject(billing).data)


def _present_scheduled(subscription: Subscription | None) -> dict[str, Any] | None:
    if subscription is None:
        return None
    plan = subscription.plan_version.plan
    return {"code": plan.code, "name": plan.name, "takes_effect_at": subscription.starts_at}
