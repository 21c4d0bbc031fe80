"""Payments against a fake Stripe: lost answers, replays, wrong order, forged events, declines."""

import re
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F, Sum
from django.urls import reverse
from django.utils import timezone

from billing.invoices import invoices
from billing.invoices.credit_notes import issue_credit_note
from billing.models import Payment, PaymentAccount, PaymentEvent
from billing.payments import auto_top_up, payments
from billing.payments.providers import MAX_FAILURES, NoSavedCard, ProviderUnavailable
from billing.payments.stripe_provider import StripeProvider
from core import months
from core.money import NANO
from events.models import NoticeMail, OutboxEvent
from metering.credits import credits_left
from metering.models import CreditGrant, Invoice, LedgerEntry, PlanVersion
from tenants.models import AuditEntry
from tests.billing.builders import STRIPE_KEY, STRIPE_SECRET, api_client, deliver
from tests.fakes import fake_stripe
from tests.racing import race
from tests.tenants.builders import owner_of

TOP_UP = 25 * NANO


@pytest.fixture(autouse=True)
def credits_count(db) -> None:
    """The free plan has tokens beyond the included ones: credits pay for them."""
    PlanVersion.objects.filter(plan="free").update(monthly_tokens=10**9)


def begin(acme, payment_id=None, amount=TOP_UP):
    return payments.begin_top_up(amount, by=owner_of(acme), payment_id=payment_id or uuid4())


def left(acme):
    return credits_left(acme, months.current())


def paid_account(acme, stripe):
    """Let Acme have paid by card once, so that a card is saved; its credits are those $25."""
    payment = begin(acme)
    stripe.pay(payment.reference)
    payments.refresh_payment(payment)
    return PaymentAccount.objects.get(tenant=acme)


def automatic(acme, stripe):
    """Let Acme have $25, and top up $30 whenever less than $30 is left."""
    account = paid_account(acme, stripe)
    set_auto(acme, 30 * NANO, 30 * NANO)
    return account


def set_auto(acme, threshold, amount):
    return auto_top_up.set_auto_top_up(threshold_nanousd=threshold, amount_nanousd=amount, by=owner_of(acme))


def begin_payment(invoice):
    return payments.begin_invoice_payment(invoice, by=owner_of(invoice.tenant))


def charges(stripe):
    return [path for method, path, _ in stripe.requests if (method, path) == ("POST", "/v1/payment_intents")]


def test_a_top_up_is_paid_at_stripe_and_counts_once_however_it_is_told(client, alice_client, acme, stripe):
    form = {"amount_nanousd": "25", "payment": str(uuid4())}
    answer = alice_client.post(reverse("billing:top_up"), form)
    page = alice_client.get(answer["Location"]).text
    payment = Payment.objects.get()
    assert payment.url in page
    assert left(acme) == 0
    session = stripe.pay(payment.reference)
    completed = stripe.event("checkout.session.completed", session)
    intent = stripe.things[session["payment_intent"]]
    for payload in (completed, completed, stripe.event("payment_intent.succeeded", intent)):
        assert deliver(client, payload).status_code == 200
    assert "Thank you." in alice_client.get(answer["Location"]).text
    assert left(acme) == TOP_UP
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.amount_nanousd) == ("payment", -TOP_UP)
    assert PaymentEvent.objects.count() == 2
    assert OutboxEvent.objects.filter(type="payment.succeeded").count() == 1
    assert AuditEntry.objects.filter(action="payment.begun").count() == 1


def test_events_that_come_in_the_wrong_order_change_nothing_that_is_true(client, acme, stripe):
    payment = begin(acme)
    before = stripe.event("checkout.session.expired", dict(stripe.things[payment.reference]))
    session = stripe.pay(payment.reference)
    assert deliver(client, stripe.event("checkout.session.completed", session)).status_code == 200
    assert deliver(client, before).status_code == 200
    payment.refresh_from_db()
    assert (payment.state, left(acme)) == ("succeeded", TOP_UP)


def test_what_an_event_claims_is_not_believed(client, acme, stripe):
    payment = begin(acme)
    claimed = {**stripe.things[payment.reference], "payment_status": "paid", "amount_total": 10**9}
    assert deliver(client, stripe.event("checkout.session.completed", claimed)).status_code == 200
    payment.refresh_from_db()
    assert (payment.state, left(acme)) == ("open", 0)


