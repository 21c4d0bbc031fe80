"""Each notice, as it is read: text and HTML say the same, names are no markup, and no secret leaves."""

import re
from email import message_from_bytes, policy

import pytest

from events.models import EventType, NoticeMail
from events.notices.catalog import ALWAYS_SENT, NOTICES
from events.notices.sending import compose_mail
from tests.events.notices.conftest import EVENTS, INVOICE_ID, TRAINING

pytestmark = pytest.mark.django_db

SAID = {
    EventType.USAGE_THRESHOLD_REACHED: ("80% of November's tokens", "812,345 tokens of 1,000,000", "/usage/"),
    EventType.VERSION_REJECTED: (
        "Version 3 of acme/brand-voice",
        "under a different name, set base_model_name_or_path to Base.",
        "/styles/acme/brand-voice/",
    ),
    EventType.VERSION_FAILED: ("could not be loaded", "out of memory", "/styles/acme/brand-voice/"),
    EventType.TRAINING_SUCCEEDED: (
        "voice</b> is trained",
        "Try it as acme/my-voice@1.",
        f"/trainings/{TRAINING['id']}/progress/",
    ),
    EventType.TRAINING_FAILED: (
        "voice</b> failed",
        "stopped 5 times in a row",
        f"/trainings/{TRAINING['id']}/progress/",
    ),
    EventType.CANARY_ENDED: ("ended automatically", "12 of 200 requests failed", "/styles/acme/brand-voice/"),
    EventType.STYLE_SHARED: ("A style was shared", "charlies-prose/noir", "/styles/charlies-prose/noir/"),
    EventType.STYLE_OFFER_DECIDED: ("was declined", "a living person", "/styles/acme/brand-voice/"),
    EventType.STYLE_PRICE_ANNOUNCED: (
        "The price of charlies-prose/noir changes on 15 December",
        "$0.60 for input, $0.15 for cached input and $2.40 for output",
        "/styles/charlies-prose/noir/",
    ),
    EventType.WEBHOOK_DISABLED: ("was disabled", "hooks.example.com", "/webhooks/"),
    EventType.INVOICE_FINALIZED: (
        "invoice for October 2026 is $12.00",
        "It\u2019s final",
        f"/invoices/{INVOICE_ID}/",
    ),
    EventType.CREDIT_NOTE_ISSUED: (
        "$2.00 credited on PS-000042",
        "Half a day without an engine. The amount you owe is reduced accordingly.",
        f"/invoices/credit-notes/{INVOICE_ID}/",
    ),
    EventType.PLAN_CHANGED: (
        "is moving from Studio to Writer",
        "1 December 2026, 00:00 UTC",
        "/billing/plan/",
    ),
    EventType.PAYMENT_FAILED: (
        "top-up of $25.00 was declined",
        "Your card has expired. We\u2019ll retry",
        "/billing/credits/",
    ),
    EventType.KEY_CREATED: ("New API key in Acme", "sk-ps-ab…wxyz", "/keys/"),
    EventType.KEY_ROTATED: ("was rotated", "26 November 2026, 10:00 UTC", "/keys/"),
    EventType.KEY_REVOKED: ("was revoked", "no longer have access", "/keys/"),
    EventType.WORKSPACE_SUSPENDED: ("Acme is suspended", "are now refused", "/usage/"),
    EventType.WORKSPACE_RESUMED: ("is active again", "same keys", "/usage/"),
    EventType.WORKSPACE_DELETION_REQUESTED: (
        "Acme will be deleted on 30 November 2026, 09:30 UTC",
        "any owner can stop the deletion",
        "/settings/delete-workspace/",
    ),
    EventType.WORKSPACE_DELETION_STOPPED: (
        "Acme will not be deleted",
        "alice@example.org stopped the deletion",
        "/settings/",
    ),
}


def written(happen, event_type: str, **changes):
    """Return a notice's subject, text and HTML, read from its bytes as a mail program does."""
    happen(event_type, **changes)
    sent = compose_mail(NoticeMail.objects.select_related("event").latest("pk")).message().as_bytes()
    message = message_from_bytes(sent, policy=policy.default)
    text, html = [message.get_body((kind,)).get_content() for kind in ("plain", "html")]
    return message, text, html


def test_every_notice_has_an_example_and_words():
    assert set(SAID) == set(EVENTS) == set(NOTICES)


