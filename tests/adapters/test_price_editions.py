"""Editions of prices: made whole by an operator, announced, and only where they differ published."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.api.styles import present_own_style
from adapters.catalog import price_book_versions, sharing
from adapters.catalog.priced import find_style, prices_of
from adapters.models import Style
from adapters.public import model_choices
from core.valkey import limits_key
from metering import price_book
from metering.models import Price, PriceBook
from metering.quota_sync import snapshot
from tenants.models import AuditEntry, Tenant
from tests.adapters.builders import known

pytestmark = pytest.mark.usefixtures("valkey")

BEGINS = datetime(2100, 1, 1, tzinfo=UTC)
ADD = reverse("admin:metering_pricebook_add")


def edition_form(begins: datetime, *prices: tuple[str, str, str, str], ended: str = "") -> dict[str, str]:
    """What the console's page sends: model, input, cached input and output of each price, in dollars."""
    form = {
        "effective_from_0": f"{begins:%Y-%m-%d}",
        "effective_from_1": f"{begins:%H:%M:%S}",
        "style_month_nanousd": "2.50",
        "trained_token_nanousd": "4.5",
        "ended": ended,
        "why": "A test",
        "prices-TOTAL_FORMS": str(len(prices)),
        "prices-INITIAL_FORMS": "0",
    }
    for number, price in enumerate(prices):
        names = ("style_name", "input_nanousd", "cached_input_nanousd", "output_nanousd")
        for name, value in zip(names, price, strict=True):
            form[f"prices-{number}-{name}"] = value
    return form


def prices_in(book: PriceBook) -> dict[str, tuple[int, int, int]]:
    return {price.of: price_book.amounts(price) for price in book.prices.all()}


def test_a_new_edition_begins_as_a_copy_and_keeps_what_is_left_as_it_is(operator_client, noir):
    operator_client.post(
        ADD, edition_form(BEGINS, ("acme/noir", "0.2", "0.05", "2"), ("base", "1", "1", "1"))
    )
    [lines] = operator_client.get(ADD).context["inline_admin_formsets"]
    shown = [form.initial for form in lines.formset.forms]
    assert [line.get("style_name") for line in shown] == ["", "base", "acme/noir", None]
    assert shown[2]["output_nanousd"] == 2000
    copied = [("", "0.1", "0.025", "0.4"), ("base", "1", "1", "1"), ("acme/noir", "0.2", "0.05", "3")]
    later = BEGINS + timedelta(days=1)
    shares = {f"prices-{number}-author_percent": "0" for number in range(3)}
    assert operator_client.post(ADD, edition_form(later, *copied) | shares).status_code == 302
    prices = prices_in(PriceBook.objects.get(effective_from=later))
    assert prices["acme/noir"] == (200, 50, 3000)
    assert prices["every style"] == (100, 25, 400)
    assert len(prices) == 3


def test_an_edition_is_made_whole_in_dollars_and_with_a_reason(operator_client, noir):
    assert operator_client.get(ADD).status_code == 200
    form = edition_form(
        BEGINS + timedelta(seconds=30), ("acme/noir", "0.2", "0.05", "2"), ("base", "0.05", "0.01", "0.1")
    )
    assert operator_client.post(ADD, form).status_code == 302
    book = PriceBook.objects.get(effective_from=BEGINS)
    assert book.style_month_nanousd == 2_500_000_000
    assert book.trained_token_nanousd == 4_500
    assert prices_in(book) == {
        "every style": (100, 25, 400),
        "acme/noir": (200, 50, 2000),
        "the base model": (50, 10, 100),
    }
    assert Price.objects.get(book=book, style=noir.pk).style_name == "acme/noir"
    entry = AuditEntry.objects.get()
    assert entry.reason == "A test"
    assert len(entry.after["prices added"]) == 2

    later = edition_form(BEGINS + timedelta(days=1), ("", "0.3", "0.1", "0.9"), ended="acme/noir")
    assert operator_client.post(ADD, later).status_code == 302
    book = PriceBook.objects.get(effective_from=BEGINS + timedelta(days=1))
    assert prices_in(book) == {"every style": (300, 100, 900), "the base model": (50, 10, 100)}
    assert "$0.90" in operator_client.get(reverse("admin:metering_pricebook_change", args=[book.pk])).text
    assert "acme/noir" in operator_client.get(reverse("admin:metering_price_changelist")).text


def test_what_no_edition_can_be_is_said_beside_the_field(operator_client, noir):
    for begins, prices, message in (
        (BEGINS, ("acme/gone", "1", "1", "1"), "No such style: acme/gone"),
        (BEGINS, ("", "0.0001", "-1", "1"), "at most three decimal places"),
        (BEGINS, ("acme/noir", "", "", "1"), "This field is required"),
        (datetime(2025, 1, 1, tzinfo=UTC), ("", "1", "1", "1"), "in one minute at the earliest"),
    ):
        assert message in operator_client.post(ADD, edition_form(begins, prices)).text
    assert PriceBook.objects.count() == 1


def test_two_prices_of_one_style_and_an_edition_before_another_are_refused(operator_client, noir):
    twice = ("acme/noir", "1", "1", "1")
    assert "acme/noir has two prices" in operator_client.post(ADD, edition_form(BEGINS, twice, twice)).text
    assert operator_client.post(ADD, edition_form(BEGINS, twice)).status_code == 302
    before = operator_client.post(ADD, edition_form(BEGINS - timedelta(days=1), twice))
    assert "Choose a later time" in before.text


