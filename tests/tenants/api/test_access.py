"""Who may call the management API, how often, and what every failure looks like."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
import redis
from django.db import OperationalError
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts.workspaces import suspend_tenant
from core import rates
from core.rest import problems
from inference.openai_views.base import OpenAiView
from keys import actions
from keys.api import KeyViewSet
from metering.models import PlanVersion
from tenants.api.views import WorkspaceView
from tenants.models import ApiKey, Scope
from tests.tenants.api.builders import problem

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.parametrize("header", ["Bearer sk-ps-nothing", "Bearer ", "Basic abc", "Bearer " + "x" * 5000])
def test_what_is_no_key_is_401_with_a_challenge(valkey, header):
    answer = Client().get("/api/v1/keys", headers={"Authorization": header})
    problem(answer, 401, "invalid_api_key")
    assert answer["WWW-Authenticate"] == "Bearer"
    problem(Client().get("/api/v1/keys"), 401, "not_authenticated")


def test_a_revoked_and_an_expired_key_hold_from_the_next_request(admin, acme):
    assert admin.get("keys").status_code == 200
    key = ApiKey.objects.shown().get(tenant=acme)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    problem(admin.get("keys"), 401, "invalid_api_key")
    ApiKey.objects.filter(pk=key.pk).update(expires_at=None)
    assert admin.get("keys").status_code == 200
    actions.revoke_by_operator(key)
    problem(admin.get("keys"), 401, "invalid_api_key")


def test_a_suspended_workspace_is_told_so(admin, acme):
    suspend_tenant(acme)
    problem(admin.get("keys"), 403, "workspace_suspended")


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("keys", "keys:write"),
        ("usage", "usage:read"),
        ("requests", "usage:read"),
        ("billing", "billing:read"),
        ("workspace/audit-log", "admin"),
    ],
)
def test_a_key_needs_the_scope(with_key, path, scope):
    others = [one for one in Scope.values if one not in (scope, "admin")]
    body = problem(with_key(*others).get(path), 403, "insufficient_scope")
    assert f"`{scope}`" in body["detail"]
    assert with_key(scope).get(path).status_code == 200


def test_a_session_needs_the_csrf_token_for_changes(alice, valkey):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.get("/api/v1/keys").status_code == 200
    refused = browser.post("/api/v1/keys", {"name": "x"}, content_type="application/json")
    problem(refused, 403, "permission_denied")


def test_each_key_has_a_rate_of_its_own(with_key, acme):
    PlanVersion.objects.update(api_requests_per_minute=2)
    first, second = with_key("keys:write"), with_key("keys:write")
    answers = [first.get("keys") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    problem(answers[2], 429, "rate_limit_exceeded")
    assert 0 < int(answers[2]["Retry-After"]) <= 60
    assert second.get("keys").status_code == 200


def test_guesses_of_keys_are_counted_by_address_and_lock_no_key_of_the_same_network_out(admin, monkeypatch):
    monkeypatch.setattr("tenants.api.views.UNKNOWN_KEYS_PER_MINUTE", 3)
    guess = {"Authorization": "Bearer sk-ps-guess"}
    statuses = [Client().get("/api/v1/keys", headers=guess).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert admin.get("keys").status_code == 200


@pytest.mark.parametrize(
    ("place", "name", "fault"),
    [
        (KeyViewSet, "get_queryset", OperationalError("gone")),
        (KeyViewSet, "get_queryset", redis.ConnectionError("gone")),
        (rates, "take", redis.ConnectionError("gone")),
    ],
)
def test_an_outage_is_503_and_says_when_to_try_again(admin, monkeypatch, place, name, fault):
    monkeypatch.setattr(place, name, Mock(side_effect=fault))
    answer = admin.get("keys")
    problem(answer, 503, "unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_fault_of_ours_tells_nothing_but_its_id(admin, monkeypatch, caplog):
    monkeypatch.setattr(KeyViewSet, "get_queryset", Mock(side_effect=RuntimeError("secret particulars")))
    body = problem(admin.get("keys"), 500, "server_error")
    assert "particulars" not in str(body)
    assert body["request_id"] in caplog.text


@pytest.mark.parametrize(
    ("sent", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "malformed_body"),
        ("[]", "application/json", 400, "invalid"),
        ("null", "application/json", 400, "invalid"),
        ('{"name": NaN}', "application/json", 400, "malformed_body"),
        ("name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("{}", "text/plain", 415, "unsupported_media_type"),
        (b"\xff\xfe", "application/json", 400, "malformed_body"),
        ("[" * 100_000, "application/json", 400, "malformed_body"),
    ],
)
def test_a_body_that_is_no_object_is_refused(admin, sent, content_type, status, code):
    headers = {"Authorization": f"Bearer {admin.secret}"}
    answer = Client().post("/api/v1/keys", sent, content_type=content_type, headers=headers)
    problem(answer, status, code)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("keys", {"name": "x", "scopes": ["Z" * 5000]}),
        ("keys", {"name": "x", "Z" * 5000: 1}),
        ("invitations", {"email": "Z" * 5000, "role": "Z" * 5000}),
        ("styles?kind=" + "Z" * 5000, None),
    ],
)
def test_an_error_repeats_at_most_200_characters(admin, path, body):
    answer = admin.get(path) if body is None else admin.post(path, body)
    faults = problem(answer, 400, "invalid")["errors"]
    for fault in faults:
        assert str(fault).count("Z") <= 200
        assert fault["message"].endswith(".")


def test_an_error_names_some_of_many_wrong_fields(admin):
    answer = admin.post("keys", {f"field-{number}": 1 for number in range(5000)})
    assert len(problem(answer, 400, "invalid")["errors"]) == problems.MAX_FAULTS


def test_a_wrong_method_says_which_are_right_and_an_unknown_address_is_a_problem_too(admin):
    answer = admin.delete("keys")
    problem(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer["Allow"].split(", "))
    answer = admin.get("no/such")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unknown_url"


@pytest.mark.parametrize("charset", ["zlib", "rot13", "hex"])
async def test_a_charset_of_the_body_changes_no_address(charset):
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = await AsyncClient().get("/api/v1/styles?search=a%20b", headers=headers)
    assert answer.status_code == 401


def _views(kind: type[WorkspaceView]) -> list[type[WorkspaceView]]:
    below = kind.__subclasses__()
    return below + [one for view in below for one in _views(view)]


def test_every_handler_says_its_scope_and_every_post_is_idempotent():
    handlers = []
    for view in _views(WorkspaceView):
        if issubclass(view, OpenAiView):
            continue  # OpenAI's own form has no Idempotency-Key
        handlers += [(method, getattr(view, method)) for method in METHODS if hasattr(view, method)]
        for action, operation in getattr(view, "operations", {}).items():
            handlers.append((operation.method, getattr(view, action)))
    assert len(handlers) > 60
    for method, handler in handlers:
        assert hasattr(handler, "scope"), handler
        assert method != "post" or getattr(handler, "is_idempotent", False), handler
