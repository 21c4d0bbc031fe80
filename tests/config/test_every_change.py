"""Every form and every operation that changes something: made from the URLconf, so new ones must be listed.

Sent after the session ended, a form does nothing and leads to the login and back; sent twice, it does its
work once or says so; and whatever changes something is in the workspace's audit log.
"""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tenants.models import (
    ApiKey,
    AuditEntry,
    User,
)
from tenants.public import issue_key
from tests.config.addresses import ALL, API, LOGGED_BEFORE, address_of, of_acme
from tests.config.changes import OPERATIONS, PAGES, Arguments, logged, operations, prepared, ready, state

__all__ = ["of_acme", "ready"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "ready")]

OPEN_PAGE = "/usage/?from=form"
CHANGE_NOTHING = {
    "website:delete_account": "Without the right password, which test_deletion.py has.",
    "adapters:check_draft": "Nothing is stored of a draft.",
    "adapters:guess": "Answers are counted in the session.",
    "adapters:compare_answers": "It marks differences in what the page sends.",
    "inference:playground_docx": "It sends back what the page sent, as a file.",
    "inference:playground_html": "It sends back what the page sent, as a file.",
    "inference:playground_stream": "It writes text, which the ledger books.",
    "inference:stream_side": "It writes text, which the ledger books.",
}


# What needs no key, and has no workspace before a member has confirmed it: tests/website/api/test_logins.py.
OPEN_OPERATIONS = {"logins.begin", "logins.redeem"}

# What stores nothing: tests/adapters/evidence/test_api.py.
IDLE_OPERATIONS = {"styles.check_draft"}

# What only a person can do: tests/tenants/accounts/test_members.py does it.
PERSONS_OPERATIONS = {"members.leave", "members.transfer"}


def send(client: Client, name: str, of_acme: Arguments):
    change = PAGES[name]
    headers = {"Referer": f"http://testserver{OPEN_PAGE}"}
    options = {"content_type": "application/json"} if change.is_json else {}
    return client.post(address_of(name, of_acme), change.sent, headers=headers, **options)


def says_so(answer) -> bool:
    """Return whether an answer tells that nothing was done."""
    return answer.status_code >= 400 or any(
        message.level_tag in ("error", "warning") for message in get_messages(answer.wsgi_request)
    )


def test_every_page_that_takes_a_form_is_listed(client, of_acme):
    takes_forms = set()
    for name in ALL:
        if name.startswith(API):
            continue
        if client.post(address_of(name, of_acme)).status_code != 405:
            takes_forms.add(name)
    assert takes_forms == PAGES.keys() | CHANGE_NOTHING.keys()
    assert not PAGES.keys() & CHANGE_NOTHING.keys()


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_a_form_that_comes_after_the_session_ended_does_nothing_and_leads_back(
    client, alice_client, of_acme, name
):
    arguments = prepared(PAGES[name], of_acme)
    before = state()
    answer = send(client, name, arguments)
    assert answer.status_code == 302
    login = urlsplit(answer["Location"])
    assert login.path == reverse("account_login")
    assert (state(), logged()) == (before, [])
    [back] = parse_qs(login.query)["next"]
    if name != "website:create_workspace":  # its own page shows its form
        assert back == OPEN_PAGE
        assert "so nothing was saved" in client.get(answer["Location"]).text
    assert alice_client.get(back).status_code in (200, 302)


@pytest.mark.parametrize("name", PAGES)
def test_a_form_that_is_sent_twice_works_once_or_says_so_and_is_audited(alice_client, of_acme, name):
    change = PAGES[name]
    arguments = prepared(change, of_acme)
    before = state()
    first = send(alice_client, name, arguments)
    assert first.status_code in (200, 201, 302), first.content
    assert not says_so(first)
    after = state()
    assert logged() == [change.audits] if change.audits else change.unaudited
    assert after != before or change.each_time
    second = send(alice_client, name, arguments)
    if not change.each_time:
        assert state() == after
        assert says_so(second) or second.status_code == first.status_code


def test_every_operation_that_changes_something_is_listed():
    assert operations().keys() == OPERATIONS.keys() | PERSONS_OPERATIONS | OPEN_OPERATIONS | IDLE_OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_a_program_changes_is_in_the_log_with_its_key(client, acme, of_acme, name):
    change = OPERATIONS[name]
    arguments = prepared(change, of_acme)
    _, secret = issue_key(
        acme, name="program", by=User.objects.get(email="alice@example.org"), scopes=["admin"]
    )
    method, path = operations()[name]
    headers = {"Authorization": f"Bearer {secret}"}
    address = path.format(**arguments)
    answer = getattr(client, method)(
        address, change.sent or None, content_type="application/json", headers=headers
    )
    assert answer.status_code < 300, answer.content
    if change.unaudited:
        assert logged() == []
        return
    assert logged() == [change.audits]
    entry = AuditEntry.objects.exclude(action=LOGGED_BEFORE).get()
    assert (entry.tenant, entry.actor, entry.api_key) == (acme, None, ApiKey.objects.get(name="program"))


def test_a_part_of_a_page_leads_the_whole_page_to_the_login(client, of_acme):
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{OPEN_PAGE}"}
    answer = client.get(address_of("adapters:steps", of_acme), headers=headers)
    assert answer.status_code == 200
    login = urlsplit(answer["HX-Redirect"])
    assert (login.path, parse_qs(login.query)["next"]) == (reverse("account_login"), [OPEN_PAGE])


@pytest.mark.parametrize(
    "referer", ["https://evil.example/usage/", "", "javascript:alert(1)", "//evil.example/"]
)
def test_a_form_of_another_site_leads_to_no_other_site(client, of_acme, referer):
    answer = client.post(reverse("billing:set_budget"), headers={"Referer": referer})
    [back] = parse_qs(urlsplit(answer["Location"]).query)["next"]
    assert back == reverse("member_home")
