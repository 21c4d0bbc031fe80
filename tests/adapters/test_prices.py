"""Price books and styles' own prices: added by operators, announced, and published where they differ."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from adapters.api.styles import present_own_style
from adapters.catalog import sharing
from adapters.catalog.price_changes import set_price
from adapters.catalog.terms import Terms, find_style, prices_of
from adapters.models import Style
from adapters.public import model_choices
from core.valkey import limits_key
from metering import price_book
from metering.models import Price, PriceBook, StylePrice, TokenPrices
from metering.quota_sync import snapshot
from tenants.models import AuditEntry, Tenant
from tests.adapters.builders import known
from tests.profiles import examples

pytestmark = pytest.mark.usefixtures("valkey")

BEGINS = datetime(2100, 1, 1, tzinfo=UTC)
ADD = reverse("admin:metering_pricebook_add")
ADD_STYLE_PRICE = reverse("admin:metering_styleprice_add")
AMOUNTS = ("input_nanousd", "cached_input_nanousd", "output_nanousd")


def at(begins: datetime) -> dict[str, str]:
    """What the console's pages send as the moment of a new price, and why."""
    return {
        "effective_from_0": f"{begins:%Y-%m-%d}",
        "effective_from_1": f"{begins:%H:%M:%S}",
        "why": "A test",
    }


def book_form(begins: datetime, *prices: tuple[str, str, str], base: tuple[str, ...] = ()) -> dict[str, str]:
    """What the console's page sends: general prices and the base model's, in dollars."""
    lines = [("", *price) for price in prices] + ([("on", *base)] if base else [])
    form = {
        **at(begins),
        "style_month_nanousd": "2.50",
        "trained_token_nanousd": "4.5",
        "prices-TOTAL_FORMS": str(len(lines)),
        "prices-INITIAL_FORMS": "0",
    }
    for number, line in enumerate(lines):
        for name, value in zip(("is_base", *AMOUNTS), line, strict=True):
            if value:
                form[f"prices-{number}-{name}"] = value
    return form


def price_form(style: str, *amounts: str, begins: datetime = BEGINS, percent: str = "") -> dict[str, str]:
    """What the console's page of a style's price sends."""
    prices = dict(zip(AMOUNTS, amounts, strict=False))
    return at(begins) | {"style_name": style, "author_percent": percent} | prices


def prices_in(book: PriceBook) -> dict[str, tuple[int, int, int]]:
    return {price.of: price.amounts for price in book.prices.all()}


def test_a_new_book_begins_as_a_copy_and_keeps_what_is_left_as_it_is(operator_client):
    operator_client.post(ADD, book_form(BEGINS, base=("1", "1", "1")))
    [lines] = operator_client.get(ADD).context["inline_admin_formsets"]
    shown = [form.initial for form in lines.formset.forms]
    assert [line.get("is_base") for line in shown] == [False, True]
    later = BEGINS + timedelta(days=1)
    copied = book_form(later, ("0.1", "0.025", "0.4"), base=("1", "1", "3"))
    assert operator_client.post(ADD, copied).status_code == 302
    prices = prices_in(PriceBook.objects.get(effective_from=later))
    assert prices == {"every style": (100, 25, 400), "the base model": (1000, 1000, 3000)}


def test_a_book_is_made_whole_in_dollars_and_with_a_reason(operator_client):
    assert operator_client.get(ADD).status_code == 200
    form = book_form(BEGINS + timedelta(seconds=30), base=("0.05", "0.01", "0.1"))
    assert operator_client.post(ADD, form).status_code == 302
    book = PriceBook.objects.get(effective_from=BEGINS)
    assert book.style_month_nanousd == 2_500_000_000
    assert book.trained_token_nanousd == 4_500
    assert prices_in(book) == {"every style": (100, 25, 400), "the base model": (50, 10, 100)}
    entry = AuditEntry.objects.get()
    assert entry.reason == "A test"
    assert len(entry.after["prices added"]) == 1

    later = book_form(BEGINS + timedelta(days=1), ("0.3", "0.1", "0.9"))
    assert operator_client.post(ADD, later).status_code == 302
    book = PriceBook.objects.get(effective_from=BEGINS + timedelta(days=1))
    assert prices_in(book) == {"every style": (300, 100, 900), "the base model": (50, 10, 100)}
    assert "$0.90" in operator_client.get(reverse("admin:metering_pricebook_change", args=[book.pk])).text


