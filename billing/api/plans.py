"""The plans: what each allows, and the workspace's change from one to another."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from adapters.public import count_holdings
from billing import plan_changes, plan_text
from core import months
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import DollarsField
from metering import plans
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, delete, get, post
from tenants.roles import Permission


class PlanOfferObject(serializers.Serializer[Any]):
    """A plan and what it would change for the workspace."""

    example: ClassVar = {
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

    object = serializers.CharField(default="plan", read_only=True)
    code = serializers.CharField(source="version.plan_id")
    name = serializers.CharField(source="version.plan.name")
    monthly_fee_nanousd = serializers.IntegerField(source="version.monthly_fee_nanousd")
    monthly_fee_usd = DollarsField(source="version.monthly_fee_nanousd")
    included_tokens = serializers.IntegerField(source="version.included_tokens")
    monthly_tokens = serializers.IntegerField(source="version.monthly_tokens")
    is_overage_allowed = serializers.BooleanField(source="version.overage_allowed")
    parallel_trainings = serializers.IntegerField(
        source="version.parallel_trainings", help_text="Trainings of styles that may run at once."
    )
    monthly_trainings = serializers.IntegerField(
        source="version.monthly_trainings", help_text="Trainings that may be started in a month."
    )
    training_words = serializers.IntegerField(
        source="version.training_words", help_text="Words that one training may learn from."
    )
    is_current = serializers.BooleanField()
    takes_effect_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the plan would take effect if chosen now. `null` for the current plan.",
    )
    month_fee_nanousd = serializers.IntegerField(
        source="terms.fee_nanousd",
        help_text="Total fees on this month's invoice if chosen now. Fees are prorated by UTC day.",
    )
    month_fee_usd = DollarsField(source="terms.fee_nanousd")
    month_included_tokens = serializers.IntegerField(
        source="terms.included_tokens",
        help_text="Tokens this month would include if chosen now, also prorated by day.",
    )
    refusals = serializers.ListField(
        child=serializers.CharField(), help_text="Ways in which the workspace exceeds the plan."
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

    example: ClassVar = {"data": [PlanOfferObject.example]}

    data = PlanOfferObject(many=True)  # type: ignore[assignment]  # a field named so


class PlanBody(StrictSerializer):
    """The plan to change to."""

    example: ClassVar = {"plan": "studio"}

    plan = TextField(max_length=40, help_text="The plan's code.")


class PlanChangeObject(serializers.Serializer[Any]):
    """A plan change."""

    example: ClassVar = {
        "object": "plan_change",
        "plan": "writer",
        "previous_plan": "studio",
        "takes_effect_at": "2026-12-01T00:00:00Z",
    }

    object = serializers.CharField(default="plan_change", read_only=True)
    plan = serializers.CharField()
    previous_plan = serializers.CharField()
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
            "refusals": plan_text.describe_refusals(current, count_holdings(tenant)),
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
