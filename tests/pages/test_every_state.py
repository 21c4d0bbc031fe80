"""Pages once something of everything has happened: to each role, to strangers, without JavaScript."""

import json
import os
import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect

from accounts.workspaces import create_tenant
from adapters.models import Style
from events.models import NoticeKind
from events.notices.catalog import unsubscribe_url
from metering.ledger import record_events
from stack.folders import ROOT
from tenants.invitation_links import token_of
from tenants.models import Invitation, Membership, User
from tests.chromium import follow
from tests.pages import scene, training_scene
from tests.pages.builders import PASSWORD, give_password
from tests.pages.walking import Axe, Fault, Walk, assert_no_faults, check_state, enter, prove_who_it_is, visit
from tests.tenants.builders import make_event
from tests.training.builders import answer_for_the_base

OF_BILLING = ("usage", "requests", "invoices", "plan", "credits", "billing_details", "earnings")
ROOMS = [
    *("member_home", "keys:keys", "website:settings"),
    *("adapters:catalogue", "adapters:upload", "adapters:deleted"),
    *("inference:playground", "inference:blind"),
    *(f"billing:{name}" for name in OF_BILLING),
    *("events:webhooks", "accounts:team", "tenants:audit_log", "events:notices"),
]
MARKED = {"watermark": "gumbel; epoch=1"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 40}

# Two hundred pages take minutes.
drawn = pytest.mark.skipif(not os.environ.get("SCREENS"), reason="`make screens` walks through every state")

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def walk(browser, live_server) -> Callable[[Client, str], Walk]:
    """Begins the walk of a test's client."""

    def begin(client: Client, who: str) -> Walk:
        return Walk(enter(browser, live_server, client), who, is_brief=True)

    return begin


@pytest.fixture
def styles(acme, alice, charlies, engine, poetry) -> list[str]:
    """Return the addresses that show styles in every state."""
    addresses = scene.lay_styles(acme, alice, engine)
    return addresses + scene.lay_styles_of_others(acme, alice, charlies, engine)


@pytest.fixture
def states(acme, alice, charlies, settings) -> list[str]:
    """Return the addresses that show money, keys, people and webhooks in every state."""
    addresses = scene.lay_money(acme, settings) + scene.lay_keys(acme, alice)
    return addresses + scene.lay_team(acme, alice) + scene.lay_webhooks(acme)


@pytest.fixture
def trainings(acme, alice, engine, monkeypatch) -> list[str]:
    """Return the addresses that show trainings in every state."""
    answer_for_the_base(monkeypatch)
    return training_scene.lay_trainings(acme, alice, engine)


def test_every_state_of_trainings_has_its_page(trainings, alice_client):
    for address in trainings:
        assert alice_client.get(address).status_code == 200, address


def test_every_state_of_the_rest_has_its_page(styles, states, alice_client):
    for address in styles + states:
        assert alice_client.get(address).status_code == 200, address


@drawn
def test_every_state_of_styles(styles, alice_client, walk):
    member = walk(alice_client, "styles")
    member.see(styles, status=200)
    assert_no_faults(*member.faults)


@drawn
def test_every_state_of_money_keys_people_and_webhooks(states, alice_client, walk):
    member = walk(alice_client, "states")
    member.see(states, status=200)
    assert_no_faults(*member.faults)


@drawn
def test_every_state_of_trainings(trainings, alice_client, walk):
    member = walk(alice_client, "trainings")
    member.see(trainings, status=200)
    assert_no_faults(*member.faults)


@drawn
@pytest.mark.usefixtures("styles", "states")
def test_what_lesser_roles_and_newcomers_see(bob, bob_client, walk):
    Membership.objects.filter(user=bob).update(role=Membership.Role.VIEWER)
    dora = User.objects.create_user("dora@example.org")
    create_tenant(dora, name="Nothing yet")
    rooms = [reverse(name) for name in ROOMS]
    viewer, newcomer = walk(bob_client, "viewer"), walk(client_of(dora), "newcomer")
    viewer.see([*rooms, reverse("adapters:style", args=["acme", "letters"]), reverse("billing:set_budget")])
    newcomer.see([*rooms, reverse("welcome")])
    nobody = walk(client_of(User.objects.create_user("erin@example.org")), "without a workspace")
    nobody.see([reverse("website:create_workspace")], status=200)
    assert_no_faults(*viewer.faults, *newcomer.faults, *nobody.faults)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.mark.usefixtures("states")
