"""What holds for every page: the policy of what a browser may load, and who sees what."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import OperationalError
from django.urls import reverse
from redis import RedisError


@pytest.mark.django_db
def test_the_console_is_for_operators(client, alice_client, operator_client):
    assert client.get("/console/").status_code == 302
    assert alice_client.get("/console/").status_code == 302
    assert operator_client.get("/console/").status_code == 200


@pytest.mark.parametrize(("fault", "status"), [(OperationalError, 503), (RedisError, 503), (KeyError, 500)])
def test_a_part_that_is_away_is_told_from_a_fault_of_ours(client, monkeypatch, fault, status):
    def broken(*args, **kwargs):
        raise fault

    monkeypatch.setattr("website.pages.public_styles", broken)
    client.raise_request_exception = False
    answer = client.get("/")
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)


def test_a_form_that_is_too_large_is_answered_with_what_to_do(client):
    for language, said in (("en", "choose a smaller file"), ("de", "kleinere Datei")):
        text = {"text": "x" * 3_000_000}
        answer = client.post(reverse("account_login"), text, headers={"Accept-Language": language})
        assert (answer.status_code, said in answer.text) == (413, True)


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/write/import/", "text/html; charset=utf-8", "choose a smaller file"),
        ("/api/v1/drafts", "application/problem+json", '"code": "too_large"'),
    ],
)
async def test_a_body_that_the_server_would_cut_off_is_answered_before_it_is_read(path, kind, said):
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        pytest.fail("the body is read")

    headers = [(b"host", b"testserver"), (b"content-length", b"9000000")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await import_module("config.asgi").site(scope, receive, send)
    answer = dict(sent[0]["headers"])
    assert (sent[0]["status"], answer[b"Content-Type"]) == (413, kind.encode())
    assert said in b"".join(message.get("body", b"") for message in sent).decode()


def test_security_txt_says_where_to_report(client, settings):
    settings.SECURITY_CONTACT = ["security@example.com", "https://example.com/report"]

    answer = client.get("/.well-known/security.txt")
    fields = [line.split(": ", 1) for line in answer.content.decode().splitlines()]

    assert answer.headers["Content-Type"].startswith("text/plain")
    assert fields[0] == ["Contact", "mailto:security@example.com"]
    assert fields[1] == ["Contact", "https://example.com/report"]
    expires = datetime.fromisoformat(dict(fields)["Expires"])
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=366)
    assert dict(fields)["Canonical"] == f"{settings.SITE_URL}/.well-known/security.txt"


def test_there_is_no_security_txt_without_a_contact(client, settings):
    settings.SECURITY_CONTACT = []

    assert client.get("/.well-known/security.txt").status_code == 404


@pytest.mark.django_db
def test_what_accounts_and_the_home_page_show_members_stays_in_no_cache(alice_client):
    for name in ("account_email", "home"):
        assert "no-store" in alice_client.get(reverse(name)).headers["Cache-Control"]


@pytest.mark.django_db
def test_what_everybody_sees_may_be_kept_but_not_a_form_of_accounts(client):
    assert "Cache-Control" not in client.get("/healthz").headers
    for name in ("account_login", "account_signup", "account_reset_password"):
        assert "no-store" in client.get(reverse(name)).headers["Cache-Control"]
