import pytest
from django.test import Client
from django.urls import reverse

from tenants import keys
from tenants.models import ApiKey, Tenant, User

PAGES = ["tenants:keys", "tenants:usage", "tenants:found"]
DEEDS = ["tenants:issue_key"]


@pytest.fixture
def key(acme, alice) -> ApiKey:
    return keys.issue(acme, name="laptop", by=alice)[0]


def test_strangers_are_asked_to_log_in(db, key):
    revoke = reverse("tenants:revoke_key", args=[key.pk])
    answers = [
        *(Client().get(reverse(page)) for page in PAGES),
        *(Client().post(address) for address in [*map(reverse, DEEDS), revoke]),
    ]
    for answer in answers:
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))
    assert ApiKey.objects.shown().get().revoked_at is None


def test_members_see_their_tenants_keys_and_others_dont(alice_client, bob_client, charlie_client, key):
    for client in (alice_client, bob_client):
        page = client.get(reverse("tenants:keys"))
        assert page.status_code == 200
        assert list(page.context["keys"]) == [key]
        assert f"{key.prefix}…{key.last4}" in page.text
    page = charlie_client.get(reverse("tenants:keys"))
    assert not page.context["keys"]
    assert key.last4 not in page.text


def test_another_tenants_key_is_not_there(charlie_client, key):
    answer = charlie_client.post(reverse("tenants:revoke_key", args=[key.pk]), {"name": key.name})
    assert answer.status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_the_studio_key_cant_be_revoked(alice_client, acme):
    studio = keys.studio_key(acme)
    answer = alice_client.post(reverse("tenants:revoke_key", args=[studio.pk]), {"name": studio.name})
    assert answer.status_code == 404


def test_a_secret_is_shown_once(alice_client, alice):
    facts = {"name": "newsletter", "lifetime_days": "30", "monthly_tokens": "5000"}
    page = alice_client.post(reverse("tenants:issue_key"), facts)
    secret = page.context["secret"]
    key = ApiKey.objects.shown().get()
    assert keys.is_well_formed(secret)
    assert secret in page.text
    assert "no-store" in page["Cache-Control"]
    assert (key.digest, key.created_by, key.monthly_tokens) == (keys.digest(secret), alice, 5000)
    assert round((key.expires_at - key.created_at).total_seconds() / 86400) == 30
    assert secret not in alice_client.get(reverse("tenants:keys")).text


@pytest.mark.parametrize("facts", [{"name": ""}, {"name": "laptop"}, {"name": "x", "monthly_tokens": "-1"}])
def test_a_wrong_form_makes_no_key_and_loses_nothing(alice_client, key, facts):
    page = alice_client.post(reverse("tenants:issue_key"), facts)
    assert page.status_code == 400
    assert page.context["form"].errors
    assert page.context["form"]["name"].value() == facts["name"]
    assert ApiKey.objects.shown().get() == key


def test_revoking_asks_for_the_name(bob_client, key):
    address = reverse("tenants:revoke_key", args=[key.pk])
    page = bob_client.post(address, {"name": "desktop"})
    assert page.status_code == 400
    assert page.context["revoke_error"]["sentence"] in page.text
    assert ApiKey.objects.shown().get().revoked_at is None
    assert bob_client.get(address).status_code == 405
    assert bob_client.post(address, {"name": " laptop "}).status_code == 302
    assert ApiKey.objects.shown().get().revoked_at
    assert "Revoked" in bob_client.get(reverse("tenants:keys")).text


def test_signing_up_founds_a_tenant(db):
    client = Client()
    form = {"workspace": "Quill & Co", "email": "dora@example.org", "password1": "a long winding road"}
    assert client.get(reverse("account_signup")).status_code == 200
    answer = client.post(reverse("account_signup"), form)
    assert answer.status_code == 302, answer.context["form"].errors
    tenant = Tenant.objects.of(User.objects.get(email="dora@example.org")).get()
    assert (tenant.name, tenant.slug) == ("Quill & Co", "quill-co")
    assert "Quill &amp; Co" in client.get(reverse("tenants:keys")).text


def test_who_has_no_tenant_founds_one_first(operator_client):
    assert operator_client.get(reverse("tenants:keys"))["Location"] == reverse("tenants:found")
    assert operator_client.get(reverse("tenants:found")).status_code == 200
    assert operator_client.post(reverse("tenants:found"), {"workspace": ""}).status_code == 400
    assert operator_client.post(reverse("tenants:found"), {"workspace": "Desk"}).status_code == 302
    assert operator_client.get(reverse("tenants:keys")).status_code == 200
    assert operator_client.get(reverse("tenants:found")).status_code == 302
