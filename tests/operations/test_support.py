"""SUPPORT_EMAIL: whom people ask about money and problems; nobody is named where it is empty."""

import re

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import workspaces
from billing.plan_changes import UnpaidInvoice
from core.errors import DomainError
from core.project_root import PROJECT_ROOT
from inference import errors
from operations.settings_checks import find_gaps
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

ADDRESS = "help@example.org"
LINK = f'href="mailto:{ADDRESS}"'
PAGES = ("billing:plan", "billing:prices", "billing:credits")
BARE = ("400.html", "413.html", "500.html", "503.html")


def test_pages_about_money_the_footer_and_error_pages_name_it(settings, alice_client, acme):
    settings.SUPPORT_EMAIL = ADDRESS
    for name in PAGES:
        assert alice_client.get(reverse(name)).text.count(LINK) >= 2, name  # its own, and the footer's
    for name in BARE:
        assert LINK in render_to_string(name), name
    assert alice_client.get("/nowhere/").text.count(LINK) == 1
    workspaces.suspend_tenant(acme)
    assert alice_client.get(reverse("keys:keys")).text.count(LINK) == 2


def test_without_it_pages_say_nothing(settings, alice_client, acme):
    settings.SUPPORT_EMAIL = ""
    workspaces.suspend_tenant(acme)
    pages = [alice_client.get(reverse(name)).text for name in PAGES]
    for text in [*pages, *(render_to_string(name) for name in BARE)]:
        assert "Questions? Contact" not in text
        assert 'mailto:"' not in text


ASKS_FOR_SUPPORT = re.compile(r"ontact us|ontact support|sk us ")
GUARDED = re.compile(r"{% if contact %}.*?{% endif %}", re.DOTALL)


def test_no_sentence_asks_for_support_where_nobody_is_named(settings):
    """Templates ask inside `{% if contact %}`; errors leave the address to `names_support`."""
    settings.SUPPORT_EMAIL = ""
    templates = {file.name: file.read_text() for file in (PROJECT_ROOT / "templates").rglob("*.*")}
    unguarded = {name: GUARDED.sub("", text) for name, text in templates.items()}
    assert any(ASKS_FOR_SUPPORT.search(text) for text in templates.values())
    assert [name for name, text in unguarded.items() if ASKS_FOR_SUPPORT.search(text)] == []
    spoken = [error for error in subclasses_of(DomainError) if ASKS_FOR_SUPPORT.search(error.__doc__ or "")]
    assert spoken == []


def subclasses_of(error: type[DomainError]) -> list[type[DomainError]]:
    return [error, *(one for below in error.__subclasses__() for one in subclasses_of(below))]


def test_errors_about_money_end_with_it(settings, client, acme):
    settings.SUPPORT_EMAIL = ADDRESS
    about_money = [
        errors.Suspended(),
        errors.CreditsExhausted(needed="$1", left="$0", resets_on="1 December"),
        errors.UnpaidLimitReached(needed="$1", left="$0", resets_on="1 December"),
        UnpaidInvoice(invoice="PS-000001", plan="Writer"),
    ]
    for error in about_money:
        assert error.message.endswith(f"Questions? Contact {ADDRESS}.")
    assert ADDRESS not in errors.UnknownKey().message
    _, secret = issue_key(acme, name="books", by=None, scopes=["admin"])
    workspaces.suspend_tenant(acme)
    refused = client.get("/api/v1/keys", headers={"Authorization": f"Bearer {secret}"})
    assert ADDRESS in refused.text
    settings.SUPPORT_EMAIL = ""
    assert "Questions?" not in errors.Suspended().message


@pytest.mark.parametrize(
    ("is_public", "address", "gaps"), [(True, "", 1), (True, ADDRESS, 0), (False, "", 0)]
)
def test_a_public_site_is_warned_without_it(settings, is_public, address, gaps):
    settings.SECURE = is_public
    settings.SUPPORT_EMAIL = address
    assert [gap.id for gap in find_gaps()] == ["polyscribe.no_support"] * gaps