def test_what_no_book_can_be_is_said(operator_client):
    for begins, prices, message in (
        (BEGINS, [("0.0001", "-1", "1")], "at most three decimal places"),
        (BEGINS, [("", "", "1")], "This field is required"),
        (BEGINS, [("1", "1", "1"), ("2", "2", "2")], "two prices of the same"),
        (datetime(2025, 1, 1, tzinfo=UTC), [("1", "1", "1")], "in one minute at the earliest"),
    ):
        assert message in operator_client.post(ADD, book_form(begins, *prices)).text
    assert PriceBook.objects.count() == 1
    assert operator_client.post(ADD, book_form(BEGINS, ("1", "1", "1"))).status_code == 302
    before = operator_client.post(ADD, book_form(BEGINS - timedelta(days=1), ("1", "1", "1")))
    assert "Choose a later time" in before.text


def test_an_operator_adds_a_styles_price_and_ends_it(operator_client, noir):
    assert operator_client.get(ADD_STYLE_PRICE).status_code == 200
    form = price_form("acme/noir", "0.2", "0.05", "2", begins=BEGINS + timedelta(seconds=30))
    assert operator_client.post(ADD_STYLE_PRICE, form).status_code == 302
    price = StylePrice.objects.get()
    assert (price.style, price.style_name, price.effective_from) == (noir.pk, "acme/noir", BEGINS)
    assert price.amounts == (200, 50, 2000)
    entry = AuditEntry.objects.get()
    assert (entry.reason, entry.object_id) == ("A test", str(price.pk))
    page = operator_client.get(reverse("admin:metering_styleprice_change", args=[price.pk])).text
    assert "$0.20 / $0.05 / $2.00" in page
    later = BEGINS + timedelta(days=1)
    assert operator_client.post(ADD_STYLE_PRICE, price_form("acme/noir", begins=later)).status_code == 302
    assert price_book.style_price_at(noir.pk, later).amounts is None
    assert "standard price" in operator_client.get(reverse("admin:metering_styleprice_changelist")).text