@pytest.mark.parametrize(
    "forge",
    [
        lambda payload: "",
        lambda payload: "nonsense",
        lambda payload: fake_stripe.sign(payload, "whsec_other"),
        lambda payload: fake_stripe.sign(payload + b" ", STRIPE_SECRET),
        lambda payload: fake_stripe.sign(payload, STRIPE_SECRET, at=time.time() - 3600),
    ],
)
def test_an_event_without_a_good_signature_is_refused(client, acme, stripe, forge):
    payment = begin(acme)
    payload = stripe.event("checkout.session.completed", stripe.pay(payment.reference))
    asked = len(stripe.requests)
    assert deliver(client, payload, forge(payload)).status_code == 400
    assert len(stripe.requests) == asked
    assert left(acme) == 0


def test_events_of_others_are_taken_and_forgotten(client, stripe, db):
    for thing in (
        {"object": "charge"},
        {"metadata": {"payment": "7"}},
        {"metadata": {"payment": str(uuid4())}},
    ):
        assert deliver(client, stripe.event("charge.refunded", thing)).status_code == 200
    assert not PaymentEvent.objects.exists()


def test_while_stripe_is_away_an_event_is_sent_again_and_counts_then(client, acme, stripe):
    payment = begin(acme)
    payload = stripe.event("checkout.session.completed", stripe.pay(payment.reference))
    stripe.is_away = True
    assert deliver(client, payload).status_code == 503
    stripe.is_away = False
    assert deliver(client, payload).status_code == 200
    assert left(acme) == TOP_UP


def test_a_lost_answer_is_asked_for_again_and_makes_no_second_checkout(acme, stripe):
    payment_id = uuid4()
    stripe.lost_answers = 2  # the customer's, then the checkout's
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            begin(acme, payment_id)
    payment = begin(acme, payment_id)
    assert payment.reference
    assert (len(stripe.made("customer")), len(stripe.made("checkout.session"))) == (1, 1)
    assert Payment.objects.count() == 1


def test_the_sweep_finds_what_no_event_told(acme, stripe):
    payment = begin(acme)
    stripe.pay(payment.reference)
    later = timezone.now() + timedelta(minutes=11)
    assert payments.sweep_payments(later) == 1
    assert left(acme) == TOP_UP
    assert payments.sweep_payments(later) == 0


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_checkout_and_both_see_it(acme, stripe, valkey):
    payment_id = uuid4()

    references = set(race(*[lambda: begin(acme, payment_id).reference] * 4))
    assert references == {stripe.made("checkout.session")[0]["id"]}
    assert len(stripe.made("checkout.session")) == 1
    assert Payment.objects.count() == 1


def test_another_amount_at_stripe_gives_nothing(acme, stripe, caplog):
    payment = begin(acme)
    stripe.pay(payment.reference)["amount_total"] = 100
    assert payments.refresh_payment(payment).state == "open"
    assert left(acme) == 0
    assert "payment_amount_differs" in caplog.text


def test_an_expired_checkout_is_canceled_and_money_that_came_after_all_counts(acme, stripe):
    payment = begin(acme)
    stripe.expire(payment.reference)
    assert payments.refresh_payment(payment).state == "canceled"
    stripe.pay(payment.reference)
    assert payments.refresh_payment(payment).state == "succeeded"
    assert left(acme) == TOP_UP


def test_an_invoice_is_paid_by_card_and_what_it_does_not_need_becomes_credits(alice_client, invoice, stripe):
    begun = [alice_client.post(reverse("billing:pay_invoice", args=[invoice.pk])) for _ in range(2)]
    assert begun[0]["Location"] == begun[1]["Location"]
    payment = Payment.objects.get()
    assert payment.amount_nanousd == 12 * NANO
    issue_credit_note(invoice, 2 * NANO, settlement="owed", reason="Outage", actor="op")
    stripe.pay(payment.reference)
    payments.refresh_payment(payment)
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert CreditGrant.objects.get(source="top_up").amount_nanousd == 2 * NANO
    balance = LedgerEntry.objects.filter(tenant=invoice.tenant).aggregate(total=Sum("amount_nanousd"))
    assert balance["total"] == -2 * NANO  # the credits


