"""The details of a row, in a drawer beside its list: by keyboard and mouse, on a phone, and accessible."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from metering.ledger import record_events
from tenants.audit import record_audit
from tests.pages import scene
from tests.pages.walking import Axe, assert_no_faults, check_state, enter
from tests.tenants.builders import make_event

pytestmark = pytest.mark.usefixtures("valkey", "requests")


@pytest.fixture
def requests(acme) -> None:
    """Lay some requests of Acme's."""
    now = timezone.now()
    record_events([make_event(acme, admitted_at=now - timedelta(minutes=number)) for number in range(5)])


@pytest.fixture
def page(browser, live_server, alice_client) -> Page:
    return enter(browser, live_server, alice_client).new_page()


def test_a_drawer_opens_by_keyboard_closes_by_escape_and_gives_the_focus_back(page):
    page.goto(reverse("billing:requests"))
    link = page.locator("a[data-drawer]").nth(3)
    link.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="Request")
    expect(drawer.get_by_text("Tokens and cost")).to_be_visible()
    assert page.url.endswith(reverse("billing:requests"))
    own_page = drawer.get_by_role("link", name="Open as a page")
    expect(own_page).to_have_attribute("href", link.evaluate("a => a.href"))
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(link).to_be_focused()


def test_a_click_on_the_row_opens_it_and_one_beside_closes_it(page):
    page.goto(reverse("billing:requests"))
    row = page.locator("tbody tr").first
    row.locator("td").nth(2).click()
    drawer = page.get_by_role("dialog", name="Request")
    expect(drawer.locator("dl.details")).to_be_visible()
    page.mouse.click(40, 400)
    expect(drawer).to_be_hidden()
    row.get_by_role("button", name="Copy").click()
    expect(drawer).to_be_hidden()


def test_a_request_that_is_gone_says_so_in_the_drawer(page):
    page.goto(reverse("billing:requests"))
    page.locator("a[data-drawer]").first.evaluate("link => { link.href = '/usage/requests/gone/' }")
    page.locator("a[data-drawer]").first.click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("no longer exists")


def test_every_drawer_is_accessible_and_fits(page, acme, alice):
    faults = []
    changes = {"before": {"name": "Acme"}, "after": {"name": "Acme Press"}}
    record_audit(alice, action="workspace.edited", row=acme, tenant=acme, **changes)
    _, failing, _ = scene.lay_webhooks(acme)
    page.emulate_media(reduced_motion="reduce")
    for address in (reverse("billing:requests"), reverse("tenants:audit_log"), failing):
        page.goto(address)
        page.locator("a[data-drawer]").first.click()
        expect(page.locator("dialog[open] .details")).to_be_visible()
        faults += check_state(Axe(page), address)
    assert_no_faults(*faults)
