"""The guides as a browser shows them: each without a complaint of its policy, and found by the search."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from stack.guides import guide_paths, name_of
from tests.pages.walking import PHONE, Axe, assert_no_faults, check_width, hear_errors, visit

NAMES = [name_of(path) for path in guide_paths()]
LOCALES = {"en": "en-GB", "de": "de-DE"}
in_each_language = pytest.mark.parametrize("language", LOCALES)
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def page(language, live_server, browser) -> Page:
    page = visit(browser, live_server, locale=LOCALES[language]).new_page()
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return page


@in_each_language
def test_every_guide_opens_without_a_complaint(page, language):
    said = hear_errors(page)
    faults = []
    for name in NAMES:
        address = reverse("guides") if name == "index" else reverse("guide", args=[name])
        assert page.goto(address, wait_until="load").status == 200
        assert page.locator("html").get_attribute("lang") == language
        faults += check_width(page)
    page.set_viewport_size(PHONE)
    for name in ("writing-with-the-api", "styles", "settings"):
        page.goto(reverse("guide", args=[name]), wait_until="load")
        faults += check_width(page)
    assert_no_faults(*faults)
    assert said == []


@pytest.mark.parametrize(
    ("language", "words", "found"),
    [
        ("en", "owners", "Team and settings"),
        ("en", "watermarks", "Provenance"),
        ("de", "Rolle", "Team und Einstellungen"),
        ("de", "Einladungen", "Team und Einstellungen"),
    ],
)
def test_the_search_finds_other_forms_of_a_word(page, language, words, found):
    said = hear_errors(page)
    page.goto(reverse("guides"))
    page.get_by_role("search").get_by_role("textbox").fill(words)
    page.keyboard.press("Enter")
    page.locator("#search-results li", has_text=found).first.wait_for()
    assert said == []


@in_each_language
def test_the_theme_is_the_sites(page, language):
    page.goto(reverse("guides"))
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(reverse("guide", args=["team"]))
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(reverse("status"))
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark


@pytest.mark.parametrize("language", ["en"])
@pytest.mark.parametrize("name", ["writing-with-the-api", "styles", "settings", "search"])
def test_a_guide_is_accessible_in_both_themes(page, language, name):
    page.goto(reverse("guide", args=[name]), wait_until="load")
    faults = Axe(page).whole("wide")
    page.set_viewport_size(PHONE)
    assert_no_faults(*faults, *Axe(page).whole("phone"))
