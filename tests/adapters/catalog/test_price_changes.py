"""A new price of a public style: asked, agreed, told a week before, and counted from its day."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.catalog import price_changes, sharing
from adapters.catalog.terms import Terms
from adapters.errors import (
    ChangedMeanwhile,
    NoPriceChange,
    PriceAgreed,
    SharePercent,
    TooEarly,
    TooLate,
    WithoutCatalogue,
)
from adapters.models import PriceChange, Selection, Style
from events.models import OutboxEvent
from metering import price_book
from metering.models import StylePrice, TokenPrices
from tenants.models import AuditEntry
from tests.adapters.builders import known
from tests.racing import race
from tests.tenants.builders import issue_key, owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

NEW = Terms(TokenPrices(600, 150, 2400), 25)
FORM = {
    "input_nanousd": "0.6",
    "cached_input_nanousd": "0.15",
    "output_nanousd": "2.4",
    "author_percent": "25",
}
SURE = {"confirmed": "1", "why": "A test asks for it."}


@pytest.fixture
def noir(noir, charlies) -> Style:
    """A public style of Acme's that Charlie's workspace has selected."""
    sharing.offer_style(owner_of(noir.owner), noir, Terms(TokenPrices(500, 125, 2000), 20))
    sharing.approve_style(noir)
    noir.refresh_from_db()
    Selection.objects.create(tenant=charlies, style=noir)
    return noir


def soon() -> datetime:
    return timezone.now() + timedelta(days=20)


def agreed(style: Style, terms: Terms = NEW) -> PriceChange:
    change = price_changes.ask_price(owner_of(style.owner), style, terms, soon().date())
    price_changes.agree_price(change)
    change.refresh_from_db()
    return change


def newest_price(style: Style) -> StylePrice:
    return StylePrice.objects.filter(style=style.pk).latest("effective_from")


def page_of(style: Style, name: str = "style_sharing") -> str:
    return reverse(f"adapters:{name}", args=[style.owner.slug, style.slug])


def test_an_owner_asks_an_operator_agrees_and_everybody_reads_it_before(
    alice_client, charlie_client, operator_client, noir, charlies
):
    first_day = soon().date().isoformat()
    asked = alice_client.post(reverse("adapters:ask_price", args=[noir.pk]), FORM | {"first_day": first_day})
    assert asked.status_code == 302
    page = alice_client.get(page_of(noir)).text
    assert "Pending approval" in page
    assert "$0.60 per million input tokens, $0.15 per million cached input tokens, $2.40 per million" in page
    assert "$0.60" not in charlie_client.get(page_of(noir, "style")).text
    console = reverse("admin:adapters_pricechange_changelist")
    assert "$0.60 / $0.15 / $2.40 per million tokens, 25% to the author" in operator_client.get(console).text
    change = PriceChange.objects.get()
    operator_client.post(console, {"action": "agree", "_selected_action": str(change.pk), **SURE})
    change.refresh_from_db()
    assert change.state == "agreed"
    assert change.effective_from == datetime.combine(soon().date(), time(), UTC)
    assert newest_price(noir).amounts == (500, 125, 2000), "nobody was told yet"

    assert price_changes.announce_agreed(timezone.now()) == 1
    assert price_changes.announce_agreed(timezone.now()) == 0
    told = OutboxEvent.objects.get(type="style.price_announced")
    assert told.tenant == charlies
    assert told.object["prices_usd"] == {"input": "$0.60", "cached_input": "$0.15", "output": "$2.40"}
    assert "offer" not in told.object
    decided = OutboxEvent.objects.filter(type="style.offer_decided").latest("created_at")
    assert (decided.tenant, decided.facts["decision"]) == (noir.owner, "price_agreed")
    assert "$0.60" in charlie_client.get(page_of(noir, "style")).text
    listed = charlie_client.get("/api/v1/styles/acme/noir").json()["prices"]
    assert [entry["input_nanousd"] for entry in listed][-1] == 600
    assert AuditEntry.objects.get(action="style.price_asked").after["asked_output_nanousd"] == 2400
    assert price_book.style_price_at(noir.pk, change.effective_from).amounts == (600, 150, 2400)


def test_a_price_is_added_when_it_is_told_and_only_once(noir):
    change = agreed(noir)
    assert sum(race(*[lambda: price_changes.announce_agreed(timezone.now())] * 2)) == 1
    price = newest_price(noir)
    assert (price.amounts, price.author_percent) == ((600, 150, 2400), 25)
    assert price.effective_from == change.effective_from
    assert StylePrice.objects.filter(style=noir.pk).count() == 2
    assert OutboxEvent.objects.filter(type="style.price_announced").count() == 1


def test_what_is_told_late_begins_a_week_later(noir):
    change = agreed(noir)
    late = change.effective_from - timedelta(days=2)
    assert price_changes.announce_agreed(late) == 1
    assert newest_price(noir).effective_from >= late + timedelta(days=7)
    change.refresh_from_db()
    assert change.effective_from == newest_price(noir).effective_from


def test_an_offer_that_is_approved_meanwhile_does_not_wait_for_the_day(noir, acme, engine):
    agreed(noir)
    price_changes.announce_agreed(timezone.now())
    other = known(acme, "letters", engine).style
    Style.objects.filter(pk=other.pk).update(author="Alice", licence="CC BY 4.0")
    other.refresh_from_db()
    sharing.offer_style(owner_of(other.owner), other, Terms(TokenPrices(700, 175, 2800), 0))
    sharing.approve_style(other)
    assert newest_price(other).effective_from < timezone.now() + timedelta(days=1)


def test_a_day_that_is_near_when_operators_agree_becomes_a_week_later(noir):
    first_day = price_changes.first_day_possible(timezone.now())
    change = price_changes.ask_price(owner_of(noir.owner), noir, NEW, first_day)
    late = timezone.now() + timedelta(days=6)
    price_changes.agree_price(change, now=late)
    change.refresh_from_db()
    assert change.effective_from >= late + timedelta(days=7)


def test_a_share_and_the_price_of_every_style_can_be_asked_for(noir):
    agreed(noir, Terms(None, 40))
    price_changes.announce_agreed(timezone.now())
    assert (newest_price(noir).amounts, newest_price(noir).author_percent) == (None, 40)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_style_that_left_the_catalogue_keeps_its_price(noir, is_told):
    change = agreed(noir)
    if is_told:
        price_changes.announce_agreed(timezone.now())
    sharing.set_public(noir, public=False)
    assert price_changes.announce_agreed(timezone.now()) == 0
    assert price_book.style_price_at(noir.pk, change.effective_from).amounts == (500, 125, 2000)
    assert PriceChange.objects.get().state == "withdrawn"
    # Nothing of it comes back with the next offer.
    sharing.offer_style(owner_of(noir.owner), noir, Terms(TokenPrices(700, 175, 2800), 0))
    sharing.approve_style(noir)
    assert price_book.style_price_at(noir.pk, change.effective_from).amounts == (700, 175, 2800)


def test_the_next_change_may_be_asked_for_once_the_last_one_counts(noir):
    change = agreed(noir)
    PriceChange.objects.filter(pk=change.pk).update(
        effective_from=timezone.now(), announced_at=timezone.now()
    )
    assert price_changes.open_change(noir) is None
    assert price_changes.ask_price(owner_of(noir.owner), noir, NEW, soon().date()).pk != change.pk


def test_what_is_asked_can_be_replaced_withdrawn_or_declined_until_it_is_agreed(
    alice_client, operator_client, noir
):
    first = price_changes.ask_price(owner_of(noir.owner), noir, NEW, soon().date())
    looked_at = timezone.now()
    again = price_changes.ask_price(
        owner_of(noir.owner), noir, Terms(TokenPrices(700, 175, 2800), 10), soon().date()
    )
    assert again.pk == first.pk
    with pytest.raises(ChangedMeanwhile):
        price_changes.agree_price(again, looked_at)
    alice_client.post(reverse("adapters:withdraw_price", args=[noir.pk]))
    with pytest.raises(NoPriceChange):
        price_changes.agree_price(again)
    third = price_changes.ask_price(owner_of(noir.owner), noir, NEW, soon().date())
    console = reverse("admin:adapters_pricechange_changelist")
    declined = {"action": "decline", "_selected_action": str(third.pk), **SURE, "why": "Too dear."}
    operator_client.post(console, declined)
    assert "Your last price request was declined: Too dear." in alice_client.get(page_of(noir)).text
    agreed(noir)
    for refused in (
        lambda: price_changes.ask_price(owner_of(noir.owner), noir, NEW, soon().date()),
        lambda: price_changes.withdraw_price(owner_of(noir.owner), noir),
    ):
        with pytest.raises(PriceAgreed):
            refused()


def test_what_is_out_of_bounds_is_refused(noir):
    for terms, days, error in ((Terms(None, 51), 20, SharePercent), (NEW, 7, TooEarly), (NEW, 91, TooLate)):
        with pytest.raises(error):
            price_changes.ask_price(
                owner_of(noir.owner), noir, terms, (timezone.now() + timedelta(days=days)).date()
            )
    assert not PriceChange.objects.exists()


def test_a_style_that_is_not_public_has_no_price_to_change(noir):
    sharing.set_public(noir, public=False)
    with pytest.raises(WithoutCatalogue):
        price_changes.ask_price(owner_of(noir.owner), noir, NEW, soon().date())


def test_programs_ask_read_and_withdraw(client, acme, noir):
    _, secret = issue_key(acme, name="books", by=None, scopes=["admin"])
    options = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {secret}"}}
    address = "/api/v1/styles/acme/noir/price"
    assert client.get(address, **options).json()["code"] == "no_price_change"
    prices = {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400}
    body = {"prices": prices, "author_percent": 25, "first_day": soon().date().isoformat()}
    asked = client.put(address, body, **options)
    assert (asked.status_code, asked.json()["state"]) == (200, "waiting"), asked.content
    assert client.get(address, **options).json()["prices"] == prices
    near = client.put(address, body | {"first_day": timezone.now().date().isoformat()}, **options)
    assert (near.status_code, near.json()["code"]) == (400, "first_day_too_early")
    assert client.delete(address, **options).json()["state"] == "withdrawn"
