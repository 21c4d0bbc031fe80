"""Writer and Studio get versions on which credits count, and what operators made is left alone."""

from importlib import import_module

import pytest
from django.apps import apps

from tenants.accounts.subscriptions import subscribe_tenant
from tenants.metering.plans import newest_plan_version
from tenants.models import Plan, PlanVersion

pytestmark = pytest.mark.django_db

shipped = import_module("tenants.migrations.0034_credits_count_on_shipped_plans")


def versions() -> list[tuple[str, int, int]]:
    rows = PlanVersion.objects.order_by("plan", "number")
    return list(rows.values_list("plan", "number", "monthly_tokens"))


def copy_of(version: PlanVersion, **changes: object) -> PlanVersion:
    version.pk = None
    for name, value in changes.items():
        setattr(version, name, value)
    version.save()
    return version


def test_each_is_made_once_and_differs_in_what_comes_after_the_included_tokens():
    before = versions()
    shipped.add_versions(apps, None)
    assert versions() == before
    for code, changes in shipped.CHANGES.items():
        first, second = PlanVersion.objects.filter(plan=code).order_by("number")
        differing = set()
        for field in PlanVersion._meta.concrete_fields:
            if getattr(first, field.attname) != getattr(second, field.attname):
                differing.add(field.name)
        assert differing <= {"id", "number", "effective_from", "created_at", *changes}


def test_a_plan_that_operators_changed_is_left_alone():
    PlanVersion.objects.filter(plan="writer", number=2).delete()
    own = copy_of(newest_plan_version("writer"), number=2, monthly_tokens=6_000_000)
    shipped.add_versions(apps, None)
    assert newest_plan_version("writer") == own
    assert Plan.objects.get(code="writer").versions.count() == 2


def test_it_is_taken_away_unless_somebody_is_on_it(acme, valkey):
    subscribe_tenant(acme, newest_plan_version("writer"))
    shipped.take_away(apps, None)
    assert newest_plan_version("writer").number == 2
    assert newest_plan_version("studio").number == 1
