"""Profiles: a login for each workspace, the current one, and the one that a command names."""

import json
import stat

import pytest

from accounts.workspaces import create_tenant
from polyscribe.settings import Settings, load_profiles, save_settings
from tests.cli.service import BASE_URL
from tests.tenants.builders import issue_key

API_KEY = "sk-ps-aB3d" + "x" * 28 + "9xYz"
OTHER_KEY = "sk-ps-oThR" + "x" * 28 + "9xYz"


@pytest.fixture
def bravos_key(service, alice) -> str:
    return issue_key(create_tenant(alice, name="Bravo"), name="laptop", by=alice, scopes=["admin"])[1]


@pytest.fixture
def two_workspaces(logged_in, bravos_key):
    """A command line that is logged in to Acme and, since then, to Bravo."""
    assert logged_in("login", "--base-url", BASE_URL, stdin=f"{bravos_key}\n").code == 0
    return logged_in


def test_each_workspace_has_a_profile_and_the_newest_login_is_current(two_workspaces, api_key, config_folder):
    rows = two_workspaces("profiles", "list", "--json").json

    assert [(row["name"], row["is_current"]) for row in rows] == [("acme", False), ("bravo", True)]
    assert api_key not in json.dumps(rows)
    assert stat.S_IMODE((config_folder / "config.json").stat().st_mode) == 0o600
    assert "* " in two_workspaces("profiles", "list").out


def test_a_command_takes_the_profile_that_is_named_before_a_key_in_the_environment(
    two_workspaces, bravos_key, monkeypatch
):
    assert "Acme" in two_workspaces("--profile", "acme", "whoami").out
    assert "Acme" in two_workspaces("whoami", "--profile=acme").out
    with monkeypatch.context() as patch:
        patch.setenv("POLYSCRIBE_PROFILE", "acme")
        assert "Acme" in two_workspaces("whoami").out

    monkeypatch.setenv("POLYSCRIBE_API_KEY", bravos_key)
    assert "Acme" in two_workspaces("whoami", "--profile", "acme").out


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


def test_the_same_workspace_of_another_service_does_not_take_its_place():
    save_settings(Settings("https://one.example", API_KEY, "acme"))
    save_settings(Settings("https://two.example", OTHER_KEY, "acme"))

    stored = load_profiles().stored
    assert {name: settings.base_url for name, settings in stored.items()} == {
        "acme": "https://one.example",
        "acme@two.example": "https://two.example",
    }
