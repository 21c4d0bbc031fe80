"""Owners change the plan: dearer at once, cheaper from the next month on, refusals said before."""

from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import create_tenant
from adapters.models import BaseModel, Style
from billing import plan_changes
from billing.invoices import invoices
from billing.models import Payment
from billing.plan_changes import (
    AlreadyScheduled,
    OtherWorkspaceUnpaid,
    PaymentNeeded,
    SamePlan,
    UnknownPlan,
    UnpaidInvoice,
    change_plan,
    list_offers,
)
from core import months
from core.money import NANO, usd
from events.models import OutboxEvent
from metering import plans
from metering.allowance import allowance_of
from metering.models import Invoice, LedgerEntry, Plan, PlanVersion, Subscription
from metering.plans import newest_plan_version
from metering.unpaid import unpaid_cap_nanousd
from tenants.models import AuditEntry, Tenant, User
from tests.billing.builders import CENT, api_client, bill, replace_version
from tests.racing import race
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.usefixtures("valkey")

BEGAN = datetime(2026, 9, 3, tzinfo=UTC)
NOW = datetime(2026, 10, 12, 12, tzinfo=UTC)
NEXT_MONTH = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def old_acme(acme):
    """Acme, on the free plan since September; operators know that it pays."""
    Tenant.objects.filter(pk=acme.pk).update(created_at=BEGAN, unpaid_cap_nanousd=NANO)
    acme.refresh_from_db()
    Subscription.objects.filter(tenant=acme).update(starts_at=BEGAN)
    return acme


def hold_styles(tenant, number):
    """Let a workspace have private styles."""
    base = BaseModel.objects.create(name="base", config={}, modules={})
    for one in range(number):
        Style.objects.create(owner=tenant, slug=f"s{one}", name=f"S{one}", base_model=base)


def plan_at(tenant, moment):
    return plans.plan_version_at(tenant, moment).plan_id


def test_a_dearer_plan_holds_at_once(old_acme):
    change_plan("studio", by=owner_of(old_acme), now=NOW)
    assert plan_at(old_acme, NOW) == "studio"
    event = OutboxEvent.objects.get(type="plan.changed")
    assert (event.facts["previous_plan"], event.facts["plan"]) == ("free", "studio")


def test_a_cheaper_plan_begins_with_the_month_and_costs_nothing_before(old_acme):
    change_plan("studio", by=owner_of(old_acme), now=NOW)
    change_plan("writer", by=owner_of(old_acme), now=NOW)
    assert plan_at(old_acme, NOW) == "studio"
    assert plan_at(old_acme, NEXT_MONTH) == "writer"
    studio, writer = newest_plan_version("studio"), newest_plan_version("writer")
    october = invoices.preview_invoice(old_acme, "2026-10")
    november = invoices.preview_invoice(old_acme, "2026-11")
    assert october.total_nanousd == studio.monthly_fee_nanousd * 20 // 31 // CENT * CENT
    assert november.total_nanousd == writer.monthly_fee_nanousd


def test_an_upgrade_late_in_the_month_costs_its_days_and_includes_their_tokens(old_acme):
    late = datetime(2026, 10, 30, 9, tzinfo=UTC)
    [writer] = [offer for offer in list_offers(old_acme, late) if offer.version.plan_id == "writer"]
    change_plan("writer", by=owner_of(old_acme), now=late)
    fee = newest_plan_version("writer").monthly_fee_nanousd
    [line] = invoices.preview_invoice(old_acme, "2026-10").lines
    assert line.amount_nanousd == writer.terms.fee_nanousd == fee * 2 // 31 // CENT * CENT
    assert line.text == "Writer, 2 of 31 days of the monthly fee of $12.00"
    included = (
        newest_plan_version("free").included_tokens * 29 + newest_plan_version("writer").included_tokens * 2
    )
    assert allowance_of(old_acme, late).included_tokens == writer.terms.included_tokens == included // 31


def test_a_change_within_the_month_is_two_lines_and_two_entries(old_acme):
    change_plan("writer", by=owner_of(old_acme), now=BEGAN)
    change_plan("studio", by=owner_of(old_acme), now=NOW)
    invoice = bill(old_acme, "2026-10", NEXT_MONTH + timedelta(days=1))
    fees = invoice.lines.filter(kind="fee").values_list("text", "amount_nanousd")
    assert list(fees) == [
        ("Writer, 11 of 31 days of the monthly fee of $12.00", 425 * CENT),
        ("Studio, 20 of 31 days of the monthly fee of $48.00", 3096 * CENT),
    ]
    booked = LedgerEntry.objects.filter(tenant=old_acme, kind="fee", period="2026-10").order_by("pk")
    assert list(booked.values_list("reason", "amount_nanousd")) == list(fees)


