"""Several workspaces a person: which one is open, and how one goes to another."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import workspaces
from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import create_tenant
from metering.plans import newest_plan_version
from tenants import current
from tenants.models import Membership, Tenant
from tests.tenants.builders import browser_of, issue_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def beta(alice, acme) -> Tenant:
    return create_tenant(alice, name="Beta")


def heading(client: Client) -> str:
    return client.get(reverse("website:settings")).context["tenant"].slug


def test_a_switch_holds_in_the_session_and_begins_the_next_one(alice, alice_client, beta):
    assert heading(alice_client) == "acme"
    heading(browser_of(alice))
    answer = alice_client.post(
        reverse("website:switch_workspace"), {"workspace": "beta", "next": reverse("accounts:team")}
    )
    assert answer["Location"] == reverse("accounts:team")
    assert heading(alice_client) == "beta"
    assert heading(browser_of(alice)) == "beta"


def test_a_switch_in_one_browser_leaves_another_login_where_it_was(valkey, alice, acme, beta):
    alice.set_password("a long winding road")
    alice.save()
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    there, here = Client(), Client()
    for browser in (there, here):
        sent = {"login": alice.email, "password": "a long winding road"}
        assert browser.post(reverse("account_login"), sent).status_code == 302
    here.post(reverse("website:switch_workspace"), {"workspace": "beta"})
    assert (heading(here), heading(there)) == ("beta", "acme")


def test_a_form_without_any_cookie_says_so_and_leads_to_the_login():
    page = Client(enforce_csrf_checks=True).post(reverse("website:switch_workspace"), {"workspace": "beta"})
    assert page.status_code == 403
    assert "Your browser sent no cookies" in page.text
    assert f'href="{reverse("account_login")}">Log in' in page.text


def test_pages_and_the_api_are_of_the_open_workspace(valkey, alice_client, acme, beta):
    issue_key(beta, name="of beta", by=None)
    alice_client.post(reverse("website:switch_workspace"), {"workspace": "beta"})
    assert "of beta" in alice_client.get(reverse("keys:keys")).text
    assert alice_client.get("/api/v1/workspace").json()["slug"] == "beta"


def test_nobody_switches_to_a_strangers_workspace(charlie_client, acme):
    assert charlie_client.post(reverse("website:switch_workspace"), {"workspace": "acme"}).status_code == 404
    assert heading(charlie_client) == "charlies-prose"


def test_a_switch_leads_to_no_other_site(alice_client, beta):
    for next_page in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        sent = {"workspace": "beta", "next": next_page}
        answer = alice_client.post(reverse("website:switch_workspace"), sent)
        assert answer["Location"] == reverse("member_home")


def test_a_page_of_another_own_workspace_offers_the_switch(alice_client, charlie_client, beta):
    key, _ = issue_key(beta, name="of beta", by=None)
    address = reverse("keys:limit_key", args=[key.pk])
    missing = alice_client.get(address)
    assert missing.status_code == 404
    assert "Switch to Beta" in missing.text
    assert f'name="next" value="{address}"' in missing.text
    assert "Beta" not in charlie_client.get(address).text


def test_a_link_that_names_another_own_workspace_offers_the_switch(alice_client, charlie_client, beta):
    link = reverse("keys:keys") + "?workspace=beta"
    page = alice_client.get(link)
    assert "Switch to Beta?" in page.text
    assert f'value="{link}"' in page.text
    assert alice_client.get(reverse("keys:keys") + "?workspace=acme").context["keys"] == []
    assert charlie_client.get(link).status_code == 404


def test_a_workspace_that_was_left_or_deleted_is_open_no_more(alice, alice_client, beta):
    alice_client.post(reverse("website:switch_workspace"), {"workspace": "beta"})
    Tenant.objects.filter(pk=beta.pk).update(deleted_at=timezone.now())
    assert heading(alice_client) == "acme"


def test_another_workspace_is_created_once_and_opened(alice_client, acme):
    subscribe_tenant(acme, newest_plan_version("writer"))
    page = reverse("website:create_workspace")
    assert alice_client.post(page, {"workspace": "Gamma"}).status_code == 302
    assert heading(alice_client) == "gamma"
    again = alice_client.post(page, {"workspace": "Gamma"})
    assert again.status_code == 400
    assert "already" in again.text
    assert Tenant.objects.filter(name="Gamma").count() == 1


def test_a_person_owns_only_so_many(alice, beta, monkeypatch):
    monkeypatch.setattr(workspaces, "MAX_OWNED", 2)
    with pytest.raises(workspaces.TooManyWorkspaces):
        workspaces.create_own_tenant(alice, name="Gamma")


def test_last_seen_is_written_once_in_ten_minutes(alice_client, acme, django_assert_num_queries):
    alice_client.get(reverse("accounts:team"))
    seen_at = Membership.objects.get().last_seen_at
    assert seen_at
    alice_client.get(reverse("accounts:team"))
    assert Membership.objects.get().last_seen_at == seen_at
    Membership.objects.update(last_seen_at=timezone.now() - current.SEEN_EVERY)
    alice_client.get(reverse("accounts:team"))
    assert Membership.objects.get().last_seen_at > seen_at


def test_a_page_asks_once_for_all_workspaces(alice_client, beta, django_assert_max_num_queries):
    alice_client.get(reverse("accounts:team"))
    with django_assert_max_num_queries(6):
        alice_client.get(reverse("accounts:team"))
