"""Owners change the plan: dearer at once, cheaper from the next month on, refusals said before."""

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.models import BaseModel, Style
from billing import plan_changes
from billing.invoices import invoices
from billing.plan_changes import (
    AlreadyScheduled,
    NothingToUndo,
    PlanUsed,
    SamePlan,
    UnknownPlan,
    UnpaidInvoice,
    choose_plan,
    list_offers,
)
from core import months
from core import valkey as names
from core.money import usd
from tenants.accounts.subscriptions import subscribe_tenant
from tenants.metering import plans
from tenants.metering.allowance import allowance_of
from tenants.metering.ledger import record_events
from tenants.metering.plans import newest_plan_version
from tenants.models import (
    AuditEntry,
    Invoice,
    LedgerEntry,
    OutboxEvent,
    Plan,
    PlanVersion,
    Subscription,
    Tenant,
)
from tests.billing.builders import CENT, api_client, bill, replace_version

pytestmark = pytest.mark.usefixtures("valkey")

BEGAN = datetime(2026, 9, 3, tzinfo=UTC)
NOW = datetime(2026, 10, 12, 12, tzinfo=UTC)
NEXT_MONTH = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def old_acme(acme):
    """Acme, on the free plan since September."""
    Tenant.objects.filter(pk=acme.pk).update(created_at=BEGAN)
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
    choose_plan(old_acme, "studio", now=NOW)
    assert plan_at(old_acme, NOW) == "studio"
    event = OutboxEvent.objects.get(type="plan.changed")
    assert (event.facts["previous_plan"], event.facts["plan"]) == ("free", "studio")


def test_a_cheaper_plan_begins_with_the_month_and_costs_nothing_before(old_acme):
    choose_plan(old_acme, "studio", now=NOW)
    choose_plan(old_acme, "writer", now=NOW)
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
    choose_plan(old_acme, "writer", now=late)
    fee = newest_plan_version("writer").monthly_fee_nanousd
    [line] = invoices.preview_invoice(old_acme, "2026-10").lines
    assert line.amount_nanousd == writer.terms.fee_nanousd == fee * 2 // 31 // CENT * CENT
    assert line.text == "Writer, 2 of 31 days of the monthly fee of $12.00"
    included = (
        newest_plan_version("free").included_tokens * 29 + newest_plan_version("writer").included_tokens * 2
    )
    assert allowance_of(old_acme, late).included_tokens == writer.terms.included_tokens == included // 31


def test_a_change_within_the_month_is_two_lines_and_two_entries(old_acme):
    choose_plan(old_acme, "writer", now=BEGAN)
    choose_plan(old_acme, "studio", now=NOW)
    invoice = bill(old_acme, "2026-10", NEXT_MONTH + timedelta(days=1))
    fees = invoice.lines.filter(kind="fee").values_list("text", "amount_nanousd")
    assert list(fees) == [
        ("Writer, 11 of 31 days of the monthly fee of $12.00", 425 * CENT),
        ("Studio, 20 of 31 days of the monthly fee of $48.00", 3096 * CENT),
    ]
    booked = LedgerEntry.objects.filter(tenant=old_acme, kind="fee", period="2026-10").order_by("pk")
    assert list(booked.values_list("reason", "amount_nanousd")) == list(fees)


def test_an_upgrade_can_be_undone_for_an_hour_and_leaves_no_fee(old_acme):
    choose_plan(old_acme, "writer", now=NOW)
    plan_changes.undo_change(old_acme, now=NOW + timedelta(minutes=59))
    assert plan_at(old_acme, NOW) == plan_at(old_acme, NEXT_MONTH) == "free"
    assert invoices.preview_invoice(old_acme, "2026-10").lines == []
    with pytest.raises(NothingToUndo):
        plan_changes.undo_change(old_acme, now=NOW + timedelta(minutes=59))
    choose_plan(old_acme, "writer", now=NOW + timedelta(hours=2))
    with pytest.raises(NothingToUndo):
        plan_changes.undo_change(old_acme, now=NOW + timedelta(hours=3))


def test_a_downgrade_is_nothing_to_undo(old_acme):
    choose_plan(old_acme, "writer", now=BEGAN)
    choose_plan(old_acme, "free", now=NOW)
    with pytest.raises(NothingToUndo):
        plan_changes.undo_change(old_acme, now=NOW)


def test_what_was_used_since_keeps_an_upgrade(old_acme, event):
    record_events([event(old_acme, admitted_at=NOW - timedelta(minutes=1))])
    choose_plan(old_acme, "writer", now=NOW)
    assert not plan_changes.find_undo(old_acme, NOW).is_used
    record_events([event(old_acme, admitted_at=NOW + timedelta(minutes=1))])
    with pytest.raises(PlanUsed, match="used Writer since the change"):
        plan_changes.undo_change(old_acme, now=NOW + timedelta(minutes=2))
    assert plan_at(old_acme, NOW + timedelta(minutes=2)) == "writer"


@pytest.mark.parametrize(("used", "held"), [("0", "12"), ("130", "0")])
def test_what_is_open_or_not_booked_yet_keeps_an_upgrade(old_acme, valkey, used, held):
    choose_plan(old_acme, "writer", now=NOW)
    valkey.hset(names.account_key(old_acme.pk, "2026-10"), mapping={"used": used, "held": held})
    with pytest.raises(PlanUsed):
        plan_changes.undo_change(old_acme, now=NOW)


def test_what_the_plan_before_would_refuse_keeps_an_upgrade(old_acme):
    choose_plan(old_acme, "studio", now=NOW)
    hold_styles(old_acme, newest_plan_version("free").private_styles + 1)
    with pytest.raises(PlanUsed):
        plan_changes.undo_change(old_acme, now=NOW)