def test_the_page_asks_before(old_acme, alice_client):
    now = timezone.now()
    [writer] = [offer for offer in list_offers(old_acme, now) if offer.version.plan_id == "writer"]
    page = alice_client.get(reverse("billing:plan")).text
    assert "Change to Writer?" in page
    assert usd(writer.terms.fee_nanousd) in page
    alice_client.post(reverse("billing:change_plan"), {"plan": "writer"})
    assert plan_at(old_acme, timezone.now()) == "writer"


def test_what_is_scheduled_can_be_kept_off_or_replaced(old_acme):
    change_plan("studio", by=owner_of(old_acme), now=NOW)
    change_plan("writer", by=owner_of(old_acme), now=NOW)
    with pytest.raises(AlreadyScheduled):
        change_plan("writer", by=owner_of(old_acme), now=NOW)
    change_plan("free", by=owner_of(old_acme), now=NOW)
    assert plan_at(old_acme, NEXT_MONTH) == "free"
    plan_changes.keep_plan(by=owner_of(old_acme), now=NOW)
    assert plan_at(old_acme, NEXT_MONTH) == "studio"
    assert Subscription.objects.filter(tenant=old_acme, ends_at=None).count() == 1
    change_plan("free", by=owner_of(old_acme), now=NOW)
    Plan.objects.filter(code="enterprise").update(is_offered=True)
    # Dearer: at once, and nothing stays scheduled.
    change_plan("enterprise", by=owner_of(old_acme), now=NOW)
    assert {plan_at(old_acme, NOW), plan_at(old_acme, NEXT_MONTH)} == {"enterprise"}


def test_the_same_plan_and_an_unknown_one_are_refused(old_acme):
    with pytest.raises(SamePlan):
        change_plan("free", by=owner_of(old_acme), now=NOW)
    with pytest.raises(UnknownPlan):
        change_plan("gold", by=owner_of(old_acme), now=NOW)


def test_plans_by_arrangement_are_nobodys_to_choose_and_on_no_page(old_acme, alice_client, client, settings):
    settings.SUPPORT_EMAIL = "help@example.org"
    own = Plan.objects.create(code="charlies-own", name="Made for Charlie")
    made = replace_version(newest_plan_version("writer"), own)
    replace_version(made, own, effective_from=datetime(2100, 1, 1, tzinfo=UTC))
    for code in ("enterprise", "charlies-own"):
        with pytest.raises(UnknownPlan, match="Choose one that is listed"):
            change_plan(code, by=owner_of(old_acme), now=NOW)
    assert plan_at(old_acme, NOW) == "free"
    assert [offer.version.plan_id for offer in list_offers(old_acme, NOW)] == ["writer", "studio"]
    for page in (alice_client.get(reverse("billing:plan")), client.get(reverse("billing:prices"))):
        assert "Studio" in page.text
        assert "Contact us about a custom plan" in page.text
        assert "Enterprise" not in page.text
        assert "Made for Charlie" not in page.text


def test_a_dearer_plan_is_refused_while_an_older_invoice_is_unpaid(old_acme):
    change_plan("writer", by=owner_of(old_acme), now=BEGAN)
    invoice = bill(old_acme, "2026-09", NEXT_MONTH - timedelta(days=29))
    overdue = NEXT_MONTH - timedelta(days=15)
    assert invoice.total_nanousd > 0
    before = overdue - timedelta(days=1)
    assert [offer.unpaid for offer in list_offers(old_acme, before)] == [None, None]  # it is young
    with pytest.raises(UnpaidInvoice, match=f"{invoice} is unpaid. Pay it under"):
        change_plan("studio", by=owner_of(old_acme), now=overdue)
    assert plan_at(old_acme, overdue) == "writer"
    change_plan("free", by=owner_of(old_acme), now=overdue)  # a cheaper one is free to choose
    Invoice.objects.filter(pk=invoice.pk).update(state="paid", closed_at=overdue)
    change_plan("studio", by=owner_of(old_acme), now=overdue)
    assert plan_at(old_acme, overdue) == "studio"


