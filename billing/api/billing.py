"""Billing: the plan, its limits, the prices in force, and what the month has cost until now."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import DollarsField
from billing.invoices.invoices import balance_nanousd
from core import months
from tenants.metering import trainings
from tenants.metering.allowance import OveragePolicy, allowance_of
from tenants.metering.credits import credits_left
from tenants.metering.ledger import usage_of
from tenants.metering.plan_limits import PLAN_LIMITS
from tenants.metering.plans import limits_of
from tenants.models import Plan, Scope, Subscription, Tenant
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
        "parallel_trainings": 1,
        "monthly_trainings": 3,
        "training_words": 50_000,
        "api_requests_per_minute": 300,
    },
    "prices": {"input_nanousd": 200, "cached_input_nanousd": 100, "output_nanousd": 600},
    "base_prices": None,
    "trained_token_nanousd": 3_000,
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
        "trained_tokens": 120_000,
        "trainings_nanousd": 360_000_000,
        "trainings_usd": "0.36",
        "trainings_held_nanousd": 0,
        "trainings_held_usd": "0.00",
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

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return a field for each limit of the table that programs read."""
        return {
            limit.name: serializers.IntegerField(allow_null=limit.has_none)
            for limit in PLAN_LIMITS
            if limit.about
        }


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
    trained_tokens = serializers.IntegerField(
        help_text="Tokens that trainings of styles learned from. They are not part of `tokens` and never "
        "included."
    )
    trainings_nanousd = serializers.IntegerField(
        help_text="What trainings cost. The budget counts it together with `cost_nanousd`."
    )
    trainings_usd = DollarsField(source="trainings_nanousd")
    trainings_held_nanousd = serializers.IntegerField(
        help_text="Reserved for trainings in progress: the most they can still cost."
    )
    trainings_held_usd = DollarsField(source="trainings_held_nanousd")


class BillingObject(serializers.Serializer[Any]):
    """The plan, limits, prices and this month's cost."""

    object = serializers.CharField(default="billing", read_only=True)
    plan = PlanObject()
    limits = LimitsObject()
    prices = PricesObject(help_text="The standard price, for styles without their own price (`styles.get`).")
    base_prices = PricesObject(allow_null=True, help_text="The base model's price, if it has its own.")
    trained_token_nanousd = serializers.IntegerField(
        help_text="The price of training a style, per trained token. A training is charged at the price in "
        "effect when it starts."
    )
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
        "Get the plan and this month's cost",
        scope=Scope.BILLING_READ,
        answer=BillingObject,
        example=BILLING_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the plan, its limits, prices, and the usage and cost of the current month."""
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
            "trained_token_nanousd": trainings.price_at(tenant, now),
            "month": {
                "period": period,
                "tokens": used.tokens,
                "included_tokens": allowance.included_tokens,
                "included_tokens_left": max(0, allowance.included_tokens - allowance.counted(used.tokens)),
                "max_tokens": allowance.max_tokens,
                "shared_tokens": allowance.shared_tokens,
                "overage": allowance.overage.value,
                "cost_nanousd": used.nanousd,
                **_present_trainings(tenant, period),
            },
        }
        return Response(BillingObject(billing).data)


def _present_trainings(tenant: Tenant, period: str) -> dict[str, int]:
    charged = trainings.charged_tokens(tenant.pk, period)
    return {
        "trained_tokens": sum(one.tokens for one in charged),
        "trainings_nanousd": sum(one.cost_nanousd for one in charged),
        "trainings_held_nanousd": trainings.open_holds_nanousd(tenant.pk),
    }


def _present_scheduled(subscription: Subscription | None) -> dict[str, Any] | None:
    if subscription is None:
        return None
    plan = subscription.plan_version.plan
    return {"code": plan.code, "name": plan.name, "takes_effect_at": subscription.starts_at}
