"""Each command by what it sends and prints; the key, which is stored for its owner and shown to nobody."""

import ast
import json
import stat
from pathlib import Path

import pytest

from polyscribe import settings
from stack.folders import ROOT
from tests.cli.fake_service import API_KEY, BASE_URL, SECRET, key_object, problem, style_object

PACKAGE = ROOT / "cli" / "src" / "polyscribe"
PRODUCT = {
    "config",
    "website",
    "operations",
    "billing",
    "core",
    "tenants",
    "adapters",
    "inference",
    "stack",
    "labs",
    "django",
}


def test_a_login_stores_the_key_for_its_owner_only(command, config_folder):
    done = command("login", "--base-url", f"{BASE_URL}/", stdin=f"{API_KEY}\n")

    file = config_folder / "config.json"
    assert done.code == 0
    assert "Logged in to Acme" in done.out
    assert API_KEY not in done.out + done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config_folder.stat().st_mode) == 0o700
    stored = {"base_url": BASE_URL, "api_key": API_KEY, "workspace": "acme"}
    assert json.loads(file.read_text()) == {"current": "acme", "profiles": {"acme": stored}}


def test_a_key_that_the_service_does_not_know_is_not_stored(command, config_folder):
    done = command("login", "--base-url", BASE_URL, stdin="sk-ps-wrong\n")

    assert done.code == 4
    assert "revoked" in done.err
    assert "sk-ps-wrong" not in done.out + done.err
    assert not config_folder.exists()


def test_a_login_without_a_key_is_a_fault_of_usage(command):
    assert command("login", "--base-url", BASE_URL, stdin="").code == 2


def test_a_logout_forgets_the_key(logged_in, config_folder):
    assert logged_in("logout").code == 0

    assert not (config_folder / "config.json").exists()
    assert logged_in("whoami").code == 4
    assert logged_in("logout", "--json").json == {"was_logged_in": False}


def test_a_settings_file_that_was_damaged_is_told(logged_in, config_folder):
    (config_folder / "config.json").write_text("{")

    done = logged_in("whoami")

    assert done.code == 2
    assert "polyscribe login" in done.err


def test_whoami_shows_the_key_without_its_secret(logged_in):
    done = logged_in("whoami")

    assert "990 of 1,000 left" in done.out
    assert "Acme" in done.out
    assert API_KEY not in done.out + done.err
    assert logged_in("whoami", "--json").json["name"] == "laptop"


def test_styles_are_listed(logged_in, service):
    service.styles = {
        name: style_object(name, "Brand \x1b[31mvoice") for name in ("acme/a", "acme/b", "acme/c")
    }

    done = logged_in("styles")

    assert [name in done.out for name in service.styles] == [True, True, True]
    assert "\x1b" not in done.out
    assert len(logged_in("styles", "--json").json) == 3


@pytest.fixture
def two_versions(logged_in, service, adapter):
    """The command line of a workspace whose style has two versions; the second one answers."""
    for _ in range(2):
        assert logged_in("push", adapter, "--style", "brand-voice").code == 0
    service.live["acme/brand-voice"] = 2
    return logged_in


def test_versions_are_listed_promoted_and_rolled_back(two_versions, service):
    assert [version["number"] for version in two_versions("versions", "brand-voice", "--json").json] == [2, 1]
    assert "serving" in two_versions("versions", "brand-voice").out

    done = two_versions("promote", "brand-voice", 2)
    assert done.out == "acme/brand-voice@2 is now live for acme/brand-voice.\n"

    done = two_versions("rollback", "acme/brand-voice")
    assert done.out == "acme/brand-voice@1 is live again for acme/brand-voice.\n"
    assert service.live == {"acme/brand-voice": 1}


def test_a_canary_is_begun_shown_and_ended(two_versions, service):
    assert (
        two_versions("canary", "brand-voice", 1, 10).out == "acme/brand-voice@1 gets 10% of the requests.\n"
    )
    assert "Too few requests" in two_versions("canary", "brand-voice").out
    assert two_versions("canary", "brand-voice", "--end", "--json").json == {"ended": True}
    assert service.canary == {}
    assert two_versions("canary", "brand-voice").code == 1