def test_an_invoice_with_a_new_credit_note_is_asked_for_less(invoice, stripe):
    first = begin_payment(invoice)
    issue_credit_note(invoice, 2 * NANO, settlement="owed", reason="Outage", actor="op")
    second = begin_payment(invoice)
    assert second.amount_nanousd == 10 * NANO
    assert stripe.things[first.reference]["status"] == "expired"


def test_an_invoice_that_is_paid_while_its_checkout_is_canceled_is_not_asked_for_again(
    invoice, stripe, monkeypatch
):
    first = begin_payment(invoice)
    issue_credit_note(invoice, 2 * NANO, settlement="owed", reason="Outage", actor="op")
    cancel = StripeProvider.cancel

    def pay_and_cancel(provider, payment):
        stripe.pay(payment.reference)
        return cancel(provider, payment)

    monkeypatch.setattr(StripeProvider, "cancel", pay_and_cancel)
    second = begin_payment(invoice)
    assert (second.pk, second.state) == (first.pk, "succeeded")
    assert Payment.objects.count() == 1


def test_money_for_an_invoice_that_was_paid_meanwhile_becomes_credits(invoice, stripe):
    payment = begin_payment(invoice)
    invoices.pay_invoice(Invoice.objects.get(pk=invoice.pk), actor="op", reason="Transfer 7")
    stripe.pay(payment.reference)
    payments.refresh_payment(payment)
    assert CreditGrant.objects.get().amount_nanousd == 12 * NANO


def test_few_credits_are_topped_up_with_the_saved_card_one_at_a_time(acme, stripe):
    automatic(acme, stripe)
    now = timezone.now()
    assert auto_top_up.top_up_due(now) == 1
    assert left(acme) == 55 * NANO
    assert auto_top_up.top_up_due(now) == 0
    charged = stripe.made("payment_intent")[-1]
    assert (charged["amount"], charged["payment_method"]) == (3000, "pm_card")


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_charge_once(acme, stripe, valkey):
    automatic(acme, stripe)
    race(*[lambda: auto_top_up.top_up_due(timezone.now())] * 4)
    assert left(acme) == 55 * NANO
    assert len(stripe.made("payment_intent")) == 2


def test_after_a_decline_it_waits_longer_each_time_tells_the_owner_and_stops(acme, alice, stripe):
    automatic(acme, stripe)
    stripe.declines = True
    now = timezone.now()
    waits = []
    for _ in range(MAX_FAILURES):
        assert auto_top_up.top_up_due(now) == 1
        account = PaymentAccount.objects.get()
        waits.append(account.retry_at - Payment.objects.latest("created_at").closed_at)
        assert auto_top_up.top_up_due(account.retry_at - timedelta(minutes=1)) == 0
        now = account.retry_at + timedelta(seconds=1)
    assert [round(wait / timedelta(hours=1)) for wait in waits] == [1, 6, 24, 72, 72]
    assert auto_top_up.top_up_due(now + timedelta(days=30)) == 0
    failed = Payment.objects.filter(state="failed")
    assert failed.count() == MAX_FAILURES
    assert {str(payment.failure) for payment in failed} == {fake_stripe.DECLINE}
    assert OutboxEvent.objects.filter(type="payment.failed").count() == MAX_FAILURES
    assert NoticeMail.objects.filter(membership__user=alice, event__type="payment.failed").exists()
    assert all(intent["status"] == "canceled" for intent in stripe.made("payment_intent")[1:])
    stripe.declines = False
    set_auto(acme, 30 * NANO, 30 * NANO)
    assert auto_top_up.top_up_due(now) == 1
    assert left(acme) == 55 * NANO


def test_a_decline_that_is_told_again_counts_once(client, acme, stripe):
    automatic(acme, stripe)
    stripe.declines = True
    auto_top_up.top_up_due(timezone.now())
    intent = stripe.made("payment_intent")[-1]
    for event_type in ("payment_intent.payment_failed", "payment_intent.canceled"):
        assert deliver(client, stripe.event(event_type, intent)).status_code == 200
    assert PaymentAccount.objects.get().failures == 1
    assert OutboxEvent.objects.filter(type="payment.failed").count() == 1


