"""The search over everything in a browser: one key opens it, one closes it; fields say when they are full."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.pages.walking import enter

pytestmark = pytest.mark.usefixtures("valkey", "acme")


@pytest.fixture
def page(browser, live_server, alice_client) -> Page:
    return enter(browser, live_server, alice_client).new_page()


def test_one_escape_closes_the_search_and_a_theme_is_chosen_from_it(page):
    page.goto(reverse("keys:keys"))
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Search or jump to")
    page.keyboard.type("invoice")
    expect(palette.locator(".palette-list").first).to_contain_text("Invoices")
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("dark")
    palette.get_by_role("button", name="Theme: dark").click()
    expect(palette).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_field_says_that_nothing_more_fits(page):
    page.goto(reverse("website:settings"))
    name = page.locator("input[maxlength]").first
    most = int(name.get_attribute("maxlength") or 0)
    name.fill("x" * most)
    said = page.locator("[data-maximum]")
    expect(said).to_have_text(f"Maximum reached: {most} characters.")
    name.fill("x")
    expect(said).to_be_empty()