@pytest.mark.parametrize(("age", "is_blocking"), [(timedelta(days=15), True), (timedelta(days=3), False)])
def test_an_unpaid_invoice_is_told_of_before_an_attempt(old_acme, alice_client, age, is_blocking):
    change_plan("writer", by=owner_of(old_acme), now=BEGAN)
    invoice = bill(old_acme, "2026-09", timezone.now() - age)
    page = " ".join(alice_client.get(reverse("billing:plan")).text.split())
    assert f"{invoice}</a> is unpaid." in page
    is_told = "is unpaid. Acme can\u2019t change to a plan with a higher fee until it\u2019s paid."
    assert (is_told in page) == is_blocking
    assert (f"{invoice}</a> first" in page) == is_blocking
    assert ("Change to Studio now" in page) == (not is_blocking)
    assert "Change to Free on" in page
    plans_by_code = {plan["code"]: plan for plan in alice_client.get("/api/v1/billing/plans").json()["data"]}
    assert plans_by_code["studio"]["unpaid_invoice"] == (str(invoice.pk) if is_blocking else None)
    assert plans_by_code["free"]["unpaid_invoice"] is None


def test_a_newer_version_of_ones_own_plan_is_offered(old_acme, alice_client):
    """Who is on an older version of a plan stays on it, and may change."""
    first = PlanVersion.objects.get(plan="writer", number=1)
    replace_version(first, first.plan, monthly_tokens=2 * first.monthly_tokens)
    subscribe_tenant(old_acme, first, at=months.bounds(months.current())[0])
    page = alice_client.get(reverse("billing:plan")).text
    assert "When they run out" in page
    assert "Change to the newest version now" in page
    change_plan("writer", by=owner_of(old_acme))
    assert plans.plan_version_at(old_acme, timezone.now()).number == first.number + 1


def test_the_page_says_before_what_a_cheaper_plan_will_refuse(alice_client, acme):
    subscribe_tenant(acme, newest_plan_version("studio"))
    free = newest_plan_version("free")
    hold_styles(acme, free.private_styles + 2)
    page = alice_client.get(reverse("billing:plan")).text
    assert "Acme is on Studio" in page
    assert (
        f"You have {free.private_styles + 2} private styles, and Free includes {free.private_styles}." in page
    )
    assert "Change to Writer on" in page
    start = months.bounds(months.current())[1]
    assert f"Change to Free on {start.day} {start:%B}" in page


def test_owners_change_it_by_page(alice_client, acme):
    answer = alice_client.post(reverse("billing:change_plan"), {"plan": "writer"}, follow=True)
    assert "You're now on Writer." in unescape(answer.text)
    answer = alice_client.post(reverse("billing:change_plan"), {"plan": "free"}, follow=True)
    assert "Nothing changes until then" in answer.text
    answer = alice_client.post(reverse("billing:keep_plan"), follow=True)
    assert "You're staying on Writer." in unescape(answer.text)
    logged = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert logged == ["plan.changed", "plan.changed", "plan.kept"]


def test_programs_read_what_a_change_costs_and_make_it(acme):
    program = api_client(acme, "admin")

    def change_plan(code):
        return program.post("/api/v1/billing/plan", {"plan": code}, content_type="application/json")

    listed = program.get("/api/v1/billing/plans").json()["data"]
    assert [(row["code"], row["is_current"]) for row in listed][:2] == [("free", True), ("writer", False)]
    assert "enterprise" not in [row["code"] for row in listed]
    changed = change_plan("writer")
    assert (changed.status_code, changed.json()["previous_plan"]) == (201, "free")
    assert program.get("/api/v1/billing").json()["plan"]["code"] == "writer"
    preview = program.get("/api/v1/invoices/preview").json()
    assert listed[1]["month_fee_nanousd"] == preview["total_nanousd"] > 0
    change_plan("free")
    assert program.get("/api/v1/billing").json()["scheduled_plan"]["code"] == "free"
    assert program.delete("/api/v1/billing/plan").status_code == 204
    assert program.get("/api/v1/billing").json()["scheduled_plan"] is None
    for code in ("gold", "enterprise"):
        assert change_plan(code).status_code == 404


def pay_once(tenant):
    Payment.objects.create(
        tenant=tenant, purpose="top_up", amount_nanousd=5 * NANO, state="succeeded", provider="manual"
    )


