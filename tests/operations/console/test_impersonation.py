"""An operator looks at a workspace as its owner sees it, and changes nothing there."""

import json
import time

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from adapters.models import AdapterVersion
from adapters.uploads import parts
from billing.models import Payment, PaymentAccount
from billing.payments import payments
from core.money import NANO
from tenants.accounts import impersonation
from tenants.models import AuditEntry, Membership, Tenant, User
from tests.config.addresses import ALL, API, address_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SURE = {"confirmed": "1", "why": "ticket 12"}
SIGNED = (b"x-amz-signature", b"X-Amz-Signature")
OF_THE_SESSION = {"sessions", "usersessions"}


def look_page(tenant: Tenant) -> str:
    return reverse("admin:tenants_tenant_look", args=[tenant.pk])


@pytest.fixture
def looking_client(operator_client: Client, acme: Tenant) -> Client:
    assert operator_client.post(look_page(acme), SURE)["Location"] == reverse("member_home")
    return operator_client


def test_a_look_asks_why_shows_a_banner_and_is_written_down(operator_client, operator, acme):
    asked = operator_client.get(look_page(acme))
    assert "secrets are hidden" in asked.text
    assert operator_client.post(look_page(acme), {"confirmed": "1", "why": " "}).status_code == 200
    assert not AuditEntry.objects.exists()

    operator_client.post(look_page(acme), SURE)
    page = operator_client.get(reverse("website:settings"))
    assert "viewing <strong>Acme</strong> as its owner until" in page.text
    assert not Membership.objects.filter(user=operator).exists()
    began = AuditEntry.objects.get(action="impersonation.begun")
    assert (began.actor, began.object_id, began.reason) == (operator, str(acme.pk), "ticket 12")

    back = operator_client.post(reverse("admin:tenants_tenant_end_look"))
    assert back["Location"] == reverse("admin:tenants_tenant_change", args=[acme.pk])
    assert AuditEntry.objects.filter(action="impersonation.ended", actor=operator).exists()
    assert operator_client.get(reverse("website:settings"))["Location"] == reverse("admin:index")


class WatchedProvider:
    """A payment provider that remembers what it was asked."""

    name = "stripe"
    takes_cards = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, operation: str) -> object:
        self.asked.append(operation)
        raise AssertionError(f"the payment provider was asked to {operation}")


@pytest.fixture
def provider(settings, monkeypatch) -> WatchedProvider:
    settings.STRIPE_SECRET_KEY = "sk_test_none"
    watched = WatchedProvider()
    monkeypatch.setattr(payments, "_stripe", lambda: watched)
    return watched


@pytest.fixture
def unfinished(of_acme, acme) -> None:
    """Acme's version is being sent in parts; a card is saved, and a payment waits for a person."""
    files = {"adapter_config.json": 700, "adapter_model.safetensors": 40 * 1024**2}
    version = AdapterVersion.objects.filter(pk=of_acme["version_id"])
    version.update(status="uploading", files=files, multipart=parts.plan_parts(files))
    PaymentAccount.objects.create(tenant=acme, customer_id="cus_acme", payment_method_id="pm_acme")
    Payment.objects.filter(pk=of_acme["payment_id"]).update(state="open", provider="stripe", reference="cs_1")
    Payment.objects.create(
        tenant=acme, purpose="top_up", amount_nanousd=9 * NANO, provider="stripe", customer_id="cus_acme"
    )


def all_rows() -> dict[str, list[dict]]:
    """Return every row of the database, but for sessions and for who looked at what."""
    models = [model for model in apps.get_models() if model._meta.app_label not in OF_THE_SESSION]
    models.remove(AuditEntry)
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in models}


@pytest.mark.usefixtures("unfinished")
@pytest.mark.long
def test_an_open_upload_and_a_saved_customer_stay_as_they_are(looking_client, of_acme, provider):
    before = all_rows()
    entries = AuditEntry.objects.count()
    for name in ALL:
        address = address_of(name, of_acme)
        for method in ("get", "post", "put", "patch", "delete"):
            answer = getattr(looking_client, method)(address)
            assert answer.status_code < 500, (name, method)
            shown = b"" if answer.streaming else answer.content
            assert not any(word in shown for word in (*SIGNED, b"cus_acme", b"pm_acme")), (name, method)
    assert provider.asked == []
    assert all_rows() == before
    assert AuditEntry.objects.count() == entries


@pytest.mark.long
def test_every_page_opens_and_no_form_or_operation_does_anything(looking_client, of_acme, acme):
    secrets = ("sealed_secret", acme.keys.exclude(digest="").values_list("digest", flat=True).first())
    opened = 0
    for name in ALL:
        address = address_of(name, of_acme)
        answer = looking_client.get(address)
        assert answer.status_code < 500, name
        if answer.status_code == 200 and not answer.streaming:
            opened += 1
            assert not any(secret and secret.encode() in answer.content for secret in secrets), name
        for method in ("post", "put", "patch", "delete"):
            refused = getattr(looking_client, method)(address, {}, content_type="application/json")
            assert refused.status_code == 403, (name, method)
            if name.startswith(API):
                assert "nothing can be changed" in refused.text, name
    assert opened > 30


def test_a_refused_form_says_so(looking_client):
    form = reverse("website:edit_workspace")
    page = looking_client.post(form, {"name": "X"}, headers={"Accept": "text/html"})
    assert page.status_code == 403
    assert "Nothing was changed" in page.text
    asked = looking_client.post(form, headers={"Accept": "application/json"})
    assert "nothing can be changed" in json.loads(asked.text)["errors"]["__all__"][0]


def test_the_console_works_meanwhile_and_the_look_ends_by_itself(looking_client, acme, monkeypatch):
    suspend = {"action": "suspend", "_selected_action": [acme.pk], "confirmed": "1", "why": "Spam"}
    looking_client.post(reverse("admin:tenants_tenant_changelist"), suspend)
    assert Tenant.objects.get(pk=acme.pk).suspended_at
    later = time.time() + impersonation.IMPERSONATION_LASTS_S + 1
    monkeypatch.setattr(impersonation.time, "time", lambda: later)
    page = looking_client.get(reverse("website:settings"))
    assert page["Location"] == reverse("admin:index")
    assert AuditEntry.objects.get(action="impersonation.ended").reason == "Time expired."


def test_who_is_no_operator_any_more_sees_nothing(looking_client, operator):
    User.objects.filter(pk=operator.pk).update(is_staff=False, is_superuser=False)
    answer = looking_client.get(reverse("website:settings"))
    assert answer.status_code == 302
    assert "settings" not in answer["Location"]


def test_who_may_look(alice_client, acme, charlies):
    assert alice_client.get(look_page(charlies)).status_code == 302
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    client = Client()
    client.force_login(clerk, backend="allauth.account.auth_backends.AuthenticationBackend")
    clerk.groups.set(Group.objects.filter(name="Engineer"))
    assert client.post(look_page(acme), SURE).status_code == 403
    clerk.groups.set(Group.objects.filter(name="Support"))
    assert client.post(look_page(acme), SURE).status_code == 302
