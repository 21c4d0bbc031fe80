"""Every page that a GET shows, in a real Chromium, as walking.py looks at them.

The pages come from the URLconf, so a new one is walked from the day it is there. test_every_state.py has more
states of them.
"""

from datetime import timedelta

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.urls import get_resolver, reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Route

from core import months
from metering.ledger import record_events
from metering.request_log import Refusal, record_refusals
from tenants.models import Tenant
from tests.config.addresses import ALL, API, SEEN_BY_ALL, address_of
from tests.pages.builders import is_whole_page
from tests.pages.walking import (
    AFTER_TWO_FRAMES,
    FIRST_PAINT,
    WATCH_SHIFTS,
    Walk,
    assert_no_faults,
    enter,
    prove_who_it_is,
)
from tests.tenants.builders import issue_key, make_event
from tests.waiting import eventually

ACCOUNTS = ["email", "change_password", "logout", "reauthenticate"]  # account_…
BEFORE_A_FACTOR = ["mfa_activate_totp", "mfa_add_webauthn", "mfa_list_webauthn"]
WITH_FACTORS = ["mfa_index", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"]
TO_LOG_IN = ["account_login", "account_signup", "account_reset_password"]
VISITORS = ["home", *TO_LOG_IN, "guides", "status", "billing:prices"]
# The API reference is Redoc's: test_reference.py.
NO_PAGE_BY_NAME = {"guide", "guide_file", "api_reference", "script_words", "mail_html", "unsubscribe"}
IN_GERMAN = [
    "member_home",
    "welcome",
    "adapters:catalogue",
    "adapters:upload",
    "adapters:style",
    "adapters:style_versions",
    "adapters:style_sharing",
    "adapters:style_settings",
    "training:list",
    "training:new",
    "training:texts",
    "inference:playground",
    "keys:keys",
    "billing:usage",
    "billing:requests",
    "billing:plan",
    "billing:invoices",
    "accounts:team",
    "website:settings",
    "events:notices",
    "events:webhooks",
]
# Pages with tables: their columns are as wide as what is there asks for.
SLOWLY = ("/keys/", "/usage/", "/usage/requests/", "/docs/settings/")
SLOW_BYTES_PER_S = 50_000
PARTS = 3  # of the walk through every page: each ends within its time on a busy machine, too
LEAST_VISIBLE_SHIFT = 0.02  # of the layout; browsers call a tenth good, and a column moves by some pixels
GUIDES = ("writing-with-the-api", "styles", "settings")
GERMAN_GUIDES = ("team", "probing", "reporting-a-vulnerability")  # the last one is shown in English


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
    reason = "Rate limit reached for requests per minute of this key: 10 allowed, 0 left. Try again in 3 s."
    refusal = Refusal("req_refused", acme.pk, laptop.pk, now, "poetry", 429, "rate_limit_exceeded", reason)
    record_refusals([refusal])
    return acme


@pytest.fixture
def legal_pages(settings) -> None:
    """Fill in what terms and privacy need."""
    settings.OPERATOR_NAME = "Ink & Sons"
    settings.OPERATOR_ADDRESS = "1 Quill Street\nOxford"
    settings.OPERATOR_EMAIL = "hello@example.com"


@pytest.fixture
def pages(part, alice_client, of_acme, legal_pages) -> list[str]:
    """Return the addresses of a part of the whole pages that a member may open."""
    known = {key[0] for key in get_resolver().reverse_dict.items() if isinstance(key[0], str)}
    open_to_all = sorted((SEEN_BY_ALL - NO_PAGE_BY_NAME) & known)
    addresses = [address_of(name, of_acme) for name in ALL if not name.startswith(API)]
    addresses += [reverse(name) for name in [*open_to_all, "mfa_index"]]
    addresses += [reverse(f"account_{name}") for name in ACCOUNTS]
    addresses += [reverse("guide", args=[slug]) for slug in GUIDES]
    addresses += [reverse("billing:usage") + "?by=key", reverse("billing:requests") + "?q=nothing"]
    addresses = list(dict.fromkeys([*addresses, "/there-is-nothing-here/"]))
    return [address for address in addresses[part::PARTS] if is_whole_page(alice_client, address)]


@pytest.fixture
def members(alice, alice_client, live_server, browser) -> BrowserContext:
    """Return the browser of a member who has just proved who she is."""
    prove_who_it_is(alice_client, alice)
    return enter(browser, live_server, alice_client)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.usefixtures("valkey", "busy_acme")
def test_every_page_is_accessible_silent_and_narrow_enough(pages, members):
    assert len(pages) > 30 // PARTS
    walk = Walk(members, "member")
    walk.see(pages)
    assert_no_faults(*walk.faults)


@pytest.mark.usefixtures("valkey", "busy_acme")
def test_nothing_moves_when_the_fonts_come_late(members):
    members.add_init_script(WATCH_SHIFTS)
    page = members.new_page()
    held: list[Route] = []
    page.route("**/*.woff2", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks the function)
    for address in (reverse("keys:keys"), reverse("billing:usage")):
        page.goto(address, wait_until="domcontentloaded")
        page.evaluate(FIRST_PAINT)
        eventually(lambda: page.wait_for_timeout(10) or held)
        while page.evaluate("document.readyState") != "complete":
            while held:
                held.pop().continue_()
        page.evaluate(AFTER_TWO_FRAMES)
        shifts = page.evaluate("shifts")
        assert sum(shift["value"] for shift in shifts) < LEAST_VISIBLE_SHIFT, shifts


@pytest.mark.usefixtures("valkey", "busy_acme")
def test_nothing_moves_while_a_page_arrives_slowly(members):
    members.add_init_script(WATCH_SHIFTS)
    page = members.new_page()
    page.goto(reverse("member_home"), wait_until="load")  # stylesheets and fonts are there from now on
    devices = members.new_cdp_session(page)
    line = {"offline": False, "latency": 0, "downloadThroughput": SLOW_BYTES_PER_S, "uploadThroughput": -1}
    devices.send("Network.emulateNetworkConditions", line)
    shifts = []
    for address in SLOWLY:
        page.goto(address, wait_until="load")
        page.evaluate(AFTER_TWO_FRAMES)
        shifts += [(address, shift) for shift in page.evaluate("shifts")]
    assert sum(shift["value"] for _, shift in shifts) < LEAST_VISIBLE_SHIFT, shifts


@pytest.mark.usefixtures("valkey", "acme")
def test_pages_of_a_second_factor(alice, members):
    walk = Walk(members, "member")
    walk.see([reverse(name) for name in BEFORE_A_FACTOR])
    totp.TOTP.activate(alice, totp.generate_totp_secret())
    RecoveryCodes.activate(alice)
    walk.see([reverse(name) for name in WITH_FACTORS])
    assert_no_faults(*walk.faults)


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_pages_of_visitors(live_server, browser):
    visitor = Walk(browser.new_context(base_url=live_server.url), "visitor")
    visitor.see([reverse(name) for name in VISITORS], status=200)
    assert_no_faults(*visitor.faults)


@pytest.mark.usefixtures("valkey", "busy_acme")
def test_the_main_pages_hold_the_longer_words_of_german(of_acme, alice_client, live_server, browser):
    member = Walk(enter(browser, live_server, alice_client, locale="de-DE"), "member, German", language="de")
    member.see([address_of(name, of_acme) for name in IN_GERMAN], status=200)
    visitor = german_visitor(browser, live_server)
    visitor.see([reverse("home"), *(reverse(name) for name in TO_LOG_IN)], status=200)
    assert_no_faults(*member.faults, *visitor.faults)


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey", "legal_pages")
def test_guides_and_legal_pages_in_german(live_server, browser):
    visitor = german_visitor(browser, live_server)
    visitor.see([reverse(name) for name in ("terms", "privacy", "guides")], status=200)
    visitor.see([reverse("guide", args=[slug]) for slug in GERMAN_GUIDES], status=200)
    assert_no_faults(*visitor.faults)


def german_visitor(browser, live_server) -> Walk:
    context = browser.new_context(base_url=live_server.url, locale="de-DE")
    return Walk(context, "visitor, German", language="de")
