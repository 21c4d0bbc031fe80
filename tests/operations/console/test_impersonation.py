"""An operator impersonates a workspace's owner, and changes nothing there."""

import json
import time

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from adapters.models import AdapterVersion
from adapters.uploads import parts
from billing.models import Payment, PaymentAccount
from billing.payments import payments
from core.money import NANO
from tenants import current
from tenants.models import AuditEntry, Membership, Tenant, User
from tests.config.addresses import ALL, API, address_of
from tests.config.rows import Rows, changes_between, read_rows
from tests.config.things import Arguments
from tests.operations.builders import clerk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SURE = {"confirmed": "1", "why": "ticket 12"}
SIGNED = (b"x-amz-signature", b"X-Amz-Signature")
OF_THE_SESSION = {"sessions", "usersessions"}


def impersonate_page(tenant: Tenant) -> str:
    return reverse("admin:tenants_tenant_impersonate", args=[tenant.pk])


@pytest.fixture
def impersonating_client(operator_client: Client, acme: Tenant) -> Client:
    assert operator_client.post(impersonate_page(acme), SURE)["Location"] == reverse("member_home")
    return operator_client


def test_an_impersonation_asks_why_shows_a_banner_and_is_written_down(operator_client, operator, acme):
    asked = operator_client.get(impersonate_page(acme))
    assert "secrets are hidden" in asked.text
    assert operator_client.post(impersonate_page(acme), {"confirmed": "1", "why": " "}).status_code == 200
    assert not AuditEntry.objects.exists()

    operator_client.post(impersonate_page(acme), SURE)
    page = operator_client.get(reverse("website:settings"))
    assert "viewing <strong>Acme</strong> as its owner until" in page.text
    assert not Membership.objects.filter(user=operator).exists()
    began = AuditEntry.objects.get(action="impersonation.begun")
    assert (began.actor, began.object_id, began.reason) == (operator, str(acme.pk), "ticket 12")

    back = operator_client.post(reverse("admin:tenants_tenant_end_impersonation"))
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


def lay_unfinished(of_acme: Arguments, acme: Tenant) -> None:
    """Let Acme's version be sent in parts, a card be saved, and a payment wait for a person."""
    files = {"adapter_config.json": 700, "adapter_model.safetensors": 40 * 1024**2}
    version = AdapterVersion.objects.filter(pk=of_acme["version_id"])
    version.update(status="uploading", files=files, multipart=parts.plan_parts(files))
    PaymentAccount.objects.create(tenant=acme, customer_id="cus_acme", payment_method_id="pm_acme")
    Payment.objects.filter(pk=of_acme["payment_id"]).update(state="open", provider="stripe", reference="cs_1")
    Payment.objects.create(
        tenant=acme, purpose="top_up", amount_nanousd=9 * NANO, provider="stripe", customer_id="cus_acme"
    )


def all_rows() -> Rows:
    """Return every row of the database, but for sessions."""
    return read_rows(model for model in apps.get_models() if model._meta.app_label not in OF_THE_SESSION)


def faults_of_pages(client: Client, of_acme: Arguments, acme: Tenant) -> list[str]:
    """Return which address fails or shows a secret. Most must open."""
    secrets = [*SIGNED, b"sealed_secret", b"cus_acme", b"pm_acme"]
    secrets += [key.digest.encode() for key in acme.keys.filter(digest__gt="")]
    faults = []
    opened = 0
    for name in ALL:
        answer = client.get(address_of(name, of_acme))
        opened += answer.status_code == 200
        shown = b"" if answer.streaming else answer.content
        if answer.status_code >= 500 or any(secret in shown for secret in secrets):
            faults.append(f"{name} fails or shows a secret: {answer.status_code}")
    assert opened > 30
    return faults


def test_every_page_opens_and_no_form_or_operation_does_anything(
    impersonating_client, of_acme, acme, provider
):
    faults = faults_of_pages(impersonating_client, of_acme, acme)
    lay_unfinished(of_acme, acme)
    before = all_rows()
    faults += faults_of_pages(impersonating_client, of_acme, acme)
    for name in ALL:
        for method in ("post", "put", "patch", "delete"):
            sent = {"content_type": "application/json"} if name.startswith(API) or method != "post" else {}
            refused = getattr(impersonating_client, method)(address_of(name, of_acme), {}, **sent)
            if refused.status_code != 403:
                faults.append(f"{method} {name} is answered {refused.status_code}")
            if name.startswith(API) and "nothing can be changed" not in refused.text:
                faults.append(f"{method} {name} does not say that nothing can be changed")
    assert faults == [], "\n".join(faults)
    assert provider.asked == []
    assert changes_between(before, all_rows()) == []


def test_a_refused_form_says_so(impersonating_client):
    form = reverse("website:edit_workspace")
    page = impersonating_client.post(form, {"name": "X"}, headers={"Accept": "text/html"})
    assert page.status_code == 403
    assert "Nothing was changed" in page.text
    asked = impersonating_client.post(form, headers={"Accept": "application/json"})
    assert "nothing can be changed" in json.loads(asked.text)["errors"]["__all__"][0]


def test_the_console_works_meanwhile_and_it_ends_by_itself(impersonating_client, acme, monkeypatch):
    suspend = {"action": "suspend", "_selected_action": [acme.pk], "confirmed": "1", "why": "Spam"}
    impersonating_client.post(reverse("admin:tenants_tenant_changelist"), suspend)
    assert Tenant.objects.get(pk=acme.pk).suspended_at
    later = time.time() + current.IMPERSONATION_LASTS_S + 1
    monkeypatch.setattr(current.time, "time", lambda: later)
    page = impersonating_client.get(reverse("website:settings"))
    assert page["Location"] == reverse("admin:index")
    assert AuditEntry.objects.get(action="impersonation.ended").reason == "Time expired."


def test_who_is_no_operator_any_more_sees_nothing(impersonating_client, operator):
    User.objects.filter(pk=operator.pk).update(is_staff=False, is_superuser=False)
    answer = impersonating_client.get(reverse("website:settings"))
    assert answer.status_code == 302
    assert "settings" not in answer["Location"]


def test_who_may_impersonate(alice_client, acme, charlies):
    assert alice_client.get(impersonate_page(charlies)).status_code == 302
    assert clerk("Engineer").post(impersonate_page(acme), SURE).status_code == 403
    assert clerk("Support").post(impersonate_page(acme), SURE).status_code == 302