@pytest.mark.parametrize(
    "arguments", [["brand-voice", 1], ["brand-voice", 1, 10, "--end"], ["brand-voice", 1, 100]]
)
def test_a_canary_that_is_half_said_is_a_fault_of_usage(logged_in, arguments):
    assert logged_in("canary", *arguments).code == 2


def test_usage_is_a_table_csv_or_json(logged_in):
    csv = logged_in("usage", "--group-by", "day,style", "--csv").out

    assert csv.splitlines() == [
        "day,style,requests,prompt_tokens,completion_tokens,cost_usd",
        "2026-11-26,acme/brand-voice,2,10,20,0.01",
    ]
    assert "total" in logged_in("usage").out
    assert logged_in("usage", "--json").json["total"]["requests"] == 2


def test_requests_are_listed_with_the_reason_of_a_refusal(logged_in):
    assert [row["request_id"] for row in logged_in("requests", "--json").json] == ["req_1", "req_2"]
    assert [row["request_id"] for row in logged_in("requests", "--limit", 1, "--json").json] == ["req_1"]
    table = logged_in("requests", "--outcome", "refused").out
    assert "Rate limit reached." in table
    assert "req_1" not in table
    assert logged_in("requests", "--csv").out.startswith("at,request_id,style,outcome,")
    assert logged_in("requests", "--outcome", "lost").code == 2


def test_only_a_new_key_is_printed_and_alone(logged_in, service):
    done = logged_in("keys", "create", "newsletter", "--scope", "inference")

    assert done.out == f"{SECRET}\n"
    assert SECRET not in done.err
    assert logged_in("keys", "create", "other", "--json").json["secret"] == SECRET
    assert SECRET not in logged_in("keys", "list").out


def test_a_key_is_revoked_by_its_name(logged_in, service):
    service.keys = [key_object("newsletter")]

    assert logged_in("keys", "revoke", "newsletter", "--yes").code == 0
    assert service.keys[0]["is_live"] is False

    done = logged_in("keys", "revoke", "newsletter", "--yes")
    assert done.code == 1
    assert "keys list" in done.err


def test_who_rotates_the_own_key_stays_logged_in(logged_in, service):
    service.keys = [key_object("laptop"), key_object("newsletter")]

    logged_in("keys", "rotate", "newsletter", "--yes")
    assert settings.load_settings().api_key == API_KEY

    logged_in("keys", "rotate", "laptop", "--yes")
    assert settings.load_settings().api_key == SECRET


def test_an_error_names_each_field_and_is_json_when_asked(logged_in, service):
    errors = [{"field": "scopes.0", "code": "invalid_choice", "message": "There is no such scope."}]
    answer = problem(400, "invalid", "Some fields are invalid.", errors=errors)
    service.faults = [answer, answer]

    done = logged_in("keys", "create", "x", "--scope", "admin")
    assert done.code == 1
    assert done.err.splitlines() == ["Some fields are invalid.", "  scopes.0: There is no such scope."]

    done = logged_in("keys", "create", "x", "--scope", "admin", "--json")
    assert done.json["error"]["errors"] == errors


def test_a_server_that_failed_gives_an_id_for_support(logged_in, service):
    service.faults = [problem(500, "server_error", "Something went wrong on our side.")]

    assert "req_1" in logged_in("whoami").err


def test_an_unknown_command_is_a_fault_of_usage(command):
    assert command("polish").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_completion_for_shells(command, monkeypatch, shell):
    monkeypatch.setenv("_POLYSCRIBE_COMPLETE", f"source_{shell}")

    assert "_POLYSCRIBE_COMPLETE" in command().out


def test_it_imports_nothing_of_the_product():
    for file in PACKAGE.rglob("*.py"):
        assert imported_packages(file).isdisjoint(PRODUCT), file


def imported_packages(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names
