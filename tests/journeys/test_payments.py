"""Money on the pages, in a real Chromium: credits by card, a plan up and down, an invoice by transfer.

It needs the services, and neither an engine nor the workers. The site here is one of its own, because it
pays at a fake Stripe that this test runs:
`.venv/bin/python -m stack run --services -- .venv/bin/python -m pytest tests/journeys/test_payments.py`.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from core.money import NANO
from labs import fake_stripe
from labs.fake_stripe import FakeStripe
from stack import application
from stack.folders import ROOT, Folders
from tests.chromium import look
from tests.waiting import eventually

SECRET = "whsec_journey"
INSTRUCTIONS = "IBAN GB00 JOURNEY"


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with fake_stripe.running() as fake:
        yield fake


@pytest.fixture(scope="module")
def variables(stripe) -> dict[str, str]:
    """Return the variables of a site on a port of its own, which takes cards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        **os.environ,
        "SITE_URL": f"http://127.0.0.1:{port}",
        "WEB_WORKERS": "1",
        "STRIPE_SECRET_KEY": "sk_test_journey",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe.url,
        "PAYMENT_INSTRUCTIONS": INSTRUCTIONS,
    }


@pytest.fixture(scope="module")
def site(variables, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("payments")
    migrate = [sys.executable, "manage.py", "migrate", "--no-input"]
    subprocess.run(migrate, cwd=ROOT, env=variables, check=True, capture_output=True, timeout=120)
    url = variables["SITE_URL"]
    web = application.programs(int(url.rpartition(":")[2]), variables, Folders(folder))[0]
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(web.argv, cwd=ROOT, env=dict(web.env), stdout=log, stderr=log)
        try:
            eventually(lambda: application.ready(url), within_s=60, what="the site did not start")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def ask(variables):
    """Have the site's own code do something; return what it prints."""

    def ask(action: str, *arguments: str) -> Any:
        command = [sys.executable, "-m", "tests.journeys.payments_site", action, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask


@pytest.fixture
def people(page, site, ask) -> dict[str, str]:
    """Return an owner, who is logged in in the browser, and an operator."""
    people = {**ask("people"), "site": site}
    log_in(page, people, "owner")
    return people


@pytest.mark.timeout(180)
def test_credits_by_card_a_plan_up_and_down_and_an_invoice_by_transfer(page, site, stripe, people, ask):
    buy_credits_by_card(page, site, stripe)
    assert ask("credits", people["tenant"]) == 25 * NANO

    change_the_plan_up_and_down(page)
    top_up_automatically(page, stripe, people, ask)
    pay_an_invoice_by_transfer(page, people, ask)

    log_in(page, people, "owner")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("billing/credits", "billing/plan", "earnings", "invoices"):
        page.goto(f"/{path}/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        look(page, f"payments-phone-{path.rpartition('/')[2]}")


def buy_credits_by_card(page: Page, site: str, stripe: FakeStripe) -> None:
    """Buy $25 of credits. Events come late, twice and in the wrong order."""
    page.goto("/billing/credits/")
    expect(page.locator("main h2").first).to_have_text("No credits left")
    page.get_by_label("Amount", exact=True).fill("25")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("main h2").first).to_have_text("$25.00 due")
    session = stripe.made("checkout.session")[-1]
    assert page.get_by_role("link", name="Pay $25.00").get_attribute("href") == session["url"]
    look(page, "payments-to-pay")

    expired = stripe.event("checkout.session.expired", dict(session))
    paid = stripe.event("checkout.session.completed", stripe.pay(session["id"]))
    for payload in (paid, expired, paid):
        deliver(site, payload)
    page.reload()
    expect(page.locator("main h2").first).to_have_text("$25.00 paid")
    page.get_by_role("link", name="Credits").last.click()
    expect(page.locator("main h2").first).to_have_text("$25.00 in credits left")
    forged = httpx2.post(
        f"{site}/billing/stripe/", content=paid, headers={"Stripe-Signature": fake_stripe.sign(paid, "no")}
    )
    assert forged.status_code == 400


def change_the_plan_up_and_down(page: Page) -> None:
    """Go from Free to Writer at once, then schedule the way back, and stay after all."""
    page.goto("/billing/plan/")
    expect(page.get_by_text("When they run out")).to_be_visible()
    page.get_by_role("button", name="Change to Writer now").click()
    page.locator("#change-to-writer [type=submit]").click()
    expect(page.get_by_text("You're now on Writer.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^0 of [\d,]+ included tokens in "))).to_be_visible()
    expect(page.get_by_text("paid from your $25.00 in credits")).to_be_visible()
    look(page, "payments-plan")
    page.get_by_role("button", name=re.compile("Change to Free on")).click()
    page.locator("#change-to-free [type=submit]").click()
    expect(page.get_by_text("Nothing changes until then").first).to_be_visible()
    page.get_by_role("button", name="Keep Writer").click()
    expect(page.get_by_text("You're staying on Writer.")).to_be_visible()


def top_up_automatically(page: Page, stripe: FakeStripe, people: dict[str, str], ask: Any) -> None:
    """With $25 left and a threshold of $30 the saved card is charged, once."""
    page.goto("/billing/credits/")
    expect(page.get_by_text("at most 3 times within 24 hours")).to_be_visible()
    page.get_by_label("When credits fall below").fill("30")
    page.get_by_label("Buy credits worth").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Automatic top-ups are on.")).to_be_visible()
    assert ask("top-up") == 1
    assert ask("top-up") == 0
    page.reload()
    expect(page.locator("main h2").first).to_have_text("$55.00 in credits left")
    payments = page.get_by_role("region", name="Payments").get_by_role("row")
    expect(payments.filter(has_text="Automatic top-up")).to_contain_text("$30.00")
    look(page, "payments-credits")


def pay_an_invoice_by_transfer(page: Page, people: dict[str, str], ask: Any) -> None:
    """The plan's page tells of an unpaid invoice before it is in the way; an operator sees the money."""
    name = ask("invoice", people["tenant"])
    page.goto("/billing/plan/")
    expect(page.get_by_text(f"{name} is unpaid.")).to_be_visible()
    expect(page.get_by_text(f"Pay {name} first")).to_be_visible()
    expect(page.get_by_role("button", name="Change to Studio now")).to_be_hidden()
    look(page, "payments-plan-unpaid")
    page.get_by_role("link", name=name).first.click()
    expect(page.get_by_text(INSTRUCTIONS)).to_be_visible()
    expect(page.get_by_role("button", name="Pay $12.00")).to_be_visible()
    address = page.url
    look(page, "payments-invoice")

    log_in(page, people, "operator")
    page.goto(f"/console/tenants/invoice/?q={people['workspace']}")
    page.locator("input[name=_selected_action]").first.check()
    page.locator("select[name=action]").first.select_option("mark_paid")
    page.locator("button[name=index], [data-actions] button, .actions button").first.click()
    expect(page.get_by_text("Mark as paid?")).to_be_visible()
    page.get_by_label(re.compile("Reason|Why")).first.fill("Transfer 4711")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text(re.compile("Paid"))).not_to_have_count(0)

    log_in(page, people, "owner")
    page.goto(address)
    expect(page.get_by_role("button", name="Pay $12.00")).to_be_hidden()
    page.goto("/billing/plan/")
    expect(page.get_by_text("is unpaid")).to_be_hidden()
    expect(page.get_by_role("button", name="Change to Studio now")).to_be_visible()


def log_in(page: Page, people: dict[str, str], who: str) -> None:
    """Give the browser the session of the owner or the operator."""
    page.context.clear_cookies()
    session = {"name": people["cookie"], "value": people[who], "url": people["site"]}
    page.context.add_cookies([session])


def deliver(site: str, payload: bytes) -> None:
    """Send an event as Stripe does."""
    headers = {"Stripe-Signature": fake_stripe.sign(payload, SECRET), "Content-Type": "application/json"}
    assert httpx2.post(f"{site}/billing/stripe/", content=payload, headers=headers).status_code == 200
