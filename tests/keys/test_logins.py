"""A login of a command line: two codes, a member who confirms, and a key that is given once."""

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import valkey
from keys import device_logins
from keys.api import BEGUN_PER_MINUTE, POLLS_PER_MINUTE
from tenants.models import ApiKey, AuditEntry, Membership, Tenant
from tenants.models.keys import verify_key
from tests.tenants.api.builders import problem

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "documented_answers")]

ASKED = ["inference", "styles:read", "keys:write"]


def call(path: str, **body: object):
    """Send what a program sends that has no key."""
    return Client().post(f"/api/v1/{path}", body, content_type="application/json")


def begin(**body: object) -> dict[str, str]:
    answer = call("logins", **{"name": "CLI on laptop", "scopes": ASKED, **body})
    assert answer.status_code == 201, answer.content
    return answer.json()


def redeem(begun: dict[str, str]):
    return call("logins/redeem", device_code=begun["device_code"])


def decide(client: Client, begun: dict[str, str], decision: str = "approved", *, scopes=("inference",)):
    facts = {"code": begun["user_code"], "decision": decision, "scopes": list(scopes)}
    return client.post(reverse("keys:decide_login"), facts)


def test_a_confirmed_login_becomes_a_key_of_that_workspace_once(alice_client, acme):
    begun = begin()
    assert redeem(begun).json() == {"object": "login", "status": "pending", "key": None}
    address = urlsplit(begun["verification_url_complete"])
    page = alice_client.get(f"{address.path}?{address.query}")
    for words in ("CLI on laptop", begun["user_code"], "Acme", "styles:read"):
        assert words in page.text
    assert decide(alice_client, begun, scopes=["inference", "styles:read"]).status_code == 302
    assert not ApiKey.objects.shown().exists(), "its secret is stored nowhere, so there is none yet"

    answer = redeem(begun).json()

    key = ApiKey.objects.shown().get()
    assert answer["status"] == "approved"
    assert verify_key(answer["key"]["secret"], acme)
    assert (key.tenant, key.name, key.scopes) == (acme, "CLI on laptop", ["inference", "styles:read"])
    assert key.created_by.email == "alice@example.org"
    problem(redeem(begun), 404, "login_not_found")
    actions = AuditEntry.objects.filter(tenant=acme).order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["login.approved", "api_key.created"]
    again = begin()
    decide(alice_client, again)
    assert redeem(again).json()["key"]["name"] == "CLI on laptop 2"


def test_neither_code_is_in_valkey_and_both_expire():
    begun = begin()
    client = valkey.client()
    keys = list(client.scan_iter("login:*"))
    assert len(keys) == 2
    stored = str([client.hgetall(key) if client.type(key) == "hash" else client.get(key) for key in keys])
    for code in (begun["device_code"], begun["user_code"]):
        assert code not in str(keys) + stored
    assert all(0 < client.ttl(key) <= device_logins.LOGIN_LASTS_S for key in keys)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", begun["user_code"])


@pytest.mark.parametrize("typed", ["{}", " {} ", "{}".lower()])
def test_a_code_is_found_however_it_is_typed(typed):
    begun = begin()
    code = typed.format(begun["user_code"]).lower().replace("-", " ")
    assert device_logins.find_login(code).name == "CLI on laptop"
    for wrong in ("", "BCDF", "BCDF-BCDF-BCDF"):
        with pytest.raises(device_logins.LoginOver):
            device_logins.find_login(wrong)


def test_a_refused_login_gives_no_key(alice_client, acme):
    begun = begin()
    decide(alice_client, begun, "denied")
    assert redeem(begun).json()["status"] == "denied"
    problem(redeem(begun), 404, "login_not_found")
    assert not ApiKey.objects.shown().exists()
    assert AuditEntry.objects.get(tenant=acme).action == "login.denied"


def test_a_login_is_decided_once(alice_client, bob_client, charlie_client, acme):
    begun = begin()
    decide(alice_client, begun)
    late = decide(charlie_client, begun)
    assert late.status_code == 400
    assert "already answered" in late.text
    redeem(begun)
    assert {key.tenant for key in ApiKey.objects.shown()} == {acme}


def test_nobody_gives_what_they_may_not_give(bob_client, acme, bob):
    begun = begin(scopes=["inference", "admin"])
    page = bob_client.get(reverse("keys:connect"), {"code": begun["user_code"]}).text
    assert 'value="admin"' not in page
    refused = decide(bob_client, begun, scopes=["inference", "admin"])
    assert refused.status_code == 400
    assert redeem(begun).json()["status"] == "pending"
    decide(bob_client, begun)
    Membership.objects.filter(user=bob).delete()
    problem(redeem(begun), 404, "login_not_found")
    assert not ApiKey.objects.shown().exists()


def test_who_may_make_no_keys_confirms_nothing(acme, bob, bob_client):
    Membership.objects.filter(user=bob).update(role=Membership.Role.VIEWER)
    begun = begin()
    assert decide(bob_client, begun).status_code == 403
    assert redeem(begun).json()["status"] == "pending"


def test_a_suspended_workspace_gives_no_key(alice_client, acme):
    begun = begin()
    decide(alice_client, begun)
    Tenant.objects.filter(pk=acme.pk).update(suspended_at=timezone.now())
    problem(redeem(begun), 404, "login_not_found")


def test_a_form_of_another_workspace_does_nothing(alice_client, acme):
    begun = begin()
    facts = {"code": begun["user_code"], "decision": "approved", "workspace": "other"}
    assert alice_client.post(reverse("keys:decide_login"), facts).status_code == 404
    assert redeem(begun).json()["status"] == "pending"


def test_codes_are_guessed_slowly(alice_client, acme):
    address = reverse("keys:connect")
    answers = [alice_client.get(address, {"code": "BCDF-GHJK"}).text for _ in range(11)]
    assert "is unknown" in answers[9]
    assert "Too many attempts" in answers[10]
    polls = [call("logins/redeem", device_code="x").status_code for _ in range(POLLS_PER_MINUTE + 1)]
    assert set(polls[:-1]) == {404}
    assert polls[-1] == 429
    begun = [call("logins", name="x").status_code for _ in range(BEGUN_PER_MINUTE + 1)]
    assert (begun[0], begun[-1]) == (201, 429)


def test_what_is_asked_for_is_checked():
    wrong = problem(call("logins", name="x", scopes=["everything"]), 400, "invalid")
    assert "“everything”. Available scopes: inference, styles:read" in wrong["errors"][0]["message"]
    problem(call("logins", name=""), 400, "invalid")
    problem(call("logins/redeem"), 400, "invalid")
