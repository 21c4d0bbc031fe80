"""No address shows or changes another workspace's things: made from the URLconf, so new pages are covered."""

import pytest
from django.test import Client
from django.urls import reverse

from metering.models import PlanVersion
from tests.config.addresses import ALL, API, PAGES, address_of
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
ABSENT = ({404}, {404, 405})  # what all methods together may be answered


def test_pages_are_private_and_addresses_of_forms_say_what_they_are(alice_client, of_acme, subtests):
    shown, refused = set(), set()
    for name in PAGES:
        with subtests.test(name):
            address = address_of(name, of_acme)
            page = alice_client.get(address, headers={"Accept": "text/html,*/*"})
            if page.status_code == 405:
                refused.add(name)
                assert "This address only accepts a form" in page.text
                assert page.headers["Allow"]
                part = alice_client.get(address, headers={"Accept": "text/html", "HX-Request": "true"})
                assert not part.content
            elif page.status_code == 200 and page.headers["Content-Type"].startswith("text/html"):
                shown.add(name)
                policy = page.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy
                assert "unsafe" not in policy
                assert "//cdn" not in page.text
                assert "no-store" in page.headers["Cache-Control"]
    assert {"billing:set_budget", "adapters:select", "inference:playground_stream"} <= refused
    assert {"member_home", "training:list", "keys:keys", "inference:playground"} <= shown


def statuses(client: Client, address: str) -> set[int]:
    return {client.get(address).status_code, client.post(address).status_code}


def test_a_stranger_finds_nothing_of_another_workspace(charlie_client, of_acme):
    faults = []
    for name in [name for name in PAGES if ALL[name]]:
        found = statuses(charlie_client, address_of(name, of_acme))
        if found not in ABSENT:
            faults.append(f"{name} answers a stranger {sorted(found)}")
    assert faults == [], "\n".join(faults)


def test_a_strangers_key_and_session_find_nothing_in_the_api(client, charlie_client, charlies, of_acme):
    PlanVersion.objects.update(api_requests_per_minute=10_000)  # it asks hundreds of addresses
    _, secret = issue_key(charlies, name="curious", by=None, scopes=["admin"])
    faults = []
    for name in [name for name, arguments in ALL.items() if arguments and name.startswith(API)]:
        address = address_of(name, of_acme)
        for who, headers in ((client, {"Authorization": f"Bearer {secret}"}), (charlie_client, {})):
            found = set()
            for method in METHODS:
                answer = getattr(who, method)(address, {}, content_type="application/json", headers=headers)
                found.add(answer.status_code)
                if answer["Content-Type"] != "application/problem+json":
                    faults.append(f"{method} {name} answers {answer['Content-Type']}")
            if found not in ABSENT:
                caller = "key" if headers else "session"
                faults.append(f"{name} answers a stranger's {caller} {sorted(found)}")
    assert faults == [], "\n".join(faults)


def test_a_visitor_is_sent_to_the_login(client, of_acme):
    faults = []
    for name in ALL:
        address = address_of(name, of_acme)
        for answer in (client.get(address), client.post(address)):
            if name.startswith(API):
                is_refused = answer.status_code in (401, 405)
            elif answer.status_code == 302:
                is_refused = answer["Location"].startswith(reverse("account_login"))
            else:
                is_refused = answer.status_code == 405
            if not is_refused:
                faults.append(f"{name} answers a visitor {answer.status_code}")
    assert faults == [], "\n".join(faults)
