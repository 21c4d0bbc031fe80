"""Billing: the plan, its limits, the prices in force, the month until now; billing details; other plans."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.subscriptions import scheduled_change
from adapters.public import count_holdings
from billing import plan_changes
from billing.invoices import details
from billing.invoices.invoices import balance_nanousd
from billing.models import MAX_ADDRESS, BillingDetails
from core import months
from core.names import validate_name, validate_text
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import DollarsField
from metering import plans, trainings
from metering.allowance import OveragePolicy, allowance_of
from metering.credits import credits_left
from metering.ledger import usage_of
from metering.models import Plan
from metering.plan_limits import PLAN_LIMITS
from metering.plans import limits_of
from tenants.models import Scope, Tenant
from tenants.rest import WorkspaceViewSet, delete, described, get, post
from tenants.roles import Permission

OVERAGE_POLICIES = [overage.value for overage in OveragePolicy]


class PlanObject(serializers.Serializer[Any]):
    """A plan."""

    code = serializers.CharField(help_text="The plan's code.", initial="free")
    name = serializers.CharField(initial="Free")


class ScheduledPlanObject(serializers.Serializer[Any]):
    """A scheduled plan."""

    code = serializers.CharField(source="plan_version.plan.code")
    name = serializers.CharField(source="plan_version.plan.name")
    takes_effect_at = serializers.DateTimeField(source="starts_at")


class LimitsObject(serializers.Serializer[Any]):
    """The plan's limits. `null` for no limit."""

    example = dict(
        requests_per_minute=60,
        tokens_per_minute=20_000,
        parallel_requests=4,
        max_output_tokens=1024,
        sequences_per_request=16,
        monthly_tokens=1_000_000,
        private_styles=3,
        stored_versions=30,
        stored_bytes=2_147_483_648,
        open_uploads=3,
        parallel_trainings=1,
        monthly_trainings=3,
        training_words=50_000,
        drafts=50,
        api_requests_per_minute=300,
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return a field for each limit of the table that programs read."""
        return {
            limit.name: serializers.IntegerField(allow_null=limit.has_none)
            for limit in PLAN_LIMITS
            if limit.about
        }


class PricesObject(serializers.Serializer[Any]):
    """Current prices, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField(initial=200)
    cached_input_nanousd = serializers.IntegerField(initial=100)
    output_nanousd = serializers.IntegerField(initial=600)


class MonthObject(serializers.Serializer[Any]):
    """Usage in the current UTC month so far. Equals the ledger's total."""

    period = serializers.CharField()
    tokens = serializers.IntegerField(initial=23_600)
    included_tokens = serializers.IntegerField(
        help_text="From the month's plans, prorated by day.", initial=200_000
    )
    included_tokens_left = serializers.IntegerField(initial=176_400)
    max_tokens = serializers.IntegerField(
        help_text="The plan's hard cap. No request can exceed it.", initial=1_000_000
    )
    overage = serializers.ChoiceField(
        OVERAGE_POLICIES,
        help_text="What happens beyond the included tokens. `credits`: they are paid from credits, or "
        "the request is refused. `overage`: credits are used first, the rest is invoiced. "
        "`refused`: requests are refused.",
        initial="credits",
    )
    cost_nanousd = serializers.IntegerField()
    cost_usd = DollarsField(source="cost_nanousd")
    trained_tokens = serializers.IntegerField(
        help_text="Tokens that trainings of styles learned from. They are not part of `tokens` and never "
        "included.",
        initial=120_000,
    )
    trainings_nanousd = serializers.IntegerField(
        help_text="What trainings cost. The budget counts it together with `cost_nanousd`.",
        initial=360_000_000,
    )
    trainings_usd = DollarsField(source="trainings_nanousd", help_text="The same, in dollars.")
    trainings_held_nanousd = serializers.IntegerField(
        help_text="Reserved for trainings in progress: the most they can still cost.", initial=0
    )
    trainings_held_usd = DollarsField(source="trainings_held_nanousd", help_text="The same, in dollars.")


class BillingObject(serializers.Serializer[Any]):
    """The plan, limits, prices and this month's cost."""

    example = dict(base_prices=None, scheduled_plan=None)

    object = serializers.CharField(default="billing", read_only=True)
    plan = PlanObject()
    limits = LimitsObject()
    prices = PricesObject(help_text="The standard price, for styles without their own price (`styles.get`).")
    base_prices = PricesObject(allow_null=True, help_text="The base model's price, if it has its own.")
    trained_token_nanousd = serializers.IntegerField(
        help_text="The price of training a style, per trained token. A training is charged at the price in "
        "effect when it starts.",
        initial=3_000,
    )
    month = MonthObject(help_text="Usage and cost of the current UTC month.")
    scheduled_plan = ScheduledPlanObject(allow_null=True, help_text="The scheduled plan change.")
    credits_left_nanousd = serializers.IntegerField(initial=21_500_000_000)
    credits_left_usd = DollarsField(source="credits_left_nanousd", help_text="Remaining credits, in dollars.")
    balance_nanousd = serializers.IntegerField(help_text="Amount due on finalized invoices.", initial=0)
    balance_usd = DollarsField(source="balance_nanousd", help_text="The same, in dollars.")


class DetailsObject(serializers.Serializer[BillingDetails]):
    """The details shown on future invoices."""

    object = serializers.CharField(default="billing_details", read_only=True)
    name = serializers.CharField(
        allow_blank=True, help_text="If empty, the workspace's name is used.", initial="Acme Letters Ltd"
    )
    address = serializers.CharField(allow_blank=True, initial="1 High Street\nLondon\nUnited Kingdom")
    tax_id = serializers.CharField(allow_blank=True, initial="GB123456789")
    reference = serializers.CharField(allow_blank=True, initial="PO 4711")


class DetailsBody(StrictSerializer):
    """The fields that can be updated."""

    name = TextField(max_length=100, validators=[validate_name], allow_blank=True, required=False)
    address = TextField(max_length=MAX_ADDRESS, validators=[validate_text], allow_blank=True, required=False)
    tax_id = TextField(
        max_length=40, validators=[validate_name], allow_blank=True, required=False, initial="GB123456789"
    )
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
            "prices": limits.prices,
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
    reads = {"retrieve": ("Return the billing details.", {"name": "details"})}
    serializer_class = DetailsObject
    body = DetailsBody

    def get_object(self, *, is_locked: bool = False) -> BillingDetails:
        return details.details_of(super().get_object(is_locked=is_locked))

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


class PlanOfferObject(serializers.Serializer[Any]):
    """A plan and what it would change for the workspace."""

    example = dict(takes_effect_at="2026-12-01T00:00:00Z")

    object = serializers.CharField(default="plan", read_only=True)
    code = serializers.CharField(source="version.plan_id", help_text="The plan's code.", initial="writer")
    name = serializers.CharField(source="version.plan.name", initial="Writer")
    monthly_fee_nanousd = serializers.IntegerField(
        source="version.monthly_fee_nanousd", initial=12_000_000_000
    )
    monthly_fee_usd = DollarsField(source="version.monthly_fee_nanousd", help_text="Monthly fee in dollars.")
    included_tokens = serializers.IntegerField(source="version.included_tokens", initial=5_000_000)
    monthly_tokens = serializers.IntegerField(source="version.monthly_tokens", initial=20_000_000)
    is_overage_allowed = serializers.BooleanField(source="version.overage_allowed", initial=True)
    parallel_trainings = serializers.IntegerField(
        source="version.parallel_trainings", help_text="Trainings of styles that may run at once.", initial=2
    )
    monthly_trainings = serializers.IntegerField(
        source="version.monthly_trainings", help_text="Trainings that may be started in a month.", initial=20
    )
    training_words = serializers.IntegerField(
        source="version.training_words", help_text="Words that one training may learn from.", initial=200_000
    )
    is_current = serializers.BooleanField(help_text="Whether it is the workspace's plan.")
    takes_effect_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the plan would take effect if chosen now. `null` for the current plan.",
    )
    month_fee_nanousd = serializers.IntegerField(
        source="terms.fee_nanousd",
        help_text="Total fees on this month's invoice if chosen now. Fees are prorated by UTC day.",
        initial=48_000_000_000,
    )
    month_fee_usd = DollarsField(source="terms.fee_nanousd", help_text="The same, in dollars.")
    month_included_tokens = serializers.IntegerField(
        source="terms.included_tokens",
        help_text="Tokens this month would include if chosen now, also prorated by day.",
        initial=20_000_000,
    )
    refusals = serializers.ListField(
        child=serializers.CharField(),
        help_text="Ways in which the workspace exceeds the plan.",
        initial=["You have 5 private styles, and Writer includes 3. …"],
    )
    unpaid_invoice = serializers.UUIDField(
        source="unpaid.pk", allow_null=True, help_text="The invoice that must be paid first, or `null`."
    )
    needs = serializers.CharField(
        source="distrust.code",
        allow_null=True,
        help_text="Why the workspace can't change to this plan yet, or `null`: `payment_needed` or "
        "`other_workspace_unpaid`.",
    )


