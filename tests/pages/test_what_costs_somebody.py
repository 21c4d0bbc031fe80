"""A change of plan, a deletion, and what was typed or heard: in a real Chromium, in both languages."""

import json
import re

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from adapters.models import BaseModel
from tenants.models import Tenant, User
from tests.chromium import follow, look
from tests.pages.builders import PASSWORD, give_password
from tests.pages.walking import Axe, assert_no_faults, check_state, check_widths, enter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "acme")]


def see(page: Page, name: str) -> None:
    """Look at a page as it is; in another language than English only at its widths."""
    look(page, name)
    page.emulate_media(reduced_motion="reduce")
    is_english = page.locator("html").get_attribute("lang") == "en"
    assert_no_faults(*(check_state(Axe(page), name) if is_english else check_widths(page)))


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_change_of_plan_asks_before(settings, alice_client, live_server, browser, language):
    settings.SUPPORT_EMAIL = "help@example.org"
    context = enter(browser, live_server, alice_client, locale=language)
    page = context.new_page()
    page.goto(reverse("billing:plan"))
    page.locator("[data-opens=change-to-writer]").click()
    dialog = page.locator("#change-to-writer")
    expect(dialog).to_be_visible()
    expect(dialog.locator("[data-closes]")).to_be_focused()
    see(page, f"plan-up-{language}")
    follow(dialog.locator("[type=submit]"))
    page.locator("[data-opens=change-to-free]").click()
    expect(page.locator("#change-to-free [data-closes]")).to_be_focused()
    see(page, f"plan-down-{language}")
    page.keyboard.press("Escape")
    expect(page.locator("a[href='mailto:help@example.org']").first).to_be_visible()


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_deletion_is_announced_stopped_and_explained(
    alice_client, bob_client, live_server, browser, language
):
    page = enter(browser, live_server, alice_client, locale=language).new_page()
    page.goto(reverse("website:delete_workspace"))
    see(page, f"delete-{language}")
    page.locator("[name=confirm]").fill("Acme")
    page.locator("form:has([name=confirm]) [type=submit]").click()
    stop = page.locator(f"form[action='{reverse('website:stop_deletion')}'] button")
    expect(stop).to_be_visible()
    see(page, f"delete-asked-{language}")
    stop.click()
    expect(stop).to_have_count(0)
    alice = User.objects.get(email="alice@example.org")
    Tenant.objects.filter(slug="acme").update(deleted_at=timezone.now(), deletion_asked_by=alice)
    page = enter(browser, live_server, bob_client, locale=language).new_page()
    page.goto(reverse("home"))
    page.goto(reverse("website:create_workspace"))
    expect(page.locator("main")).to_contain_text("alice@example.org")
    see(page, f"deleted-{language}")


def test_a_typed_name_survives_a_session_that_ended(alice, alice_client, live_server, browser):
    give_password(alice, is_verified=True)
    alice_client.force_login(alice)
    context = enter(browser, live_server, alice_client)
    page = context.new_page()
    page.goto(reverse("keys:keys"))
    page.locator("[data-opens=create-key]").click()
    page.locator("#create-key [name=name]").fill("newsletter of spring")
    context.clear_cookies(name="sessionid")
    page.locator("#create-key [type=submit]").click()
    page.locator("[name=login]").fill(alice.email)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[data-log-in] [type=submit]").click()
    page.wait_for_url(re.compile(re.escape(reverse("keys:keys"))))
    expect(page.locator("#create-key [name=name]")).to_be_visible()
    expect(page.locator("#create-key [name=name]")).to_have_value("newsletter of spring")
    page.reload()
    expect(page.locator("#create-key [name=name]")).to_have_value("")
    assert page.evaluate("sessionStorage.typed ?? null") is None


def test_a_mark_of_a_wrong_field_goes_when_it_is_filled(alice_client, live_server, browser):
    BaseModel.objects.create(name="base", config={}, modules={})
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("adapters:upload"))
    page.locator("#name").evaluate("field => { field.form.noValidate = true; field.form.requestSubmit(); }")
    wrong = page.locator("[aria-invalid=true]").first
    expect(wrong).to_be_visible()
    name = wrong.get_attribute("name")
    field = page.locator(f"[name={name}]")
    error = page.locator(f".field:has([name={name}]) .field-error:visible")
    assert error.count() > 0
    field.fill("noir")
    expect(field).to_have_attribute("aria-invalid", "false")
    expect(error).to_have_count(0)


def test_a_heard_text_comes_along_to_the_playground(alice_client, live_server, browser):
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("inference:playground"))
    model = page.locator("[data-pane] select, [data-panes] select").first.input_value()
    heard = {"model": model, "prompt": "Describe the rain.", "text": "It rained on the roofs."}
    page.evaluate("heard => sessionStorage.setItem('heard', heard)", json.dumps(heard))
    page.reload()
    expect(page.locator(".ruled").first).to_have_text("It rained on the roofs.")
    expect(page.locator("[name=prompt]")).to_have_value("Describe the rain.")
    expect(page.locator("[data-reply]")).to_be_visible()
    page.reload()
    expect(page.locator(".ruled")).to_have_count(0)