def test_where_mails_lead(alice, bob_client, browser, live_server, walk):
    invited = User.objects.create_user("open@example.org")
    address = give_password(alice)
    confirm = reverse("account_confirm_email", args=[EmailConfirmationHMAC(address).key])
    member = Membership.objects.get(user=alice)
    stop = unsubscribe_url(member, NoticeKind.USAGE).removeprefix(settings.SITE_URL)
    join = reverse("accounts:join", args=[token_of(Invitation.objects.get(email=invited.email))])
    visitor = Walk(browser.new_context(base_url=live_server.url), "visitor", is_brief=True)
    visitor.see([join, confirm, stop, reverse("account_email_verification_sent")], status=200)
    gone = [reverse("accounts:join", args=["x"]), reverse("account_confirm_email", args=["x"])]
    visitor.see(
        [*gone, reverse("account_reset_password_done"), reverse("account_reset_password_from_key_done")]
    )
    EmailAddress.objects.filter(pk=address.pk).update(verified=True)
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    reset = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[-1].body).group()
    visitor.see([reset, reverse("account_reset_password_from_key", args=["1", "x-y"])], status=200)
    others = walk(bob_client, "somebody else"), walk(client_of(invited), "who was invited")
    for one in others:
        one.see([join], status=200)
    assert_no_faults(*visitor.faults, *(fault for other in others for fault in other.faults))


def test_the_second_step(alice, browser, live_server):
    give_password(alice, is_verified=True)
    totp.TOTP.activate(alice, totp.generate_totp_secret())
    context = visit(browser, live_server)
    page = context.new_page()
    page.goto(reverse("account_login"))
    page.get_by_label("Email").fill(alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading")).to_have_text("Two-step login")
    visitor = Walk(context, "half in")
    visitor.see([reverse("mfa_authenticate")], status=200)
    assert_no_faults(*visitor.faults)


@pytest.mark.usefixtures("acme")
def test_a_passkey_is_added_renamed_logs_in_and_is_removed(alice, alice_client, browser, live_server):
    prove_who_it_is(alice_client, alice)
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    context = enter(browser, live_server, alice_client)
    page = context.new_page()
    add_authenticator(page)
    page.goto(reverse("mfa_add_webauthn"))
    page.get_by_label("Name").fill("The laptop")
    page.get_by_label(re.compile("Passwordless|passkey", re.IGNORECASE)).check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("codes", re.IGNORECASE))
    page.goto(reverse("mfa_list_webauthn"))
    expect(page.locator("main .summary")).to_contain_text("1 passkey")
    rename = page.get_by_role("link", name="Rename").get_attribute("href")
    remove = page.get_by_role("link", name="Remove").get_attribute("href")
    member = Walk(context, "passkeys")
    member.see([reverse("mfa_index"), reverse("mfa_list_webauthn"), rename, remove], status=200)

    page.goto(rename)
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("My phone").first).to_be_visible()

    context.clear_cookies()
    page.goto(reverse("account_login"))
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).not_to_have_url(re.compile("/accounts/"))
    page.goto(remove)
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm it\u2019s you")
    asked_again = look_at_state(page, "proof by a code")
    with page.expect_navigation():  # to a page with the same heading
        page.get_by_role("link", name="Use a security key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm it\u2019s you")
    asked_again += look_at_state(page, "proof by a passkey")
    page.get_by_role("button", name="Use your passkey or security key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Remove My phone?")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("main .summary")).to_have_text("No passkeys yet")
    assert_no_faults(*member.faults)
    assert_no_faults(*asked_again)


