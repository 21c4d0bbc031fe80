"""The plans: what each allows, and the workspace's change from one to another."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.public import count_holdings
from billing import plan_changes, plan_text
from billing.api.base import DollarsField
from core import months
from core.rest.bodies import StrictSerializer, TextField
from tenants.metering import plans
from tenants.metering.proration import MonthTerms
from tenants.models import PlanVersion, Scope, Tenant
from tenants.public import Permission
from tenants.rest import WorkspaceView, idempotent, operation

OFFER_EXAMPLE = {
    "object": "plan",
    "code": "writer",
    "name": "Writer",
    "monthly_fee_nanousd": 12_000_000_000,
    "monthly_fee_usd": "12.00",
    "included_tokens": 5_000_000,
    "monthly_tokens": 20_000_000,
    "is_overage_allowed": True,
    "parallel_trainings": 2,
    "monthly_trainings": 20,
    "training_words": 200_000,
    "is_current": False,
    "takes_effect_at": "2026-12-01T00:00:00Z",
    "month_fee_nanousd": 48_000_000_000,
    "month_fee_usd": "48.00",
    "month_included_tokens": 20_000_000,
    "refusals": ["You have 5 private styles, and Writer includes 3. …"],
    "unpaid_invoice": None,
    "needs": None,
}
CHANGE_EXAMPLE = {
    "object": "plan_change",
    "plan": "writer",
    "previous_plan": "studio",
    "takes_effect_at": "2026-12-01T00:00:00Z",
}


class PlanOfferObject(serializers.Serializer[Any]):
    """A plan and what it would change for the workspace."""

    object = serializers.CharField(default="plan", read_only=True)
    code = serializers.CharField()
    name = serializers.CharField()
    monthly_fee_nanousd = serializers.IntegerField()
    monthly_fee_usd = DollarsField(source="monthly_fee_nanousd")
    included_tokens = serializers.IntegerField()
    monthly_tokens = serializers.IntegerField()
    is_overage_allowed = serializers.BooleanField()
    parallel_trainings = serializers.IntegerField(help_text="Trainings of styles that may run at once.")
    monthly_trainings = serializers.IntegerField(help_text="Trainings that may be started in a month.")
    training_words = serializers.IntegerField(help_text="Words that one training may learn from.")
    is_current = serializers.BooleanField()
    takes_effect_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the plan would take effect if chosen now. `null` for the current plan.",
    )
    month_fee_nanousd = serializers.IntegerField(
        help_text="Total fees on this month's invoice if chosen now. Fees are prorated by UTC day."
    )
    month_fee_usd = DollarsField(source="month_fee_nanousd")
    month_included_tokens = serializers.IntegerField(
        help_text="Tokens this month would include if chosen now, also prorated by day."
    )
    refusals = serializers.ListField(
        child=serializers.CharField(), help_text="Ways in which the workspace exceeds the plan."
    )
    unpaid_invoice = serializers.UUIDField(
        allow_null=True, help_text="The invoice that must be paid first, or `null`."
    )
    needs = serializers.CharField(
        allow_null=True,
        help_text="Why the workspace can't change to this plan yet, or `null`: `payment_needed` or "
        "`other_workspace_unpaid`.",
    )


class PlansObject(serializers.Serializer[Any]):
    """The workspace's plan and the plans it can change to, cheapest first."""

    data = PlanOfferObject(many=True)  # type: ignore[assignment]  # a field named so


class PlanBody(StrictSerializer):
    """The plan to change to."""

    plan = TextField(max_length=40, help_text="The plan's code.")


class PlanChangeObject(serializers.Serializer[Any]):
    """A plan change."""

    object = serializers.CharField(default="plan_change", read_only=True)
    plan = serializers.CharField()
    previous_plan = serializers.CharField()
    takes_effect_at = serializers.DateTimeField()


class PlansView(WorkspaceView):
    """The plans."""

    @operation(
        "billing.plans",
        "List plans and what each would change",
        scope=Scope.BILLING_READ,
        answer=PlansObject,
        example={"data": [OFFER_EXAMPLE]},
    )
    def get(self, request: Request) -> Response:
        """Return the workspace's plan and all public plans, each with the ways in which the workspace exceeds
        it."""
        return Response({"data": _present_plans(self.access.tenant)})


class PlanView(WorkspaceView):
    """The workspace's plan."""

    @operation(
        "billing.change_plan",
        "Change the plan",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        body=PlanBody,
        answer=PlanChangeObject,
        status=201,
        is_post=True,
        example=CHANGE_EXAMPLE,
        body_example={"plan": "studio"},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Change the plan. A plan with a higher fee takes effect immediately, one with a lower fee next
        month. Fees are prorated by UTC day, including today; `GET /billing/plans` shows this month's fees."""
        body = self.read_body(PlanBody)
        before, subscription = plan_changes.change_plan(body["plan"], by=self.access)
        change = {
            "plan": subscription.plan_version.plan_id,
            "previous_plan": before.plan_id,
            "takes_effect_at": subscription.starts_at,
        }
        return Response(PlanChangeObject(change).data, status=201)

    @operation(
        "billing.keep_plan",
        "Cancel the scheduled plan change",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        status=204,
        is_change=True,
    )
    def delete(self, request: Request) -> Response:
        """Keep the current plan after this month. Requires an owner."""
        plan_changes.keep_plan(by=self.access)
        return Response(status=204)


def _present_plans(tenant: Tenant) -> list[dict[str, Any]]:
    now = timezone.now()
    current = plans.plan_version_at(tenant, now)
    refusals = plan_text.describe_refusals(current, count_holdings(tenant))
    terms = plans.terms_of(tenant, months.period_of(now))
    shown = [_present_plan(current, terms, refusals)]
    for offer in plan_changes.list_offers(tenant, now):
        row = _present_plan(offer.version, offer.terms, offer.refusals, takes_effect_at=offer.takes_effect_at)
        row["unpaid_invoice"] = str(offer.unpaid.pk) if offer.unpaid else None
        row["needs"] = offer.distrust.code if offer.distrust else None
        shown.append(row)
    return sorted(shown, key=lambda row: (row["monthly_fee_nanousd"], row["code"]))


def _present_plan(
    version: PlanVersion, terms: MonthTerms, refusals: list[str], *, takes_effect_at: datetime | None = None
) -> dict[str, Any]:
    """Return a plan as the API shows it; the workspace's own one takes no effect at any moment."""
    facts = {
        "code": version.plan_id,
        "name": version.plan.name,
        "monthly_fee_nanousd": version.monthly_fee_nanousd,
        "included_tokens": version.included_tokens,
        "monthly_tokens": version.monthly_tokens,
        "is_overage_allowed": version.overage_allowed,
        "parallel_trainings": version.parallel_trainings,
        "monthly_trainings": version.monthly_trainings,
        "training_words": version.training_words,
        "is_current": takes_effect_at is None,
        "takes_effect_at": takes_effect_at,
        "month_fee_nanousd": terms.fee_nanousd,
        "month_included_tokens": terms.included_tokens,
        "refusals": refusals,
        "unpaid_invoice": None,
        "needs": None,
    }
    return dict(PlanOfferObject(facts).data)
