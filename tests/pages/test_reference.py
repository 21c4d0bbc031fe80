"""The API reference as a browser shows it: Redoc, under our policy and in our colours."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests.pages.walking import AXE, PHONE, WIDE, Fault, assert_no_faults, check_width, hear_errors, visit
from website import api_schema

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
OPERATION = "#tag/keys/operation/keys.create"
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"
# Parts that show each kind of thing once: axe would look at all operations for minutes.
RUN_AXE = """axe.run({ include: [".bar", ".menu-content", "[id='tag/keys/operation/keys.create']"] })"""
SHOWN = "[...document.querySelectorAll('[data-section-id]')].map((one) => one.dataset.sectionId)"
OF_REDOC = {"heading-order"}  # it goes from h2 to h5


@pytest.fixture
def reference(live_server, browser) -> Page:
    page = visit(browser, live_server).new_page()
    page.said = hear_errors(page)
    page.goto(reverse("api_reference") + OPERATION)
    page.locator(f"[data-section-id='{OPERATION[1:]}']").wait_for()
    return page


def test_every_operation_has_the_address_that_the_search_names_and_none_a_complaint(reference):
    shown = set(reference.evaluate(SHOWN))
    for methods in api_schema.document()["paths"].values():
        for operation in methods.values():
            assert api_schema.reference_address(operation).partition("#")[2] in shown
    reference.get_by_role("textbox", name="Search").fill("invoice")
    reference.get_by_role("search").get_by_text("Get an invoice", exact=True).wait_for()
    assert reference.said == []


def test_it_is_narrow_enough_and_accessible_in_both_themes(reference):
    faults = []
    for size in (PHONE, WIDE):
        reference.set_viewport_size(size)
        faults += check_width(reference)
    faults += look(reference, "light")
    light = reference.evaluate(BACKGROUND)
    with reference.expect_navigation():
        reference.emulate_media(color_scheme="dark")
    reference.locator(f"[data-section-id='{OPERATION[1:]}']").wait_for()
    assert reference.evaluate(BACKGROUND) != light
    assert_no_faults(*faults, *look(reference, "dark"))


def look(page: Page, theme: str) -> list[Fault]:
    """Return what axe has against the parts of a page."""
    page.evaluate(AXE)
    violations = page.evaluate(RUN_AXE)["violations"]
    return [
        Fault(one["id"], theme, "; ".join(node["html"][:150] for node in one["nodes"][:3]))
        for one in violations
        if one["id"] not in OF_REDOC
    ]
