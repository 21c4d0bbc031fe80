"""Releases over the management API: promote, roll back, canary, history."""

from datetime import timedelta

import pytest
from django.utils import timezone

from adapters.models import Style
from adapters.placement import transitions
from tenants.models import ApiKey, AuditEntry
from tests.adapters.api.conftest import logged_actions
from tests.tenants.api.builders import problem

pytestmark = pytest.mark.django_db

NOIR = "styles/acme/noir"


def live_number() -> int:
    return Style.objects.get().live_version.number


def test_a_program_promotes_and_rolls_back_and_the_history_names_its_key(
    program, alice_client, acme, versions
):
    problem(program.post(f"{NOIR}/rollback"), 409, "nothing_to_roll_back_to")
    assert program.post(f"{NOIR}/versions/2/promote").json()["is_live"]
    assert live_number() == 2
    back = program.post(f"{NOIR}/rollback").json()
    assert (back["number"], back["is_live"], live_number()) == (1, True, 1)
    moves = program.get(f"{NOIR}/releases?alias=live").json()["data"]
    assert [(move["before"], move["after"]) for move in moves] == [(2, 1), (1, 2), (None, 1)]
    key = ApiKey.objects.get(scopes=["styles:read", "styles:write"])
    assert [(move["actor"], move["api_key"], move["reason"]) for move in moves] == [
        (None, str(key.pk), "Rolled back."),
        (None, str(key.pk), ""),
        (None, None, "No other version was serving."),
    ]
    page = alice_client.get("/styles/acme/noir/versions/").content.decode()
    assert page.count(f"the API key “{key.name}”") == 2
    promoted, rolled_back = AuditEntry.objects.filter(tenant=acme).order_by("id")
    assert (promoted.action, promoted.object_name) == ("version.promoted", "acme/noir@2")
    assert (promoted.before, promoted.after) == ({"live_version": 1}, {"live_version": 2})
    assert promoted.api_key == key
    assert (rolled_back.action, rolled_back.after) == ("style.rolled_back", {"live_version": 1})


def test_what_does_not_serve_is_not_promoted(program, versions):
    transitions.retire_version(versions[1])
    problem(program.post(f"{NOIR}/versions/2/promote"), 409, "not_serving")
    assert live_number() == 1
    assert not AuditEntry.objects.exclude(tenant=None).exists()


def test_a_canary_begins_changes_its_share_and_ends(program, acme, versions):
    canary = f"{NOIR}/canary"
    problem(program.get(canary), 404, "no_canary")
    problem(program.delete(canary), 404, "no_canary")
    begun = program.request("put", canary, {"version": 2, "percent": 10}).json()
    assert (begun["version"], begun["live_version"], begun["percent"]) == (2, 1, 10)
    assert begun["figures"]["requests"] == begun["live_figures"]["requests"] == 0
    assert begun["fault"] == ""
    since = Style.objects.get().canary_since
    assert timezone.now() - since < timedelta(minutes=1)
    changed = program.request("put", canary, {"version": 2, "percent": 30}).json()
    assert (changed["percent"], changed["since"]) == (30, begun["since"])
    assert program.get(canary).json()["percent"] == 30
    assert program.get(NOIR).json()["canary"] == {"version": 2, "percent": 30, "since": begun["since"]}
    assert program.get(f"{NOIR}/versions/2").json()["is_canary"]
    assert program.delete(canary).status_code == 204
    assert Style.objects.get().canary_version is None
    assert logged_actions(acme) == ["canary.begun", "canary.changed", "canary.ended"]
    aliases = [move["alias"] for move in program.get(f"{NOIR}/releases").json()["data"]]
    assert aliases == ["canary", "canary", "canary", "live"]


def test_a_wrong_canary_changes_nothing(program, versions):
    for body, status, field in (
        ({"percent": 5}, 400, "version"),
        ({"version": 2}, 400, "percent"),
        ({"version": 2, "percent": 0}, 400, "percent"),
        ({"version": 2, "percent": 100}, 400, "percent"),
        ({"version": 2, "percent": "some"}, 400, "percent"),
        ({"version": "two", "percent": 5}, 400, "version"),
        ({"version": 10**30, "percent": 5}, 400, "version"),
        ({"version": 2, "percent": 5, "share": 5}, 400, "share"),
        ([], 400, "non_field_errors"),
        ({"version": 9, "percent": 5}, 404, None),
        ({"version": 1, "percent": 5}, 409, None),
    ):
        answer = program.request("put", f"{NOIR}/canary", body)
        fields = [error["field"] for error in answer.json()["errors"]]
        assert (answer.status_code, fields) == (status, [field] if field else []), body
    assert Style.objects.get().canary_version is None
