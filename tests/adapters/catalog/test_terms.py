"""What an owner asks for with an offer: within bounds, told before, approved by operators, then in force."""

import re
from datetime import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.catalog import sharing
from adapters.catalog.terms import Terms, asked_terms, describe_terms
from adapters.errors import ChangedMeanwhile, SharePercent, TermsOutOfBounds
from adapters.models import Style
from events.models import OutboxEvent
from metering.models import StylePrice, TokenPrices
from tenants.models import AuditEntry
from tests.tenants.builders import issue_key, owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

ASKED = Terms(TokenPrices(500, 125, 2000), 20)
FORM = {
    "input_nanousd": "0.5",
    "cached_input_nanousd": "0.125",
    "output_nanousd": "2",
    "author_percent": "20",
}
TOO_CHEAP = "The price of input must be between $0.10 (the standard price) and $100.00 per million tokens"
SURE = {"confirmed": "1", "why": "A test asks for it."}


def page_of(style: Style) -> str:
    return reverse("adapters:style_sharing", args=[style.owner.slug, style.slug])


def offer_url(style: Style) -> str:
    return reverse("adapters:offer", args=[style.pk, "offer"])


def price_now(style: Style) -> StylePrice:
    return StylePrice.objects.filter(style=style.pk).latest("effective_from")


def test_an_owner_asks_an_operator_approves_and_it_counts_within_minutes(
    alice_client, operator_client, noir, acme
):
    assert alice_client.post(offer_url(noir), FORM).status_code == 302
    noir.refresh_from_db()
    assert asked_terms(noir) == ASKED
    assert not StylePrice.objects.exists()
    page = alice_client.get(page_of(noir)).text
    assert "$0.50 per million input tokens" in page
    assert "The author earns 20%" in page
    assert "$0.10 per million input tokens and $0.40 per million output tokens" in page
    listed = operator_client.get(reverse("admin:adapters_style_changelist")).text
    assert "$0.50 / $0.125 / $2.00 per million tokens, 20% to the author" in listed

    asked = {"action": "approve", "_selected_action": str(noir.pk), **SURE}
    answer = operator_client.post(reverse("admin:adapters_style_changelist"), asked, follow=True)
    assert "Approved" in answer.text
    price = price_now(noir)
    assert price.amounts == (500, 125, 2000)
    assert (price.author, price.author_percent) == (acme, 20)
    assert price.effective_from > timezone.now()
    event = OutboxEvent.objects.get(type="style.offer_decided")
    assert datetime.fromisoformat(event.facts["prices_from"]) == price.effective_from
    offered = AuditEntry.objects.get(action="style.offered")
    assert offered.after["asked_output_nanousd"] == 2000


def test_a_share_alone_is_of_the_price_of_every_style(noir):
    sharing.offer_style(owner_of(noir.owner), noir, Terms(None, 10))
    assert describe_terms(Terms(None, 10))[0].startswith("The author earns 10%")
    sharing.approve_style(noir)
    assert (price_now(noir).amounts, price_now(noir).author_percent) == (None, 10)


def test_who_asks_for_nothing_gets_no_price(noir):
    sharing.offer_style(owner_of(noir.owner), noir)
    sharing.approve_style(noir)
    assert not StylePrice.objects.exists()
    assert "prices_from" not in OutboxEvent.objects.get(type="style.offer_decided").facts


def test_offered_again_at_the_same_price_there_is_no_second_row(noir):
    sharing.offer_style(owner_of(noir.owner), noir, ASKED)
    sharing.approve_style(noir)
    sharing.set_public(noir, public=False)
    sharing.offer_style(owner_of(noir.owner), noir, ASKED)
    sharing.approve_style(noir)
    assert StylePrice.objects.count() == 1


def test_what_is_out_of_bounds_is_refused_and_changes_nothing(noir):
    for asked, error, said in (
        (Terms(TokenPrices(99, 25, 400), 0), TermsOutOfBounds, re.escape(TOO_CHEAP)),
        (
            Terms(TokenPrices(100, 25, 100_001)),
            TermsOutOfBounds,
            r"The price of output must be between \$0\.40",
        ),
        (
            Terms(TokenPrices(100, 24, 400)),
            TermsOutOfBounds,
            r"The price of cached input must be between \$0\.025",
        ),
        (Terms(None, 51), SharePercent, "between 0 and 50%"),
    ):
        with pytest.raises(error, match=said):
            sharing.offer_style(owner_of(noir.owner), noir, asked)
        noir.refresh_from_db()
        assert asked_terms(noir) == Terms()
        assert noir.offered_at is None


def test_the_form_says_beside_the_field_what_is_wrong_and_keeps_what_was_typed(alice_client, noir):
    for field, typed, said in (
        ("input_nanousd", "0.05", TOO_CHEAP),
        ("output_nanousd", "", "Enter all three prices, or leave them empty"),
        ("author_percent", "51", "less than or equal to 50"),
        ("input_nanousd", "a lot", "Enter the price per million tokens in dollars"),
    ):
        answer = alice_client.post(offer_url(noir), FORM | {field: typed})
        assert answer.status_code == 400
        assert said in answer.text
        assert 'value="0.125"' in answer.text
    noir.refresh_from_db()
    assert noir.offered_at is None


def test_an_operator_approves_only_what_was_looked_at(noir):
    sharing.offer_style(owner_of(noir.owner), noir, ASKED)
    looked_at = timezone.now()
    sharing.offer_style(owner_of(noir.owner), noir, Terms(TokenPrices(500, 125, 90_000), 50))
    with pytest.raises(ChangedMeanwhile):
        sharing.approve_style(noir, looked_at)
    assert not StylePrice.objects.exists()


def test_programs_ask_too_and_an_offer_without_a_body_leaves_what_was_asked(client, acme, noir):
    _, secret = issue_key(acme, name="books", by=None, scopes=["admin"])
    options = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {secret}"}}
    address = "/api/v1/styles/acme/noir/offer"
    prices = {"input_nanousd": 500, "cached_input_nanousd": 125, "output_nanousd": 2000}
    answer = client.post(address, {"prices": prices, "author_percent": 20}, **options)
    assert answer.status_code == 200, answer.content
    offer = answer.json()["offer"]
    assert (offer["asked_prices"], offer["asked_author_percent"]) == (prices, 20)
    assert client.post(address, **options).json()["offer"]["asked_prices"] == prices
    offer = client.post(address, {"prices": None}, **options).json()["offer"]
    assert (offer["asked_prices"], offer["asked_author_percent"]) == (None, 20)
    low = client.post(address, {"prices": prices | {"input_nanousd": 1}}, **options)
    assert (low.status_code, low.json()["code"]) == (400, "price_out_of_bounds")
    assert client.post(address, {"author_percent": 60}, **options).status_code == 400