def add_authenticator(page: Page) -> None:
    """Give a browser a device whose owner says yes at once."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    abilities = ("hasResidentKey", "hasUserVerification", "isUserVerified", "automaticPresenceSimulation")
    device = {"protocol": "ctap2", "transport": "internal", **dict.fromkeys(abilities, True)}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": device})


@pytest.mark.usefixtures("styles")
def test_answers_a_refusal_and_an_open_blind_vote(alice_client, browser, live_server):
    page = enter(browser, live_server, alice_client).new_page()
    page.emulate_media(reduced_motion="reduce")
    page.route("**/stream/", answer)
    faults = []

    page.goto(reverse("inference:blind") + "?a=acme/letters@2&b=acme/letters@3")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("button", name="No difference")).to_be_enabled()
    assert "version" not in page.locator("[data-answers]").inner_text()
    faults += look_at_state(page, "an open blind vote")
    page.get_by_role("button", name="Left is better").click()
    expect(page.locator("[data-answers]")).to_contain_text(re.compile("version [23]"))
    faults += look_at_state(page, "a cast blind vote")

    page.goto(reverse("inference:playground") + "?style=acme/letters&style=base")
    page.get_by_label("Prompt", exact=True).fill("Describe the sea.")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("alert").filter(has_text="Too fast")).to_be_visible()
    expect(page.get_by_role("region", name="Answer 1").locator("[data-tokens]")).to_contain_text("40 out")
    expect(page.get_by_role("region", name="Answer 1")).to_contain_text("Watermarked")
    faults += look_at_state(page, "answers and a refusal")

    page.goto(reverse("adapters:compare", args=["acme", "letters"]))
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compare-summary")).not_to_be_empty()
    faults += look_at_state(page, "a comparison")
    assert_no_faults(*faults)


def answer(route: Route) -> None:
    """Answer in the engine's place; refuse the base model as the gateway does."""
    if route.request.post_data_json.get("model") == "base":
        error = {"error": {"message": "Too fast. Try again in 3 s.", "code": "rate_limit_exceeded"}}
        route.fulfill(status=429, content_type="application/json", body=json.dumps(error))
        return
    chunks = [{"choices": [{"delta": {"content": word + " "}}]} for word in scene.SAMPLE.split()]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE} | MARKED)
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    route.fulfill(status=200, content_type="text/event-stream", body=f"{body}data: [DONE]\n\n")


def look_at_state(page: Page, name: str) -> list[Fault]:
    page.emulate_media(reduced_motion="reduce")  # no colour half way from one theme to the other
    return check_state(Axe(page), name)


def test_without_javascript_pages_read_forms_post_and_what_needs_it_says_so(
    styles, states, alice_client, browser, live_server
):
    page = enter(browser, live_server, alice_client, java_script_enabled=False).new_page()
    faults = []
    for address in [*styles, *states, *(reverse(name) for name in ROOMS)]:
        page.goto(address)
        dead = [one.inner_text() for one in page.locator("main button[type=button]:visible").all()]
        if dead:
            faults.append(f"{address} has dead buttons: {dead}")
        if not page.get_by_role("heading", level=1).is_visible():
            faults.append(f"{address} has no heading")
        needs_script = page.locator("main form[data-scripted]").count()
        if needs_script and not page.locator("main .notice-warn", has_text="JavaScript").is_visible():
            faults.append(f"{address} does not say that it needs JavaScript")
    assert faults == [], "\n".join(faults)

    page.goto(reverse("keys:keys"))
    page.get_by_label("Name", exact=True).fill("by hand")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#secret")).to_have_text(re.compile("^sk-ps-"))
    page.goto(reverse("keys:keys"))
    revoke = dialog_of(page, "Revoke “by hand”?")
    revoke.get_by_role("textbox").fill("by hand")
    revoke.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("“by hand” was revoked.")).to_be_visible()


def dialog_of(page: Page, heading: str) -> Locator:
    """Return the dialog with a heading, wherever it stands."""
    return page.locator("dialog").filter(has=page.get_by_role("heading", name=heading))


