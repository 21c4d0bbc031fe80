"""Money on the pages, in a real Chromium: credits by card, a plan up and down, an invoice by transfer."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.payments import auto_top_up
from core import months
from core.money import NANO
from metering.credits import credits_left
from metering.models import Invoice, PlanVersion, Subscription
from tenants.models import Tenant
from tests.billing.builders import bill, deliver
from tests.chromium import follow, look
from tests.fakes import fake_stripe
from tests.fakes.fake_stripe import FakeStripe
from tests.pages.walking import PHONE, check_width, enter, hear_errors

INSTRUCTIONS = "IBAN GB00 JOURNEY"

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def operators_page(browser, live_server, operator_client) -> Iterator[Page]:
    yield from page_of(operator_client, browser, live_server)


@pytest.fixture
def page(browser, live_server, alice_client, settings) -> Iterator[Page]:
    """Yield a page of the owner's."""
    settings.PAYMENT_INSTRUCTIONS = INSTRUCTIONS
    yield from page_of(alice_client, browser, live_server)


def page_of(client: Client, browser, live_server) -> Iterator[Page]:
    """Yield a page whose console must stay clean."""
    page = enter(browser, live_server, client).new_page()
    said = hear_errors(page)
    yield page
    assert said == []


def test_credits_by_card_a_plan_up_and_down_and_an_invoice_by_transfer(page, operators_page, stripe, acme):
    buy_credits_by_card(page, stripe)
    assert credits_left(acme, months.current()) == 25 * NANO

    change_the_plan_up_and_down(page)
    top_up_automatically(page, stripe)
    pay_an_invoice_by_transfer(page, operators_page, acme)

    page.set_viewport_size(PHONE)
    for path in ("billing/credits", "billing/plan", "earnings", "invoices"):
        page.goto(f"/{path}/")
        assert check_width(page) == []
        look(page, f"payments-phone-{path.rpartition('/')[2]}")


def buy_credits_by_card(page: Page, stripe: FakeStripe) -> None:
    """Buy $25 of credits. Events come late, twice and in the wrong order."""
    page.goto("/billing/credits/")
    heading = page.locator("main h2").first
    expect(heading).to_have_text("No credits left")
    page.get_by_label("Amount", exact=True).fill("25")
    page.get_by_role("button", name="Continue to payment").click()
    expect(heading).to_have_text("$25.00 due")
    session = stripe.made("checkout.session")[-1]
    expect(page.get_by_role("link", name="Pay $25.00")).to_have_attribute("href", session["url"])
    look(page, "payments-to-pay")

    expired = stripe.event("checkout.session.expired", dict(session))
    paid = stripe.event("checkout.session.completed", stripe.pay(session["id"]))
    for payload in (paid, expired, paid):
        assert deliver(Client(), payload).status_code == 200
    page.reload()
    expect(heading).to_have_text("$25.00 paid")
    page.get_by_role("link", name="Credits").last.click()
    expect(heading).to_have_text("$25.00 in credits left")
    assert deliver(Client(), paid, fake_stripe.sign(paid, "no")).status_code == 400


def change_the_plan_up_and_down(page: Page) -> None:
    """Go from Free to Writer at once, then schedule the way back, and stay after all."""
    page.goto("/billing/plan/")
    expect(page.get_by_text("When they run out")).to_be_visible()
    page.get_by_role("button", name="Change to Writer now").click()
    follow(page.locator("#change-to-writer [type=submit]"))
    expect(page.get_by_text("You're now on Writer.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\s*0 of [\d,]+ included tokens in "))).to_be_visible()
    expect(page.get_by_text("paid from your $25.00 in credits")).to_be_visible()
    look(page, "payments-plan")
    page.get_by_role("button", name=re.compile("Change to Free on")).click()
    page.locator("#change-to-free [type=submit]").click()
    expect(page.get_by_text("Nothing changes until then").first).to_be_visible()
    page.get_by_role("button", name="Keep Writer").click()
    expect(page.get_by_text("You're staying on Writer.")).to_be_visible()


def top_up_automatically(page: Page, stripe: FakeStripe) -> None:
    """With $25 left and a threshold of $30 the saved card is charged, once."""
    page.goto("/billing/credits/")
    expect(page.get_by_text("at most 3 times within 24 hours")).to_be_visible()
    page.get_by_label("When credits fall below").fill("30")
    page.get_by_label("Buy credits worth").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Automatic top-ups are on.")).to_be_visible()
    assert [auto_top_up.top_up_due(timezone.now()) for _ in range(2)] == [1, 0]
    page.reload()
    expect(page.locator("main h2").first).to_have_text("$55.00 in credits left")
    payments = page.get_by_role("region", name="Payments").get_by_role("row")
    expect(payments.filter(has_text="Automatic top-up")).to_contain_text("$30.00")
    look(page, "payments-credits")


def pay_an_invoice_by_transfer(page: Page, operators_page: Page, acme: Tenant) -> None:
    """The plan's page tells of an unpaid invoice before it is in the way; an operator sees the money."""
    invoice = overdue_invoice(acme)
    page.goto("/billing/plan/")
    expect(page.get_by_text(f"{invoice} is unpaid.")).to_be_visible()
    expect(page.get_by_text(f"Pay {invoice} first")).to_be_visible()
    expect(page.get_by_role("button", name="Change to Studio now")).to_be_hidden()
    look(page, "payments-plan-unpaid")
    page.get_by_role("link", name=str(invoice)).first.click()
    expect(page.get_by_text(INSTRUCTIONS)).to_be_visible()
    expect(page.get_by_role("button", name="Pay $12.00")).to_be_visible()
    look(page, "payments-invoice")

    mark_as_paid(operators_page, acme)
    page.reload()
    expect(page.get_by_role("button", name="Pay $12.00")).to_be_hidden()
    page.goto("/billing/plan/")
    expect(page.get_by_text("is unpaid")).to_be_hidden()
    expect(page.get_by_role("button", name="Change to Studio now")).to_be_visible()


def overdue_invoice(acme: Tenant) -> Invoice:
    """Let Acme have been on Writer in an earlier month; return that invoice."""
    finalized_at = timezone.now() - timedelta(days=20)
    period = months.before(months.period_of(finalized_at))
    start, end = months.bounds(period)
    Tenant.objects.filter(pk=acme.pk).update(created_at=start)
    writer = PlanVersion.objects.get(plan="writer", number=1)
    Subscription.objects.create(tenant=acme, plan_version=writer, starts_at=start, ends_at=end)
    acme.refresh_from_db()
    return bill(acme, period, finalized_at)


def mark_as_paid(page: Page, acme: Tenant) -> None:
    """Mark the workspace's invoice as paid in the console."""
    page.goto(f"/console/metering/invoice/?q={acme.slug}")
    page.locator("input[name=_selected_action]").first.check()
    page.locator("select[name=action]").first.select_option("mark_paid")
    page.locator("button[name=index], [data-actions] button, .actions button").first.click()
    expect(page.get_by_text("Mark as paid?")).to_be_visible()
    page.get_by_label(re.compile("Reason|Why")).first.fill("Transfer 4711")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text(re.compile("Paid"))).not_to_have_count(0)