def test_a_charge_whose_answer_got_lost_is_found_and_not_made_twice(acme, stripe):
    automatic(acme, stripe)
    stripe.lost_answers = 1
    now = timezone.now()
    assert auto_top_up.top_up_due(now) == 1
    assert left(acme) == 25 * NANO
    assert auto_top_up.top_up_due(now) == 0  # one is open
    assert payments.sweep_payments(now + timedelta(minutes=3)) == 1
    assert left(acme) == 55 * NANO
    assert len(stripe.made("payment_intent")) == 2


def test_without_a_saved_card_nothing_is_automatic(acme, stripe):
    with pytest.raises(NoSavedCard):
        set_auto(acme, NANO, 10 * NANO)


def test_the_page_of_credits_has_each_id_once_and_leads_to_stripes_portal(alice_client, acme, stripe):
    paid_account(acme, stripe)
    page = alice_client.get(reverse("billing:credits")).text
    ids = re.findall(r' id="([^"]+)"', page)
    assert "id_auto_amount_nanousd" in ids
    assert len(ids) == len(set(ids))
    assert alice_client.get(reverse("billing:payment_portal"))["Location"] == "https://billing.example.com/p"


def test_no_log_and_no_page_has_the_key(alice_client, acme, stripe, caplog):
    caplog.set_level("DEBUG")
    paid_account(acme, stripe)
    stripe.is_away = True
    form = {"amount_nanousd": "25", "payment": str(uuid4())}
    answer = alice_client.post(reverse("billing:top_up"), form)
    assert answer.status_code == 400
    assert "isn&#x27;t responding. You were not charged" in answer.text
    assert STRIPE_KEY not in answer.text
    for record in caplog.records:
        assert STRIPE_KEY not in str(record.__dict__)


def test_without_keys_there_is_no_address_for_events(client, db):
    assert client.post(reverse("billing:stripe_events"), b"{}", content_type="text/plain").status_code == 404


def test_the_api_begins_one_top_up_a_key_and_shows_credits(acme, stripe):
    program = api_client(acme, "admin")

    def buy(nanousd):
        options = {"content_type": "application/json", "headers": {"Idempotency-Key": "november"}}
        return program.post("/api/v1/billing/top-ups", {"amount_nanousd": nanousd}, **options)

    first = buy(TOP_UP)
    assert first.status_code == 201
    assert buy(TOP_UP).json()["id"] == first.json()["id"]
    other = buy(10 * NANO)
    assert (other.status_code, other.json()["code"]) == (409, "other_payment")
    stripe.pay(Payment.objects.get().reference)
    payments.refresh_payment(Payment.objects.get())
    held = program.get("/api/v1/billing/credits").json()
    assert (held["left_usd"], held["grants"][0]["source"]) == ("25.00", "top_up")
    assert program.get("/api/v1/payments").json()["data"][0]["state"] == "succeeded"


def test_a_late_event_of_a_top_up_that_was_given_up_counts_and_charges_nothing(client, acme, stripe):
    automatic(acme, stripe)
    stripe.lost_answers = 1
    now = timezone.now()
    auto_top_up.top_up_due(now)
    payments.sweep_payments(now + timedelta(hours=21))
    assert Payment.objects.get(purpose="auto_top_up").state == "canceled"
    stripe.kept.clear()  # Stripe forgets idempotency keys
    intent = stripe.made("payment_intent")[-1]
    for event_type in ("payment_intent.created", "payment_intent.succeeded"):
        assert deliver(client, stripe.event(event_type, intent)).status_code == 200
    assert len(charges(stripe)) == 1
    assert left(acme) == 55 * NANO
    assert Payment.objects.get(purpose="auto_top_up").reference == intent["id"]


