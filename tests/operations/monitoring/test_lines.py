"""LOG_FORMAT=json: one line a request and an action, with ids and without what anybody wrote."""

import io
import json
import logging

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from core import log_lines
from tenants.models import AuditEntry, Tenant

pytestmark = pytest.mark.django_db
SECRET_NAME = "private-name"


@pytest.fixture
def lines():
    stream = io.BytesIO()
    log_lines.configure(log_lines.JSON, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log_lines.configure(log_lines.TEXT)


def test_a_page_is_a_line_with_its_route_its_workspace_and_its_time(lines, alice, acme, alice_client):
    alice_client.get(reverse("billing:usage"))
    [line] = lines()
    assert (line["event"], line["method"], line["status"]) == ("page", "GET", 200)
    assert (line["workspace"], line["user"]) == (str(acme.pk), str(alice.pk))
    assert line["route"] == "/usage/"
    assert line["total_ms"] > 0


def test_tokens_in_an_address_and_what_follows_it_are_in_no_line(lines, client):
    client.get("/accounts/password/reset/key/1-secret-token/?email=alice@example.org")
    client.get("/nowhere/secret-token/")
    assert [line["status"] for line in lines()] == [200, 404]
    assert "secret-token" not in str(lines())
    assert "alice@example.org" not in str(lines())


@pytest.fixture
def written(monkeypatch) -> io.StringIO:
    """What the process's log has beside our own lines."""
    stream = io.StringIO()
    monkeypatch.setattr(logging.getHandlerByName("stderr"), "stream", stream)
    return stream


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("post", "/accounts/password/reset/key/1-secret-token/", "/accounts/password/reset/key/"),
        ("post", "/accounts/confirm-email/secret-token/", "/accounts/confirm-email/"),
        ("get", "/accounts/confirm-email/secret-token/%0Amore", "Not Found: /accounts/…"),
        ("get", "/invitations/secret-token/", "/invitations/<str:token>/"),
        ("put", "/notices/unsubscribe/secret-token/", "/notices/unsubscribe/<str:token>/"),
    ],
)
def test_a_refused_request_is_told_without_the_token_in_its_address(written, method, path, shown):
    strict = Client(enforce_csrf_checks=True)
    assert getattr(strict, method)(path).status_code in (403, 404, 405)
    assert shown in written.getvalue()
    assert "secret-token" not in written.getvalue()


def test_a_failed_request_is_told_without_the_token_in_its_address(written, client, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("accounts.members.find_by_token", away)
    client.raise_request_exception = False
    assert client.get("/invitations/secret-token/").status_code == 503
    assert "OperationalError: gone" in written.getvalue()
    assert "secret-token" not in written.getvalue()


def test_an_action_is_a_line_once_it_is_committed(
    lines, acme, alice, alice_client, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        alice_client.post(
            reverse("keys:issue_key"), {"name": SECRET_NAME, "lifetime_days": "", "scopes": ["inference"]}
        )
    entry = AuditEntry.objects.latest("pk")
    action = next(line for line in lines() if line["event"] == "action")
    assert (action["action"], action["workspace"]) == (entry.action, str(acme.pk))
    assert (action["user"], action["object_id"]) == (str(alice.pk), entry.object_id)
    assert SECRET_NAME not in str(lines())


def test_text_writes_no_line(capfd, alice_client, acme: Tenant):
    log_lines.configure(log_lines.TEXT)
    alice_client.get(reverse("billing:usage"))
    assert '"event"' not in capfd.readouterr().err