def test_what_no_price_of_a_style_can_be_is_said(operator_client, noir):
    operator_client.post(ADD_STYLE_PRICE, price_form("acme/noir", "1", "1", "1"))
    for form, message in (
        (price_form("acme/gone", "1", "1", "1"), "No such style: acme/gone"),
        (price_form("acme/noir", "", "", "1"), "Enter all three prices"),
        (
            price_form("acme/noir", "1", "1", "1", begins=BEGINS + timedelta(days=1)),
            "this price then already",
        ),
        (price_form("acme/noir", begins=datetime(2025, 1, 1, tzinfo=UTC)), "in one minute at the earliest"),
    ):
        assert message in operator_client.post(ADD_STYLE_PRICE, form).text
    assert StylePrice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_price_of_a_style_never_changes_and_goes_only_before_its_moment(noir):
    past, ahead = (
        StylePrice.objects.create(style=noir.pk, effective_from=timezone.now() + timedelta(days=days))
        for days in (-1, 1)
    )
    for refused in (
        lambda: StylePrice.objects.filter(pk=ahead.pk).update(author_percent=0),
        lambda: StylePrice.objects.filter(pk=past.pk).delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            refused()
    ahead.delete()


def test_only_what_gets_another_price_is_published(operator_client, noir, acme, engine):
    other = known(acme, "other", engine).style

    def counted():
        rows = Style.objects.filter(pk__in=[noir.pk, other.pk]).order_by("slug")
        return [
            *rows.values_list("generation", flat=True),
            Tenant.objects.get(pk=acme.pk).generation,
        ]

    before = counted()
    set_price(noir.pk, Terms(TokenPrices(1000, 1000, 1000)))
    assert counted() == [before[0] + 1, before[1], before[2]]
    operator_client.post(ADD, book_form(BEGINS, ("9", "9", "9")))
    assert counted() == [before[0] + 1, before[1], before[2] + 1]


def test_the_base_models_price_is_in_the_limits_and_expires_with_them(acme, valkey):
    now = timezone.now()
    book = PriceBook.objects.create(effective_from=now - timedelta(minutes=1))
    Price.objects.create(book=book, is_base=True, input_nanousd=1, cached_input_nanousd=2, output_nanousd=3)
    price_book.complete_book(book)
    ahead = snapshot.COMING_KNOWN_BEFORE + timedelta(hours=1)  # later ones are in the limits already
    later = PriceBook.objects.create(effective_from=now + ahead)
    Price.objects.create(book=later, is_base=True, input_nanousd=7, cached_input_nanousd=8, output_nanousd=9)
    price_book.complete_book(later)
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(limits_key(acme.pk), "base_prices") == "1/2/3@0"
    expires_in = timedelta(seconds=valkey.ttl(limits_key(acme.pk)))
    assert ahead - timedelta(minutes=1) < expires_in <= ahead


def test_a_book_without_other_prices_lets_no_limits_expire(acme):
    now = timezone.now()
    book = PriceBook.objects.create(effective_from=now + timedelta(hours=1))
    assert price_book.next_change(now) is None, "it has no price of every style yet"
    price_book.complete_book(book)
    assert price_book.next_change(now) is None
    general = PriceBook.objects.create(effective_from=now + timedelta(hours=2))
    Price.objects.create(book=general, input_nanousd=1, cached_input_nanousd=2, output_nanousd=3)
    assert price_book.next_change(now) == general.effective_from


def test_pages_and_api_tell_own_prices_and_what_is_announced(
    alice_client, charlie_client, noir, poetry, operator_client
):
    set_price(noir.pk, Terms(TokenPrices(3210, 1000, 6540)), at=BEGINS)
    set_price(poetry.pk, Terms(TokenPrices(7000, 7000, 7000)), at=BEGINS)
    public = charlie_client.get(reverse("billing:prices")).text
    assert "poetry" in public
    assert "noir" not in public, "a private style is nobody's business"
    page = alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    for text in ("$3.21", "$6.54", "standard price"):
        assert text in page
    shown = present_own_style(noir)["prices"]
    assert [price["output_nanousd"] for price in shown] == [None, 6540]
    now, announced = prices_of(noir)
    assert now == {"from": None, "author_percent": 0}
    assert announced["from"] == BEGINS


def test_a_style_is_found_by_what_people_write(noir, poetry):
    assert find_style("acme/noir").id == noir.pk
    assert find_style("poetry").id == poetry.pk
    assert find_style("noir") is None
    assert find_style("acme/poetry") is None


def test_only_a_public_style_of_a_workspaces_own_may_have_a_share(operator_client, acme, noir, poetry):
    for style in ("acme/noir", "poetry"):
        refused = operator_client.post(ADD_STYLE_PRICE, price_form(style, "1", "1", "1", percent="20"))
        assert "public style can have a share" in refused.text

    sharing.set_public(noir)
    form = price_form("acme/noir", "1", "1", "1", percent="20")
    assert operator_client.post(ADD_STYLE_PRICE, form).status_code == 302
    price = StylePrice.objects.get(style=noir.pk)
    assert (price.author, price.author_percent) == (acme, 20)
    assert "20% to its author" in operator_client.get(reverse("billing:prices")).text


def test_the_playground_knows_a_models_own_price_of_now(alice_client, noir, acme):
    StylePrice.objects.create(
        style=noir.pk,
        effective_from=timezone.now(),
        input_nanousd=31,
        cached_input_nanousd=7,
        output_nanousd=67,
    )
    assert [choice.prices for choice in model_choices(acme)] == [(31, 7, 67)]
    page = " ".join(alice_client.get(reverse("inference:playground")).text.split())
    assert 'data-input="31" data-cached="7" data-output="67"' in page
    general = price_book.find_price(timezone.now())
    assert f'data-input="{general.input_nanousd}"' in page  # the base model's


days = st.integers(0, 12)
own_prices = st.tuples(days, st.none() | st.tuples(st.just(1), st.just(2), days), st.integers(0, 100))


class OneReadingOfPrices(TestCase):
    """Pages, routes, authors' shares and reconciling read the same price of a style at any moment."""

    @given(drawn=st.lists(own_prices, max_size=6, unique_by=lambda price: price[0]), asked=days)
    @settings(max_examples=examples(40))
    def test_the_last_row_that_has_begun_counts(self, drawn, asked):
        tenant = Tenant.objects.create(name="Acme", slug="acme")
        style = Tenant.objects.create(name="Other", slug="other").pk  # any id
        start = datetime(2026, 10, 1, tzinfo=UTC)
        for day, amounts, percent in drawn:
            StylePrice.objects.create(
                style=style,
                effective_from=start + timedelta(days=day),
                author=tenant,
                author_percent=percent,
                **dict(zip(AMOUNTS, amounts or (None,) * 3, strict=True)),
            )
        begun = [price for price in sorted(drawn) if price[0] <= asked]
        _, amounts, percent = begun[-1] if begun else (0, None, 0)
        moment = start + timedelta(days=asked)
        row = price_book.style_price_at(style, moment)
        found = (row.amounts, row.author_percent) if row else (None, 0)
        assert found == (amounts, percent)
        schedule = price_book.schedules_of([style], moment).get(style, [])
        assert price_book.prices_now(schedule) == amounts
        assert (schedule[0].author_percent if schedule else 0) == percent
        ahead = [price[0] for price in sorted(drawn) if price[0] > asked]
        assert len(schedule) in (0, 1 + len(ahead))