def test_shortcuts_lead_somewhere_and_can_be_turned_off(acme, alice_client, browser, live_server):
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("keys:keys"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("gu")
    page.wait_for_url(re.compile(reverse("billing:usage")))  # with its scripts, which handle the next key
    page.keyboard.type("?")
    page.get_by_label("Use shortcuts of a single key").uncheck()
    page.keyboard.press("Escape")
    for _ in range(2):  # also after a reload
        page.keyboard.type("gk/?")
        expect(page.locator("dialog[open]")).to_have_count(0)
        expect(page).to_have_url(re.compile(reverse("billing:usage")))
        page.reload()


@pytest.mark.usefixtures("acme")
def test_the_search_finds_pages_actions_and_styles_and_keys_walk_through_it(
    styles, alice_client, browser, live_server
):
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("billing:usage"))
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog.get_by_role("link", name="Write", exact=True)).to_be_visible()
    page.keyboard.type("create an")
    create = dialog.get_by_role("link", name="Create an API key", exact=True)
    expect(create).to_be_visible()
    expect(dialog.get_by_role("link", name="Write", exact=True)).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(create).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(reverse("keys:keys")))
    expect(page.get_by_role("dialog", name="Create API key")).to_be_visible()


@pytest.mark.usefixtures("acme")
def test_the_search_lists_pages_for_who_presses_its_keys_before_htmx_is_ready(
    alice_client, browser, live_server
):
    page = enter(browser, live_server, alice_client).new_page()
    # htmx processes the page by a timer, which a busy machine runs late.
    page.add_init_script("const now = setTimeout; setTimeout = (act, ms = 0) => now(act, ms + 1000)")
    page.goto(reverse("billing:usage"))
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog.get_by_role("link", name="Write", exact=True)).to_be_visible()


class Clicks:
    """A person who begins on Home and clicks only what has a name."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0
        page.goto(reverse("member_home"))

    def click(self, role: str, name: str, *, within: str = "body") -> None:
        target = self.page.locator(within).get_by_role(role, name=name, exact=True).first
        follow(target) if role == "link" else target.click()
        self.count += 1


def test_what_people_came_for_is_three_clicks_from_home(acme, styles, alice_client, browser, live_server):
    used = make_event(acme, style_name="acme/letters", admitted_at=timezone.now())
    record_events([used])  # Home shows the styles that are used
    page = enter(browser, live_server, alice_client).new_page()

    listener = Clicks(page)
    listener.click("link", "Styles", within=".nav")
    expect(page.locator(".style-card blockquote").first).to_be_visible()

    caller = Clicks(page)
    caller.click("link", "API keys", within=".nav")
    caller.click("button", "Create API key")
    expect(page.get_by_role("dialog", name="Create API key").get_by_label("Name", exact=True)).to_be_focused()

    payer = Clicks(page)
    payer.click("link", "Billing", within=".nav")
    expect(page.locator("#month-heading")).to_be_visible()

    host = Clicks(page)
    host.click("link", "Team", within=".nav")
    host.click("button", "Add member")
    expect(page.get_by_role("dialog", name="Add member").get_by_label("Email")).to_be_focused()

    author = Clicks(page)
    author.click("link", Style.objects.get(slug="letters").name, within="main")
    author.click("link", "Versions", within=".tab-links")
    author.click("button", "Roll back to version 1")
    expect(page.get_by_role("button", name="Roll back to version 1")).to_be_hidden()
    assert max(one.count for one in (listener, caller, payer, host, author)) <= 3


@pytest.mark.usefixtures("acme")
def test_a_dropped_folder_gives_its_two_files(alice_client, browser, live_server):
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("adapters:upload"))
    page.locator("[data-drop]").scroll_into_view_if_needed()
    box = page.locator("[data-drop]").bounding_box()
    devices = page.context.new_cdp_session(page)
    dropped = {"items": [], "files": [str(ROOT / "engine" / "styles" / "legal")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20}
        devices.send("Input.dispatchDragEvent", {**place, "data": dropped})
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        expect(page.locator(f"[data-file='{name}']")).to_have_attribute("data-state", "here")
