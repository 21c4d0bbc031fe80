"""The table of a plan's limits has every limit, and each is enforced where it says."""

from dataclasses import fields

from billing.api.billing import LimitsObject
from metering.models import PlanVersion
from metering.plan_limits import PLAN_LIMITS, By
from metering.plans import TenantLimits
from metering.quota_sync import snapshot
from stack.folders import ROOT

# Of a plan version, what limits nothing.
OTHERS = {"id", "plan", "number", "monthly_fee_nanousd", "effective_from", "overage_allowed", "created_at"}
ADMISSION = (ROOT / "inference" / "quota" / "lua" / "admission.lua").read_text()


def test_every_limit_of_a_plan_version_is_in_the_table_once():
    columns = {field.name for field in PlanVersion._meta.concrete_fields} - OTHERS
    assert sorted(limit.name for limit in PLAN_LIMITS) == sorted(columns)


def test_what_admission_enforces_is_published_and_read():
    for limit in PLAN_LIMITS:
        is_published = limit.name in snapshot.LIMITS
        assert is_published == (limit.by == By.ADMISSION), limit.name
        if is_published and limit.name != "weight":  # the gateway's fair queue reads that
            assert limit.name in ADMISSION, limit.name


def test_what_programs_read_a_workspace_has():
    of_a_workspace = {field.name for field in fields(TenantLimits)}
    assert set(LimitsObject().fields) <= of_a_workspace
    assert {limit.name for limit in PLAN_LIMITS if limit.by != By.INVOICES} <= of_a_workspace
