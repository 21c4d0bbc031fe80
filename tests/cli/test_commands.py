"""Each command by what it sends and prints; the key, which is stored for its owner and shown to nobody."""

import ast
import json
import stat
from pathlib import Path

import pytest
from django.utils import timezone

from adapters.models import Style
from core.money import NANO
from metering import request_log
from metering.ledger import record_events
from metering.request_log import Refusal
from polyscribe import settings
from stack.folders import ROOT
from tenants.models import ApiKey
from tenants.models.keys import verify_key
from tests.cli.service import BASE_URL, problem
from tests.tenants.builders import issue_key, make_event

PACKAGE = ROOT / "cli" / "src" / "polyscribe"
PRODUCT = {
    *("config", "website", "operations", "billing", "core", "tenants", "accounts", "keys"),
    *("adapters", "inference", "stack", "labs", "django"),
}


def test_a_login_stores_the_key_for_its_owner_only(command, api_key, config_folder):
    done = command("login", "--base-url", f"{BASE_URL}/", stdin=f"{api_key}\n")

    file = config_folder / "config.json"
    assert done.code == 0
    assert "Logged in to Acme" in done.out
    assert api_key not in done.out + done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config_folder.stat().st_mode) == 0o700
    stored = {"base_url": BASE_URL, "api_key": api_key, "workspace": "acme"}
    assert json.loads(file.read_text()) == {"current": "acme", "profiles": {"acme": stored}}


def test_a_key_that_the_service_does_not_know_is_not_stored(command, config_folder):
    done = command("login", "--base-url", BASE_URL, stdin="sk-ps-wrong\n")

    assert done.code == 4
    assert "revoked" in done.err
    assert "sk-ps-wrong" not in done.out + done.err
    assert not config_folder.exists()


def test_a_login_without_a_key_is_a_fault_of_usage(offline_command):
    assert offline_command("login", "--base-url", BASE_URL, stdin="").code == 2


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


def test_whoami_shows_the_key_without_its_secret(logged_in, acme, monkeypatch):
    key, secret = issue_key(acme, name="limited", by=None, monthly_tokens=1000)
    record_events([make_event(acme, key, admitted_at=timezone.now(), prompt_tokens=6, completion_tokens=4)])
    monkeypatch.setenv("POLYSCRIBE_API_KEY", secret)

    done = logged_in("whoami")

    assert "990 of 1,000 left" in done.out
    assert "Acme" in done.out
    assert secret not in done.out + done.err
    assert logged_in("whoami", "--json").json["name"] == "limited"


def test_styles_are_listed(logged_in, acme, base_model):
    names = ("acme/a", "acme/b", "acme/c")
    for name in names:
        slug = name.removeprefix("acme/")
        Style.objects.create(owner=acme, slug=slug, name="Brand \x1b[31mvoice", base_model=base_model)

    done = logged_in("styles")

    assert [name in done.out for name in names] == [True, True, True]
    assert "\x1b" not in done.out
    assert len(logged_in("styles", "--json").json) == 3


def test_versions_are_listed_promoted_and_rolled_back(two_versions):
    assert [version["number"] for version in two_versions("versions", "brand-voice", "--json").json] == [2, 1]
    assert "serving" in two_versions("versions", "brand-voice").out

    two_versions("promote", "brand-voice", 1)
    done = two_versions("promote", "brand-voice", 2)
    assert done.out == "acme/brand-voice@2 is now live for acme/brand-voice.\n"

    done = two_versions("rollback", "acme/brand-voice")
    assert done.out == "acme/brand-voice@1 is live again for acme/brand-voice.\n"
    assert Style.objects.get().live_version.number == 1


def test_a_canary_is_begun_shown_and_ended(two_versions):
    done = two_versions("canary", "brand-voice", 1, 10)
    assert done.out == "acme/brand-voice@1 gets 10% of the requests.\n"
    assert "requests needed" in two_versions("canary", "brand-voice").out
    assert two_versions("canary", "brand-voice", "--end", "--json").json == {"ended": True}
    assert Style.objects.get().canary_version is None
    assert two_versions("canary", "brand-voice").code == 1


@pytest.fixture
def requests(acme, api_key):
    """A request that was served for a cent, and a newer one that was refused."""
    now = timezone.now()
    key = ApiKey.objects.get(name="laptop")
    cost = {"prompt_tokens": 10, "completion_tokens": 20, "cost_nanousd": NANO // 100}
    event = make_event(acme, key, request_id="req_1", style_name="acme/brand-voice", admitted_at=now, **cost)
    record_events([event])
    refusal = Refusal(
        request_id="req_2",
        tenant_id=acme.pk,
        key_id=key.pk,
        at=timezone.now(),
        model_name="acme/brand-voice",
        status=429,
        code="rate_limit_exceeded",
        reason="Rate limit reached.",
    )
    request_log.record_refusals([refusal])
    return now


def test_usage_is_a_table_csv_or_json(logged_in, requests):
    csv = logged_in("usage", "--group-by", "day,style", "--csv").out

    assert csv.splitlines() == [
        "day,style,requests,prompt_tokens,completion_tokens,cost_usd",
        f"{requests:%Y-%m-%d},acme/brand-voice,1,10,20,0.01",
    ]
    assert "total" in logged_in("usage").out
    assert logged_in("usage", "--json").json["total"]["requests"] == 1


def test_requests_are_listed_with_the_reason_of_a_refusal(logged_in, requests):
    assert [row["request_id"] for row in logged_in("requests", "--json").json] == ["req_2", "req_1"]
    assert [row["request_id"] for row in logged_in("requests", "--limit", 1, "--json").json] == ["req_2"]
    table = logged_in("requests", "--outcome", "refused").out
    assert "Rate limit reached." in table
    assert "req_1" not in table
    assert logged_in("requests", "--csv").out.startswith("at,request_id,style,outcome,")


def test_only_a_new_key_is_printed_and_alone(logged_in, acme):
    done = logged_in("keys", "create", "newsletter", "--scope", "inference")

    secret = done.out.removesuffix("\n")
    assert verify_key(secret, acme)
    assert secret not in done.err
    assert verify_key(logged_in("keys", "create", "other", "--json").json["secret"], acme)
    assert secret not in logged_in("keys", "list").out


def test_a_key_is_revoked_by_its_name(logged_in, acme):
    issue_key(acme, name="newsletter", by=None)

    assert logged_in("keys", "revoke", "newsletter", "--yes").code == 0
    assert ApiKey.objects.get(name="newsletter").revoked_at

    done = logged_in("keys", "revoke", "newsletter", "--yes")
    assert done.code == 1
    assert "keys list" in done.err


def test_who_rotates_the_own_key_stays_logged_in(logged_in, acme, api_key):
    issue_key(acme, name="newsletter", by=None)

    logged_in("keys", "rotate", "newsletter", "--yes")
    assert settings.load_settings().api_key == api_key

    secret = logged_in("keys", "rotate", "laptop", "--yes").out.removesuffix("\n")
    assert settings.load_settings().api_key == secret != api_key


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


def test_there_is_completion_for_shells(offline_command, monkeypatch):
    for shell in ("bash", "zsh", "fish"):
        monkeypatch.setenv("_POLYSCRIBE_COMPLETE", f"source_{shell}")
        assert "_POLYSCRIBE_COMPLETE" in offline_command().out, shell


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
