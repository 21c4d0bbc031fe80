"""Every form and every operation that changes something: made from the URLconf, so new ones must be listed.

Sent after the session ended, a form does nothing and leads to the login and back; sent twice, it does its
work once or says so; and whatever changes something is in the workspace's audit log.
"""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tenants.access import NOTHING_DONE
from tenants.models import AuditEntry
from tests.config.addresses import PAGES, address_of
from tests.config.changes import FORMS, OPERATIONS, logged, operations, prepared, state
from tests.config.rows import changes_between, undone
from tests.config.things import LOGGED_BEFORE, Arguments
from tests.operations.builders import signed_in
from tests.tenants.builders import issue_key

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


# What needs no key, and has no workspace before a member has confirmed it: tests/keys/test_logins.py.
OPEN_OPERATIONS = {"logins.begin", "logins.redeem"}

# What stores nothing: tests/adapters/evidence/test_api.py.
IDLE_OPERATIONS = {"styles.check_draft"}

# What only a person can do: tests/accounts/test_members.py does it.
PERSONS_OPERATIONS = {"members.leave", "members.transfer"}


def send(client: Client, name: str, arguments: Arguments):
    change = FORMS[name]
    headers = {"Referer": f"http://testserver{OPEN_PAGE}"}
    options = {"content_type": "application/json"} if change.is_json else {}
    return client.post(address_of(name, arguments), change.sent, headers=headers, **options)


def says_so(answer) -> bool:
    """Return whether an answer tells that nothing was done."""
    return answer.status_code >= 400 or any(
        message.level_tag in ("error", "warning") for message in get_messages(answer.wsgi_request)
    )


def said_by(answer) -> list[str]:
    return [message.message for message in get_messages(answer.wsgi_request)]


def test_every_page_that_takes_a_form_is_listed(client, of_acme):
    takes_forms = {name for name in PAGES if client.post(address_of(name, of_acme)).status_code != 405}
    assert takes_forms == FORMS.keys() | CHANGE_NOTHING.keys()
    assert not FORMS.keys() & CHANGE_NOTHING.keys()
    assert [name for name, change in FORMS.items() if not (change.audits or change.unaudited)] == []


def test_a_form_that_comes_after_the_session_ended_does_nothing_and_leads_back(of_acme, subtests):
    for name, change in FORMS.items():
        with subtests.test(name), undone():
            arguments = prepared(change, of_acme)
            before = state()
            answer = send(Client(), name, arguments)
            login = urlsplit(answer["Location"])
            assert (answer.status_code, login.path) == (302, reverse("account_login"))
            assert (changes_between(before, state()), logged()) == ([], [])
            own_page = reverse(name) if name == "website:create_workspace" else ""  # it shows its form
            assert parse_qs(login.query)["next"] == [own_page or OPEN_PAGE]
            assert own_page or NOTHING_DONE in said_by(answer)


def test_the_login_tells_of_the_form_and_leads_back(client, alice_client):
    answer = client.post(reverse("billing:set_budget"), headers={"Referer": f"http://testserver{OPEN_PAGE}"})
    assert "so nothing was saved" in client.get(answer["Location"]).text
    assert alice_client.get(OPEN_PAGE).status_code == 200
    assert alice_client.get(reverse("website:create_workspace")).status_code == 200


def test_a_form_that_is_sent_twice_works_once_or_says_so_and_is_audited(alice, of_acme, subtests):
    for name, change in FORMS.items():
        with subtests.test(name), undone():
            arguments = prepared(change, of_acme)
            browser = signed_in(alice)
            before = state()
            first = send(browser, name, arguments)
            assert first.status_code in (200, 201, 302), first.content
            assert not says_so(first)
            after = state()
            assert logged() == ([change.audits] if change.audits else [])
            assert changes_between(before, after) or change.each_time
            second = send(browser, name, arguments)
            if not change.each_time:
                assert changes_between(after, state()) == []
                assert says_so(second) or second.status_code == first.status_code


def test_every_operation_that_changes_something_is_listed():
    assert operations().keys() == OPERATIONS.keys() | PERSONS_OPERATIONS | OPEN_OPERATIONS | IDLE_OPERATIONS


def test_what_a_program_changes_is_in_the_log_with_its_key(acme, alice, of_acme, subtests):
    key, secret = issue_key(acme, name="program", by=alice, scopes=["admin"])
    headers = {"Authorization": f"Bearer {secret}"}
    for name, change in OPERATIONS.items():
        with subtests.test(name), undone():
            method, path = operations()[name]
            address = path.format(**prepared(change, of_acme))
            sent = {"content_type": "application/json", "headers": headers}
            answer = getattr(Client(), method)(address, change.sent or None, **sent)
            assert answer.status_code < 300, answer.content
            entries = AuditEntry.objects.exclude(action=LOGGED_BEFORE)
            done = [(entry.action, entry.tenant, entry.actor, entry.api_key) for entry in entries]
            assert done == ([(change.audits, acme, None, key)] if change.audits else [])


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