def test_the_page_asks_before_and_offers_to_undo(old_acme, alice_client):
    now = timezone.now()
    [writer] = [offer for offer in list_offers(old_acme, now) if offer.version.plan_id == "writer"]
    page = alice_client.get(reverse("billing:plan")).text
    assert "Change to Writer?" in page
    assert usd(writer.terms.fee_nanousd) in page
    alice_client.post(reverse("billing:change_plan"), {"plan": "writer"})
    assert "Return to Free" in alice_client.get(reverse("billing:plan")).text
    answer = alice_client.post(reverse("billing:undo_plan"), follow=True)
    assert "You're back on Free. No fee was charged." in unescape(answer.text)
    assert AuditEntry.objects.latest("pk").action == "plan.undone"
    answer = alice_client.post(reverse("billing:undo_plan"), follow=True)
    assert "There is no plan change to undo." in answer.text


def test_what_is_scheduled_can_be_kept_off_or_replaced(old_acme):
    choose_plan(old_acme, "studio", now=NOW)
    choose_plan(old_acme, "writer", now=NOW)
    with pytest.raises(AlreadyScheduled):
        choose_plan(old_acme, "writer", now=NOW)
    choose_plan(old_acme, "free", now=NOW)
    assert plan_at(old_acme, NEXT_MONTH) == "free"
    plan_changes.keep_plan(old_acme, now=NOW)
    assert plan_at(old_acme, NEXT_MONTH) == "studio"
    assert Subscription.objects.filter(tenant=old_acme, ends_at=None).count() == 1
    choose_plan(old_acme, "free", now=NOW)
    Plan.objects.filter(code="enterprise").update(is_offered=True)
    choose_plan(old_acme, "enterprise", now=NOW)  # dearer: at once, and nothing is scheduled any more
    assert {plan_at(old_acme, NOW), plan_at(old_acme, NEXT_MONTH)} == {"enterprise"}


def test_the_same_plan_and_an_unknown_one_are_refused(old_acme):
    with pytest.raises(SamePlan):
        choose_plan(old_acme, "free", now=NOW)
    with pytest.raises(UnknownPlan):
        choose_plan(old_acme, "gold", now=NOW)


def test_plans_by_arrangement_are_nobodys_to_choose_and_on_no_page(old_acme, alice_client, client, settings):
    settings.SUPPORT_EMAIL = "help@example.org"
    own = Plan.objects.create(code="charlies-own", name="Made for Charlie")
    made = replace_version(newest_plan_version("writer"), own)
    replace_version(made, own, effective_from=datetime(2100, 1, 1, tzinfo=UTC))
    for code in ("enterprise", "charlies-own"):
        with pytest.raises(UnknownPlan, match="lists them all"):
            choose_plan(old_acme, code, now=NOW)
    assert plan_at(old_acme, NOW) == "free"
    assert [offer.version.plan_id for offer in list_offers(old_acme, NOW)] == ["writer", "studio"]
    for page in (alice_client.get(reverse("billing:plan")), client.get(reverse("billing:prices"))):
        assert "Studio" in page.text
        assert "Contact us about a custom plan" in page.text
        assert "Enterprise" not in page.text
        assert "Made for Charlie" not in page.text


def test_a_dearer_plan_is_refused_while_an_older_invoice_is_unpaid(old_acme):
    choose_plan(old_acme, "writer", now=BEGAN)
    invoice = bill(old_acme, "2026-09", NEXT_MONTH - timedelta(days=29))
    overdue = NEXT_MONTH - timedelta(days=15)
    assert invoice.total_nanousd > 0
    choose_plan(old_acme, "studio", now=NEXT_MONTH - timedelta(days=16))  # it is young
    plan_changes.undo_change(old_acme, now=NEXT_MONTH - timedelta(days=16))
    with pytest.raises(UnpaidInvoice, match=f"{invoice} is unpaid. Pay it under"):
        choose_plan(old_acme, "studio", now=overdue)
    assert plan_at(old_acme, overdue) == "writer"
    choose_plan(old_acme, "free", now=overdue)  # a cheaper one is free to choose
    Invoice.objects.filter(pk=invoice.pk).update(state="paid", closed_at=overdue)
    choose_plan(old_acme, "studio", now=overdue)
    assert plan_at(old_acme, overdue) == "studio"


@pytest.mark.parametrize(("age", "is_blocking"), [(timedelta(days=15), True), (timedelta(days=3), False)])
def test_an_unpaid_invoice_is_told_of_before_an_attempt(old_acme, alice_client, age, is_blocking):
    choose_plan(old_acme, "writer", now=BEGAN)
    invoice = bill(old_acme, "2026-09", timezone.now() - age)
    page = alice_client.get(reverse("billing:plan")).text
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
    choose_plan(old_acme, "writer")
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


def test_programs_read_what_a_change_costs_make_it_and_undo_it(acme):
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
    undone = program.post("/api/v1/billing/plan/undo")
    assert (undone.status_code, undone.json()["plan"]) == (200, "free")
    again = program.post("/api/v1/billing/plan/undo")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_undo")
    assert program.get("/api/v1/invoices/preview").json()["total_nanousd"] == 0
    change_plan("writer")
    change_plan("free")
    assert program.get("/api/v1/billing").json()["scheduled_plan"]["code"] == "free"
    assert program.delete("/api/v1/billing/plan").status_code == 204
    assert program.get("/api/v1/billing").json()["scheduled_plan"] is None
    for code in ("gold", "enterprise"):
        assert change_plan(code).status_code == 404