def test_usage_on_invoice_needs_a_payment_or_an_operators_word(acme, alice_client):
    with pytest.raises(PaymentNeeded, match="First buy credits once"):
        change_plan("studio", by=owner_of(acme))
    page = alice_client.get(reverse("billing:plan"))
    assert "Buy credits first" in page.text
    assert "Change to Studio now" not in page.text
    assert "Change to Writer now" in page.text
    answer = alice_client.post(reverse("billing:change_plan"), {"plan": "studio"}, follow=True)
    assert "First buy credits once" in answer.text
    program = api_client(acme, "admin")
    body = {"plan": "studio"}
    refused = program.post("/api/v1/billing/plan", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_needed")
    needs = {row["code"]: row["needs"] for row in program.get("/api/v1/billing/plans").json()["data"]}
    assert needs == {"free": None, "writer": None, "studio": "payment_needed"}
    pay_once(acme)
    change_plan("studio", by=owner_of(acme))
    assert "limited to $50.00 plus your credits" in alice_client.get(reverse("billing:plan")).text


def test_an_operators_word_is_enough(acme):
    acme.unpaid_cap_nanousd = NANO
    acme.save()
    change_plan("studio", by=owner_of(acme))
    assert unpaid_cap_nanousd(acme, newest_plan_version("studio")) == NANO


def test_one_workspace_of_a_person_at_a_time_has_unpaid_usage(acme, alice):
    second = create_tenant(alice, name="Second")
    other_spelling = User.objects.create_user("alice+2@example.org")
    third = create_tenant(other_spelling, name="Third")
    strangers = create_tenant(User.objects.create_user("zoe@example.org"), name="Zoe's")
    for tenant in (acme, second, third, strangers):
        pay_once(tenant)
    change_plan("studio", by=owner_of(acme))
    for tenant in (second, third):
        with pytest.raises(OtherWorkspaceUnpaid):
            change_plan("studio", by=owner_of(tenant))
    change_plan("studio", by=owner_of(strangers))
    first = {"period": "2026-09", "plan": "Studio", "number": 1, "total_nanousd": NANO, "state": "paid"}
    Invoice.objects.create(tenant=acme, **first)
    change_plan("studio", by=owner_of(second))


@pytest.mark.parametrize("invoiced", [None, "draft", "finalized"])
def test_a_plan_on_invoice_that_ended_counts_until_its_month_is_paid(acme, alice, invoiced):
    second = create_tenant(alice, name="Second")
    pay_once(second)
    last_month = months.before(months.current())
    begins, ends = months.bounds(last_month)
    own = Subscription.objects.filter(tenant=acme)
    own.update(starts_at=ends)  # the free plan again
    studio = newest_plan_version("studio")
    Subscription.objects.create(tenant=acme, plan_version=studio, starts_at=begins, ends_at=ends)
    invoice = {"period": last_month, "plan": "Studio", "total_nanousd": NANO}
    if invoiced:
        number = None if invoiced == "draft" else 1
        Invoice.objects.create(tenant=acme, number=number, state=invoiced, **invoice)
    with pytest.raises(OtherWorkspaceUnpaid):
        change_plan("studio", by=owner_of(second))
    paid = {"number": 1, "state": "paid"}
    Invoice.objects.update_or_create(tenant=acme, period=last_month, defaults=invoice | paid)
    change_plan("studio", by=owner_of(second))


def test_a_month_in_which_nothing_was_due_frees_the_cap(acme, alice):
    second = create_tenant(alice, name="Second")
    pay_once(second)
    begins, ends = months.bounds(months.before(months.current()))
    Subscription.objects.filter(tenant=acme).update(starts_at=ends)
    studio = newest_plan_version("studio")
    before = begins - timedelta(days=3)
    Subscription.objects.create(tenant=acme, plan_version=studio, starts_at=before, ends_at=begins)
    change_plan("studio", by=owner_of(second))


def test_two_workspaces_of_a_person_at_once_get_one_plan_on_invoice(transactional_db, acme, alice):
    own = [acme, create_tenant(alice, name="Second")]
    for tenant in own:
        pay_once(tenant)

    def choose(tenant):
        try:
            change_plan("studio", by=owner_of(tenant))
        except OtherWorkspaceUnpaid:
            return 0
        return 1

    assert sum(race(*(partial(choose, tenant) for tenant in own))) == 1
