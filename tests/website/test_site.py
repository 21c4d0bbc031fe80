"""What holds for every page: the policy of what a browser may load, and who sees what."""

from datetime import UTC, datetime, timedelta

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
