"""Billing: the plan, its limits, the prices in force, the month until now; and the billing details."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from accounts.subscriptions import scheduled_change
from billing.invoices import details
from billing.invoices.invoices import balance_nanousd
from billing.models import BillingDetails
from billing.models.billing_details import MAX_ADDRESS
from core import months
from core.names import validate_name, validate_text
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import DollarsField
from metering import trainings
from metering.allowance import OveragePolicy, allowance_of
from metering.credits import credits_left
from metering.ledger import usage_of
from metering.models import Plan
from metering.plan_limits import PLAN_LIMITS
from metering.plans import limits_of
from tenants.models import Scope, Tenant
from tenants.rest import WorkspaceViewSet, described
from tenants.roles import Permission

OVERAGE_POLICIES = [overage.value for overage in OveragePolicy]


class PlanObject(serializers.Serializer[Any]):
    """A plan."""

    code = serializers.CharField()
    name = serializers.CharField()


class ScheduledPlanObject(serializers.Serializer[Any]):
    """A scheduled plan."""

    code = serializers.CharField(source="plan_version.plan.code")
    name = serializers.CharField(source="plan_version.plan.name")
    takes_effect_at = serializers.DateTimeField(source="starts_at")


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

    example: ClassVar = {
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


class DetailsObject(serializers.Serializer[BillingDetails]):
    """The details shown on future invoices."""

    example: ClassVar = {
        "object": "billing_details",
        "name": "Acme Letters Ltd",
        "address": "1 High Street\nLondon\nUnited Kingdom",
        "tax_id": "GB123456789",
        "reference": "PO 4711",
    }

    object = serializers.CharField(default="billing_details", read_only=True)
    name = serializers.CharField(allow_blank=True, help_text="If empty, the workspace's name is used.")
    address = serializers.CharField(allow_blank=True)
    tax_id = serializers.CharField(allow_blank=True)
    reference = serializers.CharField(allow_blank=True)


class DetailsBody(StrictSerializer):
    """The fields that can be updated."""

    example: ClassVar = {"tax_id": "GB123456789"}

    name = TextField(max_length=100, validators=[validate_name], allow_blank=True, required=False)
    address = TextField(max_length=MAX_ADDRESS, validators=[validate_text], allow_blank=True, required=False)
    tax_id = TextField(max_length=40, validators=[validate_name], allow_blank=True, required=False)
    reference = TextField(max_length=60, validators=[validate_name], allow_blank=True, required=False)


class BillingViewSet(WorkspaceViewSet):
    """What the workspace pays for."""

    tag = "billing"
    scope = Scope.BILLING_READ
    serializer_class = BillingObject

    @described(summary="Get the plan and this month's cost")
    def retrieve(self, tenant: Tenant) -> dict[str, object]:
        """Return the plan, its limits, prices, and the usage and cost of the current month."""
        now = timezone.now()
        limits = limits_of(tenant, now)
        period = months.period_of(now)
        used = usage_of(tenant.pk, period)
        allowance = allowance_of(tenant, now)
        return {
            "scheduled_plan": scheduled_change(tenant, now),
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
                "included_tokens_left": max(0, allowance.included_tokens - used.tokens),
                "max_tokens": allowance.max_tokens,
                "overage": allowance.overage.value,
                "cost_nanousd": used.nanousd,
                **_present_trainings(tenant, period),
            },
        }


class DetailsViewSet(WorkspaceViewSet):
    """Whom invoices are made out to."""

    tag, noun = "billing", "the billing details"
    scope, read_scope, needs = Scope.ADMIN, Scope.BILLING_READ, Permission.MANAGE_BILLING
    serializer_class = DetailsObject
    body = DetailsBody

    def get_object(self, *, is_locked: bool = False) -> BillingDetails:
        return details.details_of(super().get_object(is_locked=is_locked))

    @described(name="details")
    def retrieve(self, saved: BillingDetails) -> BillingDetails:
        """Return the billing details."""
        return saved

    @described(name="edit_details")
    def partial_update(self, saved: BillingDetails, changes: dict[str, str]) -> BillingDetails:
        """Update the fields in the body, starting with the next invoice. Requires an owner or a key with
        `admin`."""
        return details.set_details(changes, by=self.access)


def _present_trainings(tenant: Tenant, period: str) -> dict[str, int]:
    charged = trainings.charged_tokens(tenant.pk, period)
    return {
        "trained_tokens": sum(one.tokens for one in charged),
        "trainings_nanousd": sum(one.cost_nanousd for one in charged),
        "trainings_held_nanousd": trainings.open_holds_nanousd(tenant.pk),
    }