class PlansObject(serializers.Serializer[Any]):
    """The workspace's plan and the plans it can change to, cheapest first."""

    data = PlanOfferObject(many=True)  # type: ignore[assignment]  # a field named so


class PlanBody(StrictSerializer):
    """The plan to change to."""

    plan = TextField(max_length=40, help_text="The plan's code.", initial="studio")


class PlanChangeObject(serializers.Serializer[Any]):
    """A plan change."""

    example = dict(takes_effect_at="2026-12-01T00:00:00Z")

    object = serializers.CharField(default="plan_change", read_only=True)
    plan = serializers.CharField(initial="writer")
    previous_plan = serializers.CharField(help_text="Code of the plan until then.", initial="studio")
    takes_effect_at = serializers.DateTimeField()


class PlanViewSet(WorkspaceViewSet):
    """The plans, and the change to another one."""

    tag = "billing"
    scope, read_scope, needs = Scope.ADMIN, Scope.BILLING_READ, Permission.MANAGE_BILLING
    serializer_class = PlanChangeObject

    @get("List plans and what each would change", detail=False, answer=PlansObject)
    def plans(self) -> dict[str, object]:
        """Return the workspace's plan and all public plans, each with the ways in which the workspace exceeds
        it."""
        tenant, now = self.access.tenant, timezone.now()
        current = plans.plan_version_at(tenant, now)
        own: dict[str, Any] = {
            "version": current,
            "terms": plans.terms_of(tenant, months.period_of(now)),
            "refusals": plan_changes.describe_refusals(current, count_holdings(tenant)),
            "is_current": True,
            "takes_effect_at": None,
            "unpaid": None,
            "distrust": None,
        }
        others = [{**vars(offer), "is_current": False} for offer in plan_changes.list_offers(tenant, now)]
        by_fee = sorted(
            [own, *others], key=lambda row: (row["version"].monthly_fee_nanousd, row["version"].plan_id)
        )
        return {"data": by_fee}

    @post("Change the plan", detail=False, url_path="plan", body=PlanBody, status=201)
    def change_plan(self, body: dict[str, str]) -> dict[str, object]:
        """Change the plan. A plan with a higher fee takes effect immediately, one with a lower fee next
        month. Fees are prorated by UTC day, including today; `GET /billing/plans` shows this month's fees."""
        before, subscription = plan_changes.change_plan(body["plan"], by=self.access)
        return {
            "plan": subscription.plan_version.plan_id,
            "previous_plan": before.plan_id,
            "takes_effect_at": subscription.starts_at,
        }

    @delete("Cancel the scheduled plan change", detail=False, url_path="plan", answer=None)
    def keep_plan(self) -> None:
        """Keep the current plan after this month. Requires an owner."""
        plan_changes.keep_plan(by=self.access)
