"""What holds for every page: the policy of what a browser may load, and who sees what."""

import pytest
from django.db import OperationalError
from django.urls import reverse
from redis import RedisError

PAGES = ["adapters:catalogue", "adapters:upload", "tenants:keys", "tenants:usage", "inference:playground"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_for_members_and_their_policy_is_strict(client, alice_client, name):
    assert client.get(reverse(name)).status_code == 302
    answer = alice_client.get(reverse(name))
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert b"//cdn" not in answer.content


@pytest.mark.django_db
def test_the_console_is_for_operators(client, alice_client, operator_client):
    assert client.get("/console/").status_code == 302
    assert alice_client.get("/console/").status_code == 302
    assert operator_client.get("/console/").status_code == 200


@pytest.mark.django_db
def test_the_playground_refuses_strangers_and_plain_gets(client, alice_client):
    assert client.post(reverse("inference:playground_stream")).status_code == 302
    assert alice_client.get(reverse("inference:playground_stream")).status_code == 405


@pytest.mark.parametrize(("fault", "status"), [(OperationalError, 503), (RedisError, 503), (KeyError, 500)])
def test_a_part_that_is_away_is_told_from_a_fault_of_ours(client, monkeypatch, fault, status):
    def broken(*args, **kwargs):
        raise fault

    monkeypatch.setattr("config.pages.showcase", broken)
    client.raise_request_exception = False
    answer = client.get("/")
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