def test_only_what_gets_another_price_is_published(operator_client, noir, acme, engine):
    other = known(acme, "other", engine).style

    def counted():
        rows = Style.objects.filter(pk__in=[noir.pk, other.pk]).order_by("slug")
        return [
            *rows.values_list("generation", flat=True),
            Tenant.objects.get(pk=acme.pk).generation,
        ]

    before = counted()
    operator_client.post(ADD, edition_form(BEGINS, ("acme/noir", "1", "1", "1")))
    assert counted() == [before[0] + 1, before[1], before[2]]
    operator_client.post(ADD, edition_form(BEGINS + timedelta(days=1), ("", "9", "9", "9")))
    assert counted() == [before[0] + 1, before[1], before[2] + 1]


def test_the_base_models_price_is_in_the_limits_and_expires_with_them(acme, valkey):
    now = timezone.now()
    book = PriceBook.objects.create(effective_from=now - timedelta(minutes=1))
    Price.objects.create(book=book, is_base=True, input_nanousd=1, cached_input_nanousd=2, output_nanousd=3)
    price_book_versions.complete_edition(book)
    ahead = snapshot.COMING_KNOWN_BEFORE + timedelta(hours=1)  # later ones are in the limits already
    later = PriceBook.objects.create(effective_from=now + ahead)
    Price.objects.create(book=later, is_base=True, input_nanousd=7, cached_input_nanousd=8, output_nanousd=9)
    price_book_versions.complete_edition(later)
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(limits_key(acme.pk), "base_prices") == "1/2/3@0"
    expires_in = timedelta(seconds=valkey.ttl(limits_key(acme.pk)))
    assert ahead - timedelta(seconds=10) < expires_in <= ahead


def test_an_edition_of_one_style_lets_no_limits_expire(acme, noir):
    now = timezone.now()
    book = PriceBook.objects.create(effective_from=now + timedelta(hours=1))
    Price.objects.create(book=book, style=noir.pk, input_nanousd=1, cached_input_nanousd=2, output_nanousd=3)
    assert price_book.next_change(now) is None, "it has no price of every style yet"
    price_book_versions.complete_edition(book)
    assert price_book.next_change(now) is None
    general = PriceBook.objects.create(effective_from=now + timedelta(hours=2))
    Price.objects.create(book=general, input_nanousd=1, cached_input_nanousd=2, output_nanousd=3)
    assert price_book.next_change(now) == general.effective_from


def test_pages_and_api_tell_own_prices_and_what_is_announced(
    alice_client, charlie_client, noir, poetry, operator_client
):
    operator_client.post(
        ADD, edition_form(BEGINS, ("acme/noir", "3.21", "1", "6.54"), ("poetry", "7", "7", "7"))
    )
    public = charlie_client.get(reverse("billing:prices")).text
    assert "poetry" in public
    assert "noir" not in public, "a private style is nobody's business"
    page = alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    for text in ("$3.21", "$6.54", "standard price"):
        assert text in page
    shown = present_own_style(noir)["prices"]
    assert [price["output_nanousd"] for price in shown] == [None, 6540]
    now, announced = prices_of(noir)
    assert now == {"from": None}
    assert announced["from"] == BEGINS


def test_a_style_is_found_by_what_people_write(noir, poetry):
    assert find_style("acme/noir").id == noir.pk
    assert find_style("poetry").id == poetry.pk
    assert find_style("noir") is None
    assert find_style("acme/poetry") is None


def test_only_a_public_style_of_a_workspaces_own_may_have_a_share(operator_client, acme, noir, poetry):
    form = edition_form(BEGINS, ("acme/noir", "1", "1", "1")) | {"prices-0-author_percent": "20"}
    assert "public style can have a share" in operator_client.post(ADD, form).text
    of_the_house = edition_form(BEGINS, ("poetry", "1", "1", "1")) | {"prices-0-author_percent": "20"}
    assert "public style can have a share" in operator_client.post(ADD, of_the_house).text

    sharing.set_public(noir)
    assert operator_client.post(ADD, form).status_code == 302
    price = Price.objects.get(style=noir.pk)
    assert (price.author, price.author_percent) == (acme, 20)
    later = edition_form(BEGINS + timedelta(days=1), ("", "2", "2", "2"))
    assert operator_client.post(ADD, later).status_code == 302
    assert Price.objects.filter(style=noir.pk, author=acme, author_percent=20).count() == 2
    assert "20% to its author" in operator_client.get(reverse("billing:prices")).text


def test_the_playground_knows_a_models_own_price_of_now(alice_client, noir, acme):
    Price.objects.create(
        book=PriceBook.objects.latest("effective_from"),
        style=noir.pk,
        input_nanousd=31,
        cached_input_nanousd=7,
        output_nanousd=67,
    )
    assert [choice.prices for choice in model_choices(acme)] == [(31, 7, 67)]
    page = " ".join(alice_client.get(reverse("inference:playground")).text.split())
    assert 'data-input="31" data-cached="7" data-output="67"' in page
    general = price_book.find_price(timezone.now())
    assert f'data-input="{general.input_nanousd}"' in page  # the base model's