def test_an_event_that_names_anothers_object_counts_for_nothing(client, acme, stripe):
    automatic(acme, stripe)
    stripe.lost_answers = 1
    auto_top_up.top_up_due(timezone.now())
    payment = Payment.objects.get(purpose="auto_top_up")
    others = stripe.made("payment_intent")[0]
    claimed = {**others, "metadata": {"payment": str(payment.pk)}}
    assert deliver(client, stripe.event("payment_intent.succeeded", claimed)).status_code == 200
    payment.refresh_from_db()
    assert (payment.state, payment.reference) == ("open", "")
    assert len(charges(stripe)) == 1


def test_a_checkout_that_was_given_up_counts_when_it_is_paid_after_all(client, acme, stripe):
    begin(acme)  # makes the customer
    stripe.lost_answers = 1
    with pytest.raises(ProviderUnavailable):
        begin(acme)
    payment = Payment.objects.get(reference="")
    stripe.is_away = True
    payments.sweep_payments(timezone.now() + timedelta(hours=21))
    payment.refresh_from_db()
    assert payment.state == "canceled"
    stripe.is_away = False
    session = stripe.pay(stripe.made("checkout.session")[-1]["id"])
    assert deliver(client, stripe.event("checkout.session.completed", session)).status_code == 200
    assert left(acme) == TOP_UP


@pytest.mark.parametrize(
    "change", [{"state": "canceled"}, {"created_at": timezone.now() - timedelta(hours=21)}]
)
def test_what_is_closed_or_old_is_never_charged(acme, stripe, change):
    paid_account(acme, stripe)
    payment = Payment.objects.create(
        tenant=acme, purpose="auto_top_up", amount_nanousd=TOP_UP, provider="stripe"
    )
    Payment.objects.filter(pk=payment.pk).update(**change)
    payments.charge(payment)
    assert charges(stripe) == []


def test_a_repeated_charge_has_the_same_card_though_another_was_chosen_meanwhile(acme, stripe):
    account = automatic(acme, stripe)
    stripe.lost_answers = 1
    now = timezone.now()
    auto_top_up.top_up_due(now)
    customer = stripe.things[account.customer_id]
    customer["invoice_settings"]["default_payment_method"] = "pm_new"
    payments.sweep_payments(now + timedelta(minutes=3))
    assert Payment.objects.get(purpose="auto_top_up").state == "succeeded"
    assert left(acme) == 55 * NANO


def test_a_threshold_above_the_amount_is_refused(acme, stripe):
    paid_account(acme, stripe)
    with pytest.raises(auto_top_up.ThresholdAboveAmount):
        set_auto(acme, 30 * NANO, 10 * NANO)


def test_a_day_has_three_top_ups_and_then_the_owner_is_told(acme, alice, stripe, monkeypatch):
    automatic(acme, stripe)
    monkeypatch.setattr(auto_top_up, "credits_left", lambda tenant, period: 0)
    now = timezone.now()
    assert [auto_top_up.top_up_due(now) for _ in range(6)] == [1, 1, 1, 0, 0, 0]
    assert len(charges(stripe)) == 3
    told = Payment.objects.get(state="failed")
    assert "limit of 3 automatic top-ups per day" in str(told.failure)
    assert NoticeMail.objects.filter(membership__user=alice, event__type="payment.failed").count() == 1
    assert PaymentAccount.objects.get().failures == 0
    assert auto_top_up.top_up_due(now + timedelta(hours=25)) == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"overage_allowed": True}, auto_top_up.UsageIsInvoiced),
        ({"monthly_tokens": F("included_tokens")}, auto_top_up.NothingToPay),
    ],
)
def test_where_credits_buy_nothing_no_card_is_charged(acme, stripe, change, refusal):
    automatic(acme, stripe)
    PlanVersion.objects.update(**change)
    assert auto_top_up.top_up_due(timezone.now()) == 0
    assert charges(stripe) == []
    with pytest.raises(refusal):
        set_auto(acme, 30 * NANO, 30 * NANO)
    set_auto(acme, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"overage_allowed": True}, "so we don\u2019t buy credits automatically."),
        ({"monthly_tokens": F("included_tokens")}, "Free includes all its tokens, so we don\u2019t buy"),
    ],
)
def test_the_page_shows_automatic_top_ups_only_where_they_do_something(
    alice_client, acme, stripe, change, said
):
    page = alice_client.get(reverse("billing:credits")).text
    assert (
        "use that card to buy credits when you\u2019re running low, at most 3 times within 24 hours" in page
    )
    automatic(acme, stripe)
    page = alice_client.get(reverse("billing:credits")).text
    assert "We charge the card from your last payment, at most 3 times within 24 hours." in page
    PlanVersion.objects.update(**change)
    page = alice_client.get(reverse("billing:credits")).text
    assert said in page
    assert "Leave both fields empty" not in page
    assert "Your settings are kept" in page
    off = {"threshold_nanousd": "", "amount_nanousd": ""}
    assert alice_client.post(reverse("billing:auto_top_up"), off).status_code == 302
    assert "Your settings are kept" not in alice_client.get(reverse("billing:credits")).text


