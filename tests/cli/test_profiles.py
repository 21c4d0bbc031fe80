"""Profiles: a login for each workspace, the current one, and the one that a command names."""

import json
import stat

import httpx
import pytest

from polyscribe.settings import Settings, load_profiles, save_settings
from tests.cli.fake_service import API_KEY, BASE_URL, KEY

OTHER_KEY = "sk-ps-oThR" + "x" * 28 + "9xYz"


@pytest.fixture
def two_workspaces(logged_in, service, monkeypatch):
    """A command line that is logged in to Acme and, since then, to Bravo; `asked` has whose key came."""
    answer = service.answer
    service.asked = []

    def answer_either(request: httpx.Request) -> httpx.Response:
        service.asked.append(request.headers["Authorization"])
        if request.headers["Authorization"] == f"Bearer {OTHER_KEY}":
            return httpx.Response(200, json=KEY | {"workspace": {"slug": "bravo", "name": "Bravo"}})
        return answer(request)

    monkeypatch.setattr(service, "answer", answer_either)
    assert logged_in("login", "--base-url", BASE_URL, stdin=f"{OTHER_KEY}\n").code == 0
    service.asked.clear()
    return logged_in


def test_each_workspace_has_a_profile_and_the_newest_login_is_current(two_workspaces, config_folder):
    rows = two_workspaces("profiles", "list", "--json").json

    assert [(row["name"], row["is_current"]) for row in rows] == [("acme", False), ("bravo", True)]
    assert API_KEY not in json.dumps(rows)
    assert stat.S_IMODE((config_folder / "config.json").stat().st_mode) == 0o600
    assert "* " in two_workspaces("profiles", "list").out


@pytest.mark.parametrize("place", ["before", "after", "variable"])
def test_a_command_takes_the_profile_that_is_named(two_workspaces, service, monkeypatch, place):
    words = {"before": ["--profile", "acme", "whoami"], "after": ["whoami", "--profile=acme"]}
    if place == "variable":
        monkeypatch.setenv("POLYSCRIBE_PROFILE", "acme")

    assert "Acme" in two_workspaces(*words.get(place, ["whoami"])).out
    assert service.asked == [f"Bearer {API_KEY}"]


def test_a_profile_that_is_named_goes_before_a_key_in_the_environment(two_workspaces, service, monkeypatch):
    monkeypatch.setenv("POLYSCRIBE_API_KEY", OTHER_KEY)

    two_workspaces("whoami", "--profile", "acme")

    assert service.asked == [f"Bearer {API_KEY}"]


def test_a_profile_is_made_the_current_one_and_forgotten(two_workspaces):
    assert two_workspaces("profiles", "use", "acme").code == 0
    assert "Acme" in two_workspaces("whoami").out

    assert two_workspaces("logout").code == 0
    assert [*load_profiles().stored] == ["bravo"]
    assert "Bravo" in two_workspaces("whoami").out


def test_an_unknown_profile_is_told_with_those_that_there_are(two_workspaces):
    done = two_workspaces("whoami", "--profile", "zulu")

    assert done.code == 2
    assert "acme, bravo" in done.err
    assert two_workspaces("whoami", "--profile").code == 2


def test_a_file_of_before_there_were_profiles_is_read(command, config_folder):
    config_folder.mkdir()
    stored = {"base_url": BASE_URL, "api_key": API_KEY, "workspace": "acme"}
    (config_folder / "config.json").write_text(json.dumps(stored))

    assert command("whoami").code == 0
    assert load_profiles().current == "acme"


def test_the_same_workspace_of_another_service_does_not_take_its_place():
    save_settings(Settings("https://one.example", API_KEY, "acme"))
    save_settings(Settings("https://two.example", OTHER_KEY, "acme"))

    stored = load_profiles().stored
    assert {name: settings.base_url for name, settings in stored.items()} == {
        "acme": "https://one.example",
        "acme@two.example": "https://two.example",
    }
