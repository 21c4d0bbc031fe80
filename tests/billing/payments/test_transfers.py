"""Payment without a provider: by transfer, which operators confirm."""

from uuid import uuid4

import pytest
from django.urls import reverse

from accounts.deletion import delete_account
from billing.models import Payment
from billing.payments import auto_top_up
from billing.payments.providers import NotByProvider
from core import months
from core.money import NANO
from metering.credits import credits_left
from tenants.models import AuditEntry
from tests.tenants.builders import owner_of

SURE = {"confirmed": "1", "why": "Transfer 4711"}


def order(client, amount="25"):
    form = {"amount_nanousd": amount, "payment": str(uuid4())}
    return client.post(reverse("billing:top_up"), form)


def decide(client, action):
    rows = {"action": action, "_selected_action": [str(Payment.objects.get().pk)], **SURE}
    return client.post(reverse("admin:billing_payment_changelist"), rows)


def test_credits_are_ordered_and_come_once_an_operator_has_seen_the_money(
    alice_client, operator_client, acme, settings
):
    settings.PAYMENT_INSTRUCTIONS = "IBAN GB00 EXAM"
    page = alice_client.get(order(alice_client)["Location"]).text
    payment = Payment.objects.get()
    assert "IBAN GB00 EXAM" in page
    assert str(payment) in page
    for _ in range(2):
        decide(operator_client, "confirm")
    assert credits_left(acme, months.current()) == 25 * NANO
    assert AuditEntry.objects.filter(action="confirm", object_id=str(payment.pk)).count() == 1
    assert "Thank you." in alice_client.get(reverse("billing:payment", args=[payment.pk])).text


def test_operators_see_who_ordered_until_the_account_is_deleted(alice, alice_client, operator_client, acme):
    order(alice_client)
    email = alice.email
    address = reverse("admin:billing_payment_change", args=[Payment.objects.get().pk])
    assert email in operator_client.get(address).text
    delete_account(alice, address=None)
    page = operator_client.get(address).text
    assert "a deleted account" in page
    assert email not in page
    assert email not in str(Payment.objects.values().get())


def test_a_rejected_order_says_why_and_gives_nothing(alice_client, operator_client, acme):
    order(alice_client)
    decide(operator_client, "reject")
    payment = Payment.objects.get()
    assert payment.state == "canceled"
    assert "Transfer 4711" in alice_client.get(reverse("billing:payment", args=[payment.pk])).text
    decide(operator_client, "confirm")
    assert credits_left(acme, months.current()) == 0


@pytest.mark.parametrize("amount", ["4.99", "10000.01", "25.001", "", "-5", "much"])
def test_an_amount_that_is_no_top_up_is_refused_beside_its_field(alice_client, acme, amount):
    answer = order(alice_client, amount)
    assert answer.status_code == 400
    assert answer.context["top_up"].errors["amount_nanousd"]
    assert not Payment.objects.exists()


def test_nothing_is_automatic(acme):
    with pytest.raises(NotByProvider):
        auto_top_up.set_auto_top_up(threshold_nanousd=NANO, amount_nanousd=10 * NANO, by=owner_of(acme))
