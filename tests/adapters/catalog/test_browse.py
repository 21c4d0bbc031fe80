"""The list of styles: narrowed, ordered, page by page; and a person's favourites."""

from itertools import chain

import pytest
from django.db.models import F
from django.urls import reverse

from adapters.catalog import browse, selection, sharing
from adapters.catalog.browse import BrowseQuery
from adapters.errors import TooManyFavourites
from adapters.models import AdapterVersion, Favourite, Probe, Style
from tests.adapters.builders import known
from tests.tenants.builders import owner_of

LIST = "/styles/"


def pages(tenant, user, **query: str) -> list[list[str]]:
    """Return the slugs of all pages of a list."""
    found = []
    after = ""
    while True:
        page = browse.browse(tenant, user, BrowseQuery(**query, after=after))
        found.append([card.slug for card in page.cards])
        after = page.next_after
        if not after:
            return found


@pytest.fixture
def many(acme, engine, monkeypatch) -> list[Style]:
    """Nine own styles, two of a name, of three strengths; pages of four."""
    monkeypatch.setattr(browse, "PAGE_SIZE", 4)
    styles = []
    for number in range(9):
        version = known(acme, f"s{number}", engine)
        if number:
            Probe.objects.create(version=version, engine="local", strength=number % 3, noise=0)
        styles.append(version.style)
    Style.objects.filter(slug__in=["s3", "s4"]).update(name="Same")
    return styles


def test_each_style_stands_once_in_the_pages_of_each_order(acme, alice, many):
    for order in browse.ORDERS:
        found = pages(acme, alice, order=order)
        assert [len(page) for page in found] == [4, 4, 1], order
        assert sorted(chain.from_iterable(found)) == sorted(style.slug for style in many)


def test_a_style_made_meanwhile_moves_nothing_and_the_strongest_come_first(acme, alice, engine, many):
    first = browse.browse(acme, alice, BrowseQuery(order="newest"))
    known(acme, "newest-of-all", engine)
    second = browse.browse(acme, alice, BrowseQuery(order="newest", after=first.next_after))
    assert not {card.slug for card in first.cards} & {card.slug for card in second.cards}
    strongest = browse.browse(acme, alice, BrowseQuery(order="strongest"))
    assert {card.slug for card in strongest.cards[:3]} == {"s2", "s5", "s8"}


def test_an_address_that_makes_no_sense_shows_a_list(alice_client, many):
    nonsense = {"kind": "?", "tag": "';--", "language": "xx", "q": "\0"}
    for order in (*browse.ORDERS, "sideways"):
        for after in ("", "x", "AAAA", "////", "bm9uZQ", "\0", "ä", "YWJjCmRlZg"):
            page = alice_client.get(LIST, {"order": order, "after": after, **nonsense})
            assert page.status_code == 200, (order, after)


def test_a_list_is_narrowed_by_kind_tag_and_language(acme, alice, charlies, engine, poetry):
    known(acme, "noir", engine)
    Style.objects.filter(slug="noir").update(tags=["letters", "sales"], language="en")
    Style.objects.filter(slug="poetry").update(language="de")
    known(charlies, "private", engine)
    assert pages(acme, alice) == [["noir", "poetry"]]
    assert pages(acme, alice, kind="own") == [["noir"]]
    assert pages(acme, alice, kind="public") == [["poetry"]]
    assert pages(acme, alice, kind="selected") == [[]]
    assert pages(acme, alice, tag="sales") == [["noir"]]
    assert pages(acme, alice, words="letters") == [["noir"]]
    assert pages(acme, alice, language="de") == [["poetry"]]
    assert browse.languages_of(acme) == {"de": "German", "en": "English"}
    assert browse.languages_of(charlies) == {"de": "German"}


def test_a_favourite_is_one_persons_and_shows_in_their_list_alone(alice_client, alice, bob, acme, poetry):
    like = reverse("adapters:like", args=[poetry.pk])
    card = alice_client.post(like, headers={"HX-Request": "true"})
    assert 'aria-pressed="true"' in card.text
    assert alice_client.post(like).status_code == 302  # twice is once
    assert pages(acme, alice, kind="favourite") == [["poetry"]]
    assert pages(acme, bob, kind="favourite") == [[]]
    unlike = reverse("adapters:unlike", args=[poetry.pk])
    assert 'aria-pressed="false"' in alice_client.post(unlike, headers={"HX-Request": "true"}).text
    assert pages(acme, alice, kind="favourite") == [[]]


