"""No address shows or changes another workspace's things: made from the URLconf, so new pages are covered."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from adapters.models import AdapterVersion, BaseModel, Share, Style
from billing.models import CreditNote, Payment
from core.money import NANO
from tenants.models import (
    Invitation,
    Invoice,
    Membership,
    OutboxEvent,
    Tenant,
    WebhookDelivery,
    WebhookEndpoint,
)
from tenants.public import create_tenant, issue_key

# Of other packages, which have rules and tests of their own: who is signed in, and the console.
OTHERS = ("accounts/", "console/")
SEEN_BY_ALL = {
    "home", "healthz", "readyz", "script_words", "security_txt", "mailbox", "mail_html", "api_schema",
    "api_reference", "prices", "guides", "guide", "status", "terms", "privacy",
    "unsubscribe",  # its token is what lets a person in
    "join",  # the token of an invitation is what lets a person in
    "logins", "redeem_login",  # the code, and who confirms it, let a program in
    "stripe_events",  # its signature is what lets Stripe in
}  # fmt: skip


def addresses(
    resolver: URLResolver, prefix: str = "", namespace: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of every address, with its arguments."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if route.startswith(OTHERS):
            continue
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else namespace
            yield from addresses(entry, route, inner)
        elif isinstance(entry, URLPattern) and entry.name and entry.name not in SEEN_BY_ALL:
            yield namespace + str(entry.name), list(entry.pattern.converters)


# A word that an address does not know is 404 to the owner, too.
ACTIONS = {"adapters:offer": "offer", "adapters:change_share": "revoke"}
ALL = dict(addresses(get_resolver()))
API = "api:"
METHODS = ("get", "post", "put", "patch", "delete")
WITH_ARGUMENTS = {name: arguments for name, arguments in ALL.items() if arguments}


@pytest.fixture
def of_acme(acme: Tenant, alice, charlies: Tenant) -> dict[str, object]:
    """Return the arguments that name Acme's things; a share of them is with a third workspace."""
    base_model = BaseModel.objects.create(name="base", config={}, modules={})
    style = Style.objects.create(owner=acme, slug="secret", name="Secret", base_model=base_model)
    version = AdapterVersion.objects.create(style=style, number=1)
    key, _ = issue_key(acme, name="laptop", by=alice)
    third = create_tenant(alice, name="Third")
    share = Share.objects.create(style=style, tenant=third)
    endpoint = WebhookEndpoint.objects.create(tenant=acme, url="https://example.com/", sealed_secret="none")
    event = OutboxEvent.objects.create(tenant=acme, type="webhook.test", object={})
    sent = WebhookDelivery.objects.create(endpoint=endpoint, event=event)
    invoice = Invoice.objects.create(
        tenant=acme, period="2026-10", state="paid", number=1, plan="Free v1", total_nanousd=0
    )
    note = CreditNote.objects.create(
        invoice=invoice,
        number=1,
        amount_nanousd=1,
        settlement="refund",
        created_at=invoice.created_at,
    )
    payment = Payment.objects.create(
        tenant=acme, purpose="top_up", amount_nanousd=5 * NANO, provider="manual", state="canceled"
    )
    invitation = Invitation.objects.create(
        tenant=acme, email="eve@example.org", digest="0" * 64, expires_at=timezone.now() + timedelta(days=3)
    )
    return {
        "workspace_id": acme.pk, "invitation_id": invitation.pk,
        "invoice_id": invoice.pk, "note_id": note.pk, "payment_id": payment.pk,
        "version_id": version.pk, "style_id": style.pk, "share_id": share.pk, "key_id": key.pk,
        "member_id": Membership.objects.get(tenant=acme).pk,
        "endpoint_id": endpoint.pk, "delivery_id": sent.public_id,
        "round_id": uuid4(), "side": "left",
        "owner": acme.slug, "slug": style.slug, "form": "json",
        "style": f"{acme.slug}/{style.slug}", "number": 1, "workspace": third.slug,
    }  # fmt: skip


def address_of(name: str, of_acme: dict[str, object]) -> str:
    """Return an address of Acme's."""
    known = {**of_acme, "action": ACTIONS.get(name)}
    return reverse(name, kwargs={argument: known[argument] for argument in ALL[name]})


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
            assert "This address only takes a form" in page.text, name
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