def test_the_page_says_when_the_next_one_can_come(alice_client, acme, stripe):
    automatic(acme, stripe)
    PaymentAccount.objects.update(retry_at=timezone.now() + timedelta(hours=9))
    assert "Credits were bought 3 times within 24 hours." in alice_client.get(reverse("billing:credits")).text


def second_account(charlie, account):
    tenant = charlie.memberships.get().tenant
    return PaymentAccount.objects.create(
        tenant=tenant,
        customer_id=account.customer_id,
        payment_method_id=account.payment_method_id,
        threshold_nanousd=30 * NANO,
        amount_nanousd=30 * NANO,
    )


def test_settings_that_change_while_it_runs_count(acme, charlie, stripe, monkeypatch):
    second_account(charlie, automatic(acme, stripe))
    charge = payments.charge

    def switch_others_off(payment):
        others = PaymentAccount.objects.exclude(tenant=payment.tenant)
        others.update(threshold_nanousd=None, amount_nanousd=None)
        return charge(payment)

    monkeypatch.setattr(payments, "charge", switch_others_off)
    assert auto_top_up.top_up_due(timezone.now()) == 1
    assert len(charges(stripe)) == 1


def test_a_top_up_that_breaks_leaves_the_others_their_own(acme, charlie, stripe, monkeypatch):
    second_account(charlie, automatic(acme, stripe))
    broken = Payment.objects.filter(tenant=acme)
    charge = payments.charge

    def break_acmes(payment):
        if payment.tenant_id == acme.pk:
            raise RuntimeError("broken")
        return charge(payment)

    monkeypatch.setattr(payments, "charge", break_acmes)
    auto_top_up.top_up_due(timezone.now())
    assert len(charges(stripe)) == 1
    assert payments.sweep_payments(timezone.now() + timedelta(minutes=30)) == 0
    assert broken.get(purpose="auto_top_up").state == "open"


def test_a_delayed_payment_that_fails_frees_its_invoice(client, invoice, stripe):
    payment = begin_payment(invoice)
    intent = stripe.pay_later(payment.reference)
    assert payments.refresh_payment(payment).state == "open"
    intent["status"] = "requires_payment_method"
    session = stripe.things[payment.reference]
    assert deliver(client, stripe.event("checkout.session.async_payment_failed", session)).status_code == 200
    payment.refresh_from_db()
    assert payment.state == "failed"
    again = begin_payment(invoice)
    assert again.reference != payment.reference


def test_a_card_that_was_removed_fails_tells_the_owner_and_is_forgotten(acme, alice, stripe):
    automatic(acme, stripe)
    stripe.detach()
    auto_top_up.top_up_due(timezone.now())
    payment = Payment.objects.get(purpose="auto_top_up")
    assert (payment.state, "was removed" in str(payment.failure)) == ("failed", True)
    account = PaymentAccount.objects.get()
    assert (account.payment_method_id, account.failures) == ("", 1)
    assert account.customer_id
    assert NoticeMail.objects.filter(membership__user=alice, event__type="payment.failed").exists()


def test_a_customer_that_was_deleted_fails_and_is_forgotten(acme, stripe):
    stripe.delete_customer(automatic(acme, stripe).customer_id)
    auto_top_up.top_up_due(timezone.now())
    assert Payment.objects.get(purpose="auto_top_up").state == "failed"
    account = PaymentAccount.objects.get()
    assert (account.customer_id, account.payment_method_id) == ("", "")
    assert charges(stripe) == []