def test_a_private_style_of_others_is_no_favourite(alice, acme, charlies, engine):
    private = known(charlies, "private", engine).style
    Favourite.objects.create(user=alice, style=private)  # seen once, and taken back since
    assert pages(acme, alice, kind="favourite") == [[]]


def test_favourites_are_bounded(alice, acme, engine, monkeypatch):
    monkeypatch.setattr(selection, "MOST_FAVOURITES", 1)
    first, second = known(acme, "first", engine).style, known(acme, "second", engine).style
    selection.add_favourite(alice, first)
    selection.add_favourite(alice, first)
    with pytest.raises(TooManyFavourites):
        selection.add_favourite(alice, second)


def test_selecting_says_so_with_the_button_that_undoes_it(alice_client, poetry):
    card = alice_client.post(
        reverse("adapters:select", args=[poetry.pk]), headers={"HX-Request": "true"}
    ).text
    assert 'data-said="Poetry selected."' in card
    assert f'data-undo="toggle-{poetry.pk}"' in card
    assert f'id="toggle-{poetry.pk}"' in card
    assert 'data-selected="true"' in card
    assert reverse("adapters:unselect", args=[poetry.pk]) in card
    again = alice_client.post(reverse("adapters:unselect", args=[poetry.pk]), follow=True)
    assert "Poetry is no longer selected." in again.text


def test_tags_and_language_are_checked_and_bound_by_an_offer(alice_client, acme, engine):
    style = known(acme, "noir", engine).style
    describe = reverse("adapters:describe", args=[style.pk])
    words = {"name": "Noir", "tags": "Sales,  letters, sales", "language": "en"}
    assert alice_client.post(describe, words).status_code == 302
    style.refresh_from_db()
    assert (style.tags, style.language) == (["sales", "letters"], "en")
    for wrong in ({"tags": "no spaces"}, {"tags": ",".join("abcdefghi")}, {"language": "klingon"}):
        assert alice_client.post(describe, words | wrong).status_code == 400
    Style.objects.update(author="Alice", licence="MIT")
    style.refresh_from_db()
    sharing.offer_style(owner_of(style.owner), style)
    alice_client.post(describe, words | {"tags": "casino"})
    style.refresh_from_db()
    assert style.tags == ["sales", "letters"], "operators look at these"


def test_an_owner_sets_the_sampling_of_requests_that_send_none_and_everybody_sees_it(
    alice_client, charlie_client, acme, engine
):
    style = known(acme, "noir", engine).style
    sharing.set_public(Style.objects.get(pk=style.pk))
    approved = Style.objects.get(pk=style.pk).changed_at
    describe = reverse("adapters:describe", args=[style.pk])
    words = {"name": style.name, "author": style.author}
    for wrong in ({"temperature": "0"}, {"temperature": "2.5"}, {"top_p": "0.01"}, {"top_p": "nan"}):
        assert alice_client.post(describe, words | wrong).status_code == 400
    assert alice_client.post(describe, words | {"temperature": "0.6"}).status_code == 302
    style.refresh_from_db()
    assert (style.temperature, style.top_p, style.changed_at) == (0.6, None, approved)
    for client in (alice_client, charlie_client):
        page = client.get(reverse("adapters:style", args=["acme", "noir"])).text
        assert "temperature 0.6, top p 0.95" in page
        code = client.get(reverse("adapters:style_developers", args=["acme", "noir"])).text
        assert "temperature=0.6," in code


def test_the_list_takes_few_queries_with_many_styles(
    alice_client, acme, engine, charlies, *, django_assert_max_num_queries, monkeypatch
):
    monkeypatch.setattr(browse, "PAGE_SIZE", 13)
    for number in range(14):
        known(acme, f"own-{number}", engine)
        known(charlies, f"public-{number}", engine)
    public = Style.objects.filter(owner=charlies)
    public.update(is_public=True, approved_version=F("live_version"), approved_name="Public", language="en")
    assert AdapterVersion.objects.count() == 28
    for query in ({}, {"kind": "public", "order": "strongest"}, {"language": "en", "order": "newest"}):
        with django_assert_max_num_queries(12):
            page = alice_client.get(LIST, query)
        assert len(page.context["styles"]) == 13
        assert page.context["next_after"]