@pytest.mark.parametrize("event_type", NOTICES)
def test_a_notice_says_in_both_forms_what_happened_leads_to_its_page_and_loads_nothing(
    happen, settings, event_type
):
    message, text, html = written(happen, event_type)
    subject, fact, path = SAID[event_type]
    assert message["Subject"].startswith("Polyscribe: ")
    assert subject in message["Subject"]
    assert fact in text
    assert fact.replace("'", "&#x27;") in html
    assert f"\n{settings.SITE_URL}{path}" in text
    assert f'class="button" href="{settings.SITE_URL}{path}' in html
    assert html.count('class="button"') == 1
    assert not re.search(r"<p>\s*(<br>)?\s*</p>", html), "an empty paragraph is a gap"
    assert "Acme" in text
    assert "{" not in text + re.sub(r"<style>.*</style>", "", html, flags=re.S)
    assert "\n\n\n" not in text
    assert not re.search(r"<(img|script|link|iframe|object|form)\b|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html


def test_names_are_no_markup_in_html_and_stay_as_they_are_in_text(happen, acme):
    acme.name = "Acme & <i>Sons</i>"
    acme.save()
    _, text, html = written(happen, EventType.KEY_CREATED)
    assert "Key: lap<b>top\n" in text
    assert "lap&lt;b&gt;top" in html
    message, text, html = written(happen, EventType.WORKSPACE_SUSPENDED)
    assert message["Subject"] == "Polyscribe: Acme & <i>Sons</i> is suspended"
    assert "<i>" not in html
    assert "Acme &amp; &lt;i&gt;Sons" in html


def test_a_name_with_a_line_break_makes_no_header(happen, acme):
    acme.name = "Acme\r\nBcc: everybody@example.org"
    acme.save()
    message, _, _ = written(happen, EventType.WORKSPACE_SUSPENDED)
    assert message["Bcc"] is None
    assert message["Subject"] == "Polyscribe: Acme Bcc: everybody@example.org is suspended"


def test_the_path_of_a_webhook_is_as_good_as_a_password_and_stays_out(happen):
    message, text, html = written(happen, EventType.WEBHOOK_DISABLED)
    assert "secret-path" not in f"{message}{text}{html}"


def test_a_stranger_who_shares_a_style_can_write_nothing_into_our_mail(happen):
    words = "Your account is blocked: evil.example"
    message, text, html = written(happen, EventType.STYLE_SHARED, workspace_name=words)
    assert "evil" not in f"{message}{text}{html}"


def test_what_can_be_switched_off_says_how_in_headers_that_programs_read(happen, settings):
    for event_type, notice in NOTICES.items():
        message, text, _ = written(happen, event_type)
        if notice.kind in ALWAYS_SENT:
            assert message["List-Unsubscribe"] is None
            assert "can\u2019t be turned off" in text
            continue
        link = re.fullmatch(r"<(\S+)>", message["List-Unsubscribe"]).group(1)
        assert link.startswith(f"{settings.SITE_URL}/notices/unsubscribe/")
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert link in text


@pytest.mark.parametrize("line_policy", [policy.SMTP, policy.default])
def test_the_address_to_unsubscribe_is_one_line_however_long(happen, settings, line_policy):
    settings.SITE_URL = "https://" + "a-long-name." * 12 + "example.com"
    happen()
    message = compose_mail(NoticeMail.objects.latest("pk"))
    sent = message.message(policy=line_policy).as_bytes()
    assert re.search(rb"^List-Unsubscribe: <https://a-long-name\.\S+/>\r?$", sent, re.M)


TOKENS = {"used_tokens": 5_000_000, "limit_tokens": 5_000_000, "max_tokens": 20_000_000}
BUDGET = {"measure": "budget", "used_nanousd": 20_010_000_000, "limit_nanousd": 20_000_000_000}


@pytest.mark.parametrize(
    ("facts", "allowance", "said", "is_end"),
    [
        (BUDGET, "November's budget", "used $20.01 of $20.00. The month ends on 1 December.", True),
        (
            {**TOKENS, "measure": "tokens", "overage": "credits"},
            "November's included tokens",
            "Credits pay for further tokens, up to 20,000,000 tokens this month.",
            False,
        ),
        (
            {**TOKENS, "measure": "tokens", "overage": "overage"},
            "November's included tokens",
            "Credits are used first, and the rest goes on your invoice.",
            False,
        ),
        (
            {**TOKENS, "measure": "cap", "overage": "credits"},
            "the tokens that November allows",
            "Further requests are refused until then.",
            True,
        ),
    ],
)
def test_a_limit_that_is_reached_is_told_with_what_comes_then(happen, facts, allowance, said, is_end):
    _, text, _ = written(happen, EventType.USAGE_THRESHOLD_REACHED, percent=100, **facts)
    assert f"Acme has used all of {allowance}" in text
    assert said in text
    assert ("refused until then" in text) is is_end


@pytest.mark.parametrize("event_type", [EventType.PAYMENT_FAILED, EventType.WORKSPACE_SUSPENDED])
def test_mails_about_money_name_support_and_can_be_answered(happen, settings, event_type):
    settings.SUPPORT_EMAIL = "help@example.org"
    message, text, html = written(happen, event_type)
    assert message["Reply-To"] == "help@example.org"
    for part in (text, html):
        assert "Questions?" in part
        assert "help@example.org" in part
    settings.SUPPORT_EMAIL = ""
    message, text, html = written(happen, event_type)
    assert message["Reply-To"] is None
    assert "Questions?" not in text + html
