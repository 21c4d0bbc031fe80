"""A login by a code that a person confirms in a browser."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from polyscribe.commands import login
from polyscribe.settings import load_settings
from tenants.models import ApiKey
from tests.cli.conftest import Terminal
from tests.cli.service import BASE_URL


@pytest.fixture
def browser(monkeypatch) -> list[str]:
    """The addresses that were opened, of a command at a terminal."""
    opened: list[str] = []
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)
    monkeypatch.setattr(login.typer, "launch", opened.append)
    return opened


@pytest.fixture
def decide(browser, alice_client):
    """Decide as Alice in her browser, where she leaves all scopes that are asked for."""

    def send(decision: str = "approved") -> None:
        [code] = parse_qs(urlsplit(browser[0]).query)["code"]
        page = alice_client.get(browser[0])
        scopes = [scope.value for scope in page.context["scopes"]]
        facts = {"code": code, "decision": decision, "scopes": scopes}
        assert alice_client.post(reverse("keys:decide_login"), facts).status_code == 302

    return send


def test_a_confirmed_code_becomes_a_stored_key(command, service, browser, decide):
    service.happens = [lambda: None, decide]
    begun = {}
    answer = service.answer

    def note_login(request):
        response = answer(request)
        begun.update(response.json() if response.read() else {})
        return response

    service.answer = note_login

    done = command("login", "--base-url", BASE_URL)

    assert done.code == 0, done.err
    secret = load_settings().api_key
    key = ApiKey.objects.get(name__startswith="CLI on ")
    assert secret not in done.out + done.err
    [code] = parse_qs(urlsplit(browser[0]).query)["code"]
    assert code in done.err
    assert begun["device_code"] not in done.out + done.err
    assert "inference" in key.scopes
    assert "admin" not in key.scopes


def test_it_asks_for_the_scopes_that_are_named(command, service, browser, decide):
    service.happens = [decide]

    command("login", "--base-url", BASE_URL, "--scope", "inference")

    assert ApiKey.objects.get(name__startswith="CLI on ").scopes == ["inference"]


@pytest.mark.parametrize("ending", ["denied", "over"])
def test_without_a_confirmation_nothing_is_stored(command, service, decide, valkey, ending):
    if ending == "denied":
        service.happens = [lambda: decide("denied")]
    else:
        service.happens = [lambda: None, valkey.flushdb]

    done = command("login", "--base-url", BASE_URL)

    assert done.code == 4
    assert {"denied": "denied", "over": "in time"}[ending] in done.err
    assert load_settings() is None


def test_a_key_that_is_piped_needs_no_browser(command, service, api_key, monkeypatch):
    monkeypatch.setattr(login.typer, "launch", pytest.fail)

    assert command("login", "--base-url", BASE_URL, stdin=f"{api_key}\n").code == 0
    assert "/api/v1/logins" not in [path for _, path in service.requests]
