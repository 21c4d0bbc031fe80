"""Every page that a GET shows, in a real Chromium: accessible, without script errors, and never too wide.

The pages come from the URLconf, so a new one is walked from the day it is there. axe-core runs at both
widths, and its contrast rule in both themes. With SCREENS=folder each page is also drawn: `make screens`.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from foundation import months
from tenants.api_keys.lifecycle import issue_key
from tenants.billing.ledger import record_events
from tenants.billing.request_log import Refusal, record_refusals
from tenants.models import Tenant, User
from tests.config.test_every_address import ALL, API, SEEN_BY_ALL, address_of, of_acme
from tests.journeys.conftest import FLAGS, find_chromium
from tests.tenants.conftest import make_event

__all__ = ["of_acme"]

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}
EVERYTHING: dict[str, Any] = {"resultTypes": ["violations"]}
CONTRAST = {**EVERYTHING, "runOnly": ["color-contrast"]}
ACCOUNTS = [
    "account_email",
    "account_change_password",
    "mfa_index",
    "account_logout",
    "account_reauthenticate",
]
BEFORE_A_FACTOR = ["mfa_activate_totp", "mfa_add_webauthn", "mfa_list_webauthn"]
WITH_FACTORS = [
    "mfa_index",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
]
VISITORS = ["home", "account_login", "account_signup", "account_reset_password", "guides", "status", "prices"]
GUIDES = ("writing-with-the-api", "styles", "settings")
MOST_DIALOGS = 4  # of one page: a list has the same one in each row
FORMS = "[...document.querySelectorAll('form')].filter((form) => form.querySelector('[required]'))"
SEND_EMPTY = f"""(number) => {{
    const form = {FORMS}[number];
    form.noValidate = true;
    for (const field of form.querySelectorAll("[required]")) {{
        if (field.type === "radio" || field.type === "checkbox") field.checked = false;
        else field.value = "";
    }}
    form.requestSubmit();
}}"""
MAX_RESULT = 300  # characters of one violation


@pytest.fixture
def busy_acme(acme: Tenant, alice) -> Tenant:
    """Acme has written in two months, in styles that share a page with long names, and was refused."""
    now = timezone.now()
    earlier = months.bounds(months.before(months.period_of(now)))[0] + timedelta(days=3)
    laptop, _ = issue_key(acme, name="a laptop with quite a long name, for the newsletter", by=alice)
    events = []
    for number in range(40):
        at = earlier if number % 3 == 0 else now - timedelta(minutes=number)
        style_name = f"acme/a-style-with-a-long-name-{number % 7}"
        outcome = "client_disconnect" if number % 11 == 0 else "complete"
        events.append(make_event(acme, key=laptop, admitted_at=at, style_name=style_name, outcome=outcome))
    record_events(events)
    reason = "Rate limit reached for requests a minute of this key: 10 allowed, 0 left. Try again in 3 s."
    refusal = Refusal("req_refused", acme.pk, laptop.pk, now, "poetry", 429, "rate_limit_exceeded", reason)
    record_refusals([refusal])
    return acme


@pytest.fixture
def pages(alice_client: Client, of_acme, settings) -> list[str]:
    """Return the addresses of every whole page that a member may open."""
    settings.OPERATOR_NAME = "Ink & Sons"
    settings.OPERATOR_ADDRESS = "1 Quill Street\nOxford"
    settings.OPERATOR_EMAIL = "hello@example.com"
    addresses = [address_of(name, of_acme) for name in ALL if not name.startswith(API)]
    known = {key[0] for key in get_resolver().reverse_dict.items() if isinstance(key[0], str)}
    open_to_all = sorted((SEEN_BY_ALL - {"guide", "mail_html", "unsubscribe"}) & known)
    addresses += [reverse(name) for name in [*open_to_all, *ACCOUNTS]]
    addresses += [reverse("guide", args=[slug]) for slug in GUIDES]
    addresses += [reverse("tenants:usage") + "?by=key", reverse("tenants:requests") + "?q=nothing"]
    addresses.append("/there-is-nothing-here/")
    return [address for address in dict.fromkeys(addresses) if is_whole_page(alice_client, address)]


def is_whole_page(client: Client, address: str) -> bool:
    """Return whether an address shows a page of its own: no redirect, no file, no part of a page."""
    if Path(address).suffix:  # a file that is not there shows the page of what is not there
        return False
    answer = client.get(address)
    if answer.status_code not in (200, 404) or "text/html" not in answer.headers.get("Content-Type", ""):
        return False
    return not answer.streaming and "<html" in answer.text


@pytest.fixture
def browser(monkeypatch) -> Iterator[Browser]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in this thread
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("valkey", "busy_acme")
def test_every_page_is_accessible_silent_and_narrow_enough(pages, alice, alice_client, live_server, browser):
    assert len(pages) > 30
    prove_who_it_is(alice_client, alice)
    faults: list[str] = []
    members = browser.new_context(base_url=live_server.url, viewport=WIDE)
    session = alice_client.cookies["sessionid"].value
    members.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    walk(members, pages, faults, "member")
    walk(members, [reverse(name) for name in BEFORE_A_FACTOR], faults, "member")
    set_up_factors(alice)
    connection.close()  # this test's own, beside Playwright's loop: nobody else would give it back
    walk(members, [reverse(name) for name in WITH_FACTORS], faults, "member with factors")
    visitors = browser.new_context(base_url=live_server.url, viewport=WIDE)
    known = [reverse(name if name != "prices" else "tenants:prices") for name in VISITORS]
    walk(visitors, known, faults, "visitor")
    assert faults == [], "\n".join(faults)


def prove_who_it_is(client: Client, user: User) -> None:
    """Let a session count as proved just now: pages about factors ask for that."""
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, user, method="password", reauthenticated=True)
    request.session.save()


def set_up_factors(user: User) -> None:
    """Give a person an authenticator app and recovery codes."""
    totp.TOTP.activate(user, totp.generate_totp_secret())
    RecoveryCodes.activate(user)


def walk(context: BrowserContext, addresses: list[str], faults: list[str], who: str) -> None:
    page = context.new_page()
    for address in addresses:
        told: list[str] = []
        listen = lambda message, told=told: told.append(message.text) if message.type == "error" else None  # noqa: E731
        page.on("console", listen)
        page.set_viewport_size(WIDE)
        # Without motion: axe would measure colours half way from one theme to the other.
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        status = page.goto(address, wait_until="load").status  # type: ignore[union-attr]
        page.evaluate(AXE)
        told += check(page, "wide", EVERYTHING)
        draw(page, who, address, "wide-light")
        page.set_viewport_size(PHONE)
        told += check(page, "phone", EVERYTHING)
        draw(page, who, address, "phone-light")
        page.emulate_media(color_scheme="dark")
        told += check(page, "phone, dark", CONTRAST)
        draw(page, who, address, "phone-dark")
        page.set_viewport_size(WIDE)
        told += check(page, "wide, dark", CONTRAST)
        draw(page, who, address, "wide-dark")
        page.set_viewport_size(SMALLEST)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > SMALLEST["width"]:
            told.append(f"is {width} px wide on a screen of 320")
        page.remove_listener("console", listen)
        told += check_openings(page, address)
        told += check_errors(page, address)
        expected = "404 (Not Found)" if status == 404 else None
        faults += [f"{who} {address}: {one}" for one in told if not (expected and expected in one)]
    page.close()


def check(page: Page, where: str, options: dict[str, Any]) -> list[str]:
    """Return what axe has against a page, in words."""
    found = page.evaluate("options => axe.run(document, options)", options)
    told = []
    for violation in found["violations"]:
        nodes = "; ".join(f"{node['html'][:110]} ({node['target']})" for node in violation["nodes"][:3])
        told.append(f"[{where}] {violation['id']}: {violation['help']}: {nodes}"[: MAX_RESULT * 2])
    return told


def check_openings(page: Page, address: str) -> list[str]:
    """Return what axe has against a page with every disclosure and menu open, and against each dialog."""
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="light")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    told = check(page, "all open", EVERYTHING)
    openers = page.locator("[data-opens]:visible")
    for number in range(min(openers.count(), MOST_DIALOGS)):
        openers.nth(number).click()
        told += check(page, "dialog", EVERYTHING)
        page.keyboard.press("Escape")
    return told


def check_errors(page: Page, address: str) -> list[str]:
    """Return what axe has against a page after each form with required fields was sent empty."""
    told = []
    page.goto(address, wait_until="load")
    count = page.evaluate(f"{FORMS}.length")
    for number in range(count):
        if number:
            page.goto(address, wait_until="load")
        page.evaluate(SEND_EMPTY, number)
        page.wait_for_load_state("networkidle")
        page.evaluate(AXE)
        told += check(page, f"form {number} sent empty", EVERYTHING)
    return told


def draw(page: Page, who: str, address: str, name: str) -> None:
    """Keep a picture of the whole page when SCREENS names a folder."""
    folder = os.environ.get("SCREENS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = address.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "home"
    page.evaluate("scrollTo(0, 0)")  # what is stuck to an edge is drawn where it stands
    page.screenshot(path=f"{folder}/{who}-{file}-{name}.jpg", type="jpeg", quality=70, full_page=True)
