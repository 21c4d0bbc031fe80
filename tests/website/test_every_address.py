"""No address shows or changes another workspace's things: made from the URLconf, so new pages are covered."""

import pytest
from django.test import Client
from django.urls import reverse

from tenants.public import issue_key
from tests.config.addresses import ALL, API, address_of, of_acme

__all__ = ["of_acme"]

METHODS = ("get", "post", "put", "patch", "delete")
WITH_ARGUMENTS = {name: arguments for name, arguments in ALL.items() if arguments}


@pytest.mark.django_db
def test_who_comes_back_to_the_address_of_a_form_reads_what_happened(alice_client, of_acme):
    refused = []
    for name in ALL:
        if name.startswith(API):
            continue
        address = address_of(name, of_acme)
        page = alice_client.get(address, headers={"Accept": "text/html,*/*"})
        if page.status_code == 405:
            refused.append(name)
            assert "This address only accepts a form" in page.text, name
            assert page.headers["Allow"], name
            part = alice_client.get(address, headers={"Accept": "text/html", "HX-Request": "true"})
            assert not part.content, name
    assert {"billing:set_budget", "adapters:select", "inference:playground_stream"} <= set(refused)


def statuses(client: Client, address: str) -> set[int]:
    return {client.get(address).status_code, client.post(address).status_code}


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in WITH_ARGUMENTS if not name.startswith(API)])
def test_a_stranger_finds_nothing_of_another_workspace(charlie_client, of_acme, name):
    address = address_of(name, of_acme)
    found = statuses(charlie_client, address)
    assert 404 in found
    assert found <= {404, 405}


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in WITH_ARGUMENTS if name.startswith(API)])
def test_a_strangers_key_and_session_find_nothing_in_the_api(client, charlie_client, charlies, of_acme, name):
    address = address_of(name, of_acme)
    _, secret = issue_key(charlies, name="curious", by=None, scopes=["admin"])
    for who, headers in ((client, {"Authorization": f"Bearer {secret}"}), (charlie_client, {})):
        found = set()
        for method in METHODS:
            answer = getattr(who, method)(address, {}, content_type="application/json", headers=headers)
            found.add(answer.status_code)
            assert answer["Content-Type"] == "application/problem+json"
        assert 404 in found
        assert found <= {404, 405}


@pytest.mark.long
@pytest.mark.django_db
@pytest.mark.parametrize("name", ALL)
def test_a_visitor_is_sent_to_the_login(client, of_acme, name):
    address = address_of(name, of_acme)
    if name.startswith(API):
        assert statuses(client, address) <= {401, 405}
        return
    for answer in (client.get(address), client.post(address)):
        assert answer.status_code in (302, 405)
        if answer.status_code == 302:
            assert answer["Location"].startswith(reverse("account_login"))
