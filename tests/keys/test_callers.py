"""A key is made on the page, over the API, by the command line and by its login: one set of rules for all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape

import httpx
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from events.models import EventType, OutboxEvent
from keys import actions
from polyscribe.commands.main import run
from polyscribe.commands.session import Session
from tenants.models import ApiKey, AuditEntry
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
CALLERS = ("page", "API", "command line", "login")


@dataclass(frozen=True)
class Outcome:
    """Whether a key was made, and what was said."""

    is_made: bool
    said: str


@pytest.fixture(params=CALLERS)
def caller(request) -> str:
    return request.param


@pytest.fixture
def make(*, caller, alice_client, admin, monkeypatch, tmp_path, capsys) -> Callable[[str], Outcome]:
    """Makes a key of a name as Alice, who leaves all else as it is offered."""
    monkeypatch.setenv("POLYSCRIBE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("POLYSCRIBE_BASE_URL", "http://testserver")
    monkeypatch.setenv("POLYSCRIBE_API_KEY", admin.secret)

    def on_the_page(name: str) -> Outcome:
        offered = {}
        for field in alice_client.get(reverse("keys:keys")).context["form"]:
            if field.value() not in (None, ""):
                offered[field.name] = field.value()
        answer = alice_client.post(reverse("keys:issue_key"), {**offered, "name": name})
        return Outcome(answer.status_code == 200, unescape(answer.text))

    def over_the_api(name: str) -> Outcome:
        answer = admin.post("keys", {"name": name})
        return Outcome(answer.status_code == 201, answer.text)

    def by_the_command_line(name: str) -> Outcome:
        code = run(["keys", "create", name], Session(http_transport=httpx.MockTransport(answer_command)))
        printed = capsys.readouterr()
        return Outcome(code == 0, printed.out + printed.err)

    def by_its_login(name: str) -> Outcome:
        begun = send("logins", name=name).json()
        facts = {"code": begun["user_code"], "decision": "approved", "scopes": ["inference"]}
        assert alice_client.post(reverse("keys:decide_login"), facts).status_code == 302
        answer = send("logins/redeem", device_code=begun["device_code"])
        return Outcome(answer.status_code == 200, answer.text)

    return dict(zip(CALLERS, (on_the_page, over_the_api, by_the_command_line, by_its_login), strict=True))[
        caller
    ]


def send(path: str, **body: object):
    """Send what a program sends that has no key."""
    return Client().post(f"/api/v1/{path}", body, content_type="application/json")


def answer_command(request: httpx.Request) -> httpx.Response:
    """Answer a request of the command line, with the test's own database."""
    headers = {name: request.headers[name] for name in ("Authorization", "Idempotency-Key")}
    answer = Client().post(
        request.url.path, request.content, content_type="application/json", headers=headers
    )
    return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


def test_one_key_too_many_of_a_day_is_refused_in_words(make, acme, monkeypatch):
    most = acme.keys.count()
    monkeypatch.setattr(actions, "MAX_NEW_KEYS_PER_DAY", most)
    outcome = make("one too many")
    assert not outcome.is_made
    assert f"at most {most} API keys per day" in outcome.said
    assert acme.keys.count() == most


def test_the_page_loses_nothing_of_one_key_too_many(alice_client, acme, monkeypatch):
    monkeypatch.setattr(actions, "MAX_NEW_KEYS_PER_DAY", 0)
    sent = {"name": "bot", "lifetime_days": "30", "monthly_tokens": "50", "scopes": ["inference"]}
    page = alice_client.post(reverse("keys:issue_key"), sent)
    assert page.status_code == 400
    assert "data-open-now" in page.text
    assert {name: page.context["form"][name].value() for name in sent} == sent


def test_a_name_is_taken_for_all_and_a_login_gets_a_number(make, caller, acme):
    issue_key(acme, name="bot", by=None)
    outcome = make("bot")
    made = set(acme.keys.filter(name__startswith="bot").values_list("name", flat=True))
    if caller == "login":
        assert (outcome.is_made, made) == (True, {"bot", "bot 2"})
    else:
        assert (outcome.is_made, made) == (False, {"bot"})
        assert "already a key named “bot”" in outcome.said


def test_a_key_starts_as_its_workspace_lets_keys_start(make, acme):
    acme.key_limits = {"monthly_tokens": 5000, "monthly_nanousd": 2_500_000_000, "requests_per_minute": 7}
    acme.key_lifetime_days = 30
    acme.save()
    assert make("bot").is_made
    key = acme.keys.get(name="bot")
    assert {name: getattr(key, name) for name in acme.key_limits} == acme.key_limits
    assert (key.tokens_per_minute, key.parallel_requests, key.styles) == (None, None, None)
    assert key.scopes == ["inference"]
    assert key.created_by.email == "alice@example.org"
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)


def test_a_new_key_leaves_the_same_traces(make, acme):
    assert make("bot").is_made
    key = acme.keys.get(name="bot")
    entry = AuditEntry.objects.get(tenant=acme, action="api_key.created")
    assert (entry.object_id, entry.before, entry.after) == (str(key.pk), {}, {"scopes": ["inference"]})
    [event] = [one for one in OutboxEvent.objects.filter(tenant=acme) if one.object["id"] == str(key.pk)]
    assert event.type == EventType.KEY_CREATED


# What is sent to the page and to the API, and what the log has of it.
EDITED = {"monthly_nanousd": 500_000_000, "parallel_requests": 3}
CHANGES = {
    "edited": (
        "limit_key",
        {"monthly_nanousd": "0.5", "parallel_requests": "3"},
        "patch",
        "",
        {"limits": EDITED},
    ),
    "rotated": ("rotate_key", {"old_secret_hours": "1"}, "post", "/rotate", {"old_secret_hours": 1}),
    "revoked": ("revoke_key", {"name": "bot"}, "delete", "", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_audited_alike_on_the_page_and_over_the_api(change, alice_client, admin, acme, alice):
    view, form, method, path, body = CHANGES[change]
    keys = [issue_key(acme, name=name, by=alice)[0] for name in ("bot", "robot")]
    for _ in range(2):  # the second time, there is nothing left to do
        alice_client.post(reverse(f"keys:{view}", args=[keys[0].pk]), form)
        admin.request(method, f"keys/{keys[1].pk}{path}", body)
    logged = []
    for entry in AuditEntry.objects.filter(tenant=acme).order_by("id"):
        after = entry.after
        replaced_by = ApiKey.objects.get(pk=entry.object_id).replaced_by_id
        assert after.pop("replaced_by", None) == (str(replaced_by) if replaced_by else None)
        logged.append((entry.action, entry.before, after))
    before, after = (dict.fromkeys(EDITED), EDITED) if change == "edited" else ({}, {})
    assert logged == [(f"api_key.{change}", before, after)] * 2
