"""A login by a code that a person confirms in a browser."""

import pytest

from polyscribe.commands import login
from polyscribe.settings import load_settings
from tests.cli.conftest import Terminal
from tests.cli.fake_service import BASE_URL, LOGIN, SECRET


@pytest.fixture
def browser(monkeypatch) -> list[str]:
    """The addresses that were opened, of a command at a terminal."""
    opened: list[str] = []
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)
    monkeypatch.setattr(login.typer, "launch", opened.append)
    return opened


def test_a_confirmed_code_becomes_a_stored_key(command, service, browser):
    done = command("login", "--base-url", BASE_URL)

    assert done.code == 0, done.err
    assert browser == [LOGIN["verification_url_complete"]]
    assert LOGIN["user_code"] in done.err
    assert load_settings().api_key == SECRET
    assert SECRET not in done.out + done.err
    assert LOGIN["device_code"] not in done.out + done.err
    [asked] = service.asked_logins
    assert asked["name"].startswith("CLI on ")
    assert "inference" in asked["scopes"]
    assert "admin" not in asked["scopes"]


def test_it_asks_for_the_scopes_that_are_named(command, service, browser):
    command("login", "--base-url", BASE_URL, "--scope", "inference")

    assert service.asked_logins[0]["scopes"] == ["inference"]


@pytest.mark.parametrize(("states", "sentence"), [(["denied"], "refused"), (["pending", "over"], "in time")])
def test_without_a_confirmation_nothing_is_stored(command, service, browser, states, sentence):
    service.login_states = states

    done = command("login", "--base-url", BASE_URL)

    assert done.code == 4
    assert sentence in done.err
    assert load_settings() is None


def test_a_key_that_is_piped_needs_no_browser(command, service, monkeypatch):
    monkeypatch.setattr(login.typer, "launch", pytest.fail)

    assert command("login", "--base-url", BASE_URL, stdin=f"{SECRET}\n").code == 0
    assert service.asked_logins == []
