"""What search engines and other sites read: robots.txt, descriptions and cards of public pages, icons."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from tests.config.addresses import ALL, address_of

MAX_CARD_BYTES = 60_000
SHOWN = [
    reverse("home"),
    reverse("billing:prices"),
    reverse("guides"),
    reverse("guide", args=["training"]),
    reverse("api_reference"),
]


class Head(HTMLParser):
    """A page's meta data by name, and its links by relation."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "meta":
            self.meta[str(known.get("name") or known.get("property"))] = str(known.get("content"))
        if tag == "link":
            self.links[str(known.get("rel"))] = str(known.get("href"))


def is_allowed(robots: str, path: str) -> bool:
    """Return what RFC 9309 says: the longest rule that matches decides."""
    longest, allowed = -1, True
    for line in robots.splitlines():
        kind, _, rule = line.partition(": ")
        is_match = path == rule[:-1] if rule.endswith("$") else path.startswith(rule)
        if kind in ("Allow", "Disallow") and is_match and len(rule) > longest:
            longest, allowed = len(rule), kind == "Allow"
    return allowed


@pytest.mark.django_db
def test_crawlers_read_public_pages_and_nothing_else(client, of_acme):
    robots = client.get("/robots.txt").text
    for path in [*SHOWN, reverse("status"), reverse("terms"), "/static/img/card.png"]:
        assert is_allowed(robots, path), path
    private = [address_of(name, of_acme) for name in ALL]
    found = reverse("guide", args=["search"]) + "?q=novel"
    for path in [*private, found, "/api/schema/", "/v1/models", "/console/"]:
        assert not is_allowed(robots, path), path


@pytest.mark.django_db
@pytest.mark.parametrize("address", SHOWN)
def test_a_public_page_has_a_description_and_a_card(client, settings, address):
    settings.SITE_URL = "https://polyscribe.example.com"
    head = Head(client.get(address).text)
    assert 20 < len(head.meta["description"]) < 300
    assert head.meta["og:title"]
    assert head.meta["og:url"] == head.links["canonical"] == f"{settings.SITE_URL}{address}"
    assert head.meta["og:image"].startswith(f"{settings.SITE_URL}/static/img/card")


def test_results_of_a_search_are_not_indexed(client):
    assert Head(client.get(reverse("guide", args=["search"])).text).meta["robots"] == "noindex"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("img/card.png", b"\x89PNG"),
        ("img/apple-touch-icon.png", b"\x89PNG"),
        ("img/favicon.ico", b"\x00\x00\x01\x00"),
    ],
)
def test_images_are_there_and_small(name, start):
    image = Path(finders.find(name)).read_bytes()
    assert image.startswith(start)
    assert len(image) < MAX_CARD_BYTES


@pytest.mark.parametrize("path", ["/favicon.ico", "/apple-touch-icon.png"])
def test_icons_are_found_where_browsers_look_without_reading_a_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/static/img/")
