"""The guides on the site: every page in every language, every link between them, and what a page may load."""

import re
from functools import cache
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from stack.guides import guide_paths, name_of
from tests.operations.builders import Page
from website import catalogs, guides

LANGUAGES = ["en", *catalogs.languages()]
NAMES = [name_of(path) for path in guide_paths()]
in_each_language = pytest.mark.parametrize("language", LANGUAGES)


def address_of(name: str) -> str:
    return reverse("guides") if name == "index" else reverse("guide", args=[name])


@cache
def read_pages(language: str) -> dict[str, str]:
    """Return each page by its address, as a visitor gets it."""
    visitor = Client(headers={"Accept-Language": language})
    return {address_of(name): visitor.get(address_of(name)).text for name in NAMES}


@in_each_language
@pytest.mark.django_db
def test_every_link_of_a_guide_leads_somewhere(language):
    """Each address is asked for once, whichever guides lead to it."""
    visitor = Client(headers={"Accept-Language": language})
    pages = {address: Page(text) for address, text in read_pages(language).items()}
    ids = {address: page.ids for address, page in pages.items()}
    assert [address for address, of_page in ids.items() if len(set(of_page)) < len(of_page)] == []
    links = {urljoin(here, link) for here, page in pages.items() for link in page.links}
    links = {link for link in links if urlsplit(link).scheme not in ("https", "mailto")}
    for address in {urldefrag(link).url for link in links} - ids.keys():
        answer = visitor.get(address)
        if answer.status_code in (200, 302):
            ids[address] = Page(answer.text).ids
    broken = []
    for link in links:
        address, anchor = urldefrag(link)
        if address not in ids or (anchor and anchor not in ids[address]):
            broken.append(link)
    assert broken == []


def test_every_file_of_docs_is_a_guide(settings):
    files = {f"docs/{file.name}" for file in (settings.BASE_DIR / "docs").glob("*.md")}
    assert files <= set(guide_paths())


def test_decisions_are_for_developers_and_not_on_the_site(client):
    assert client.get("/docs/decisions/").status_code == 404
    assert not [path for path in guides.BUILT.rglob("*") if "decision" in path.name]


def test_a_guide_has_its_tables_code_and_headings(client):
    page = client.get(reverse("guide", args=["writing-with-the-api"])).text
    assert page.count("<h1") == 1
    assert '<section id="limits">' in page
    assert '<pre tabindex="0">' in page
    assert '<div tabindex="0" role="group" class="table-wrapper' in page


def test_a_column_is_aligned_as_its_text_says(client):
    page = client.get(reverse("guide", args=["probing"])).text
    assert re.search(r'<th class="head text-right">\s*<p>bfloat16</p>', page)


def test_code_in_angle_brackets_is_text(client):
    assert "&lt;module&gt;" in client.get(reverse("guide", args=["adapters"])).text


@in_each_language
def test_a_page_is_described_with_the_sites_own_address(settings, client, language):
    settings.SITE_URL = "https://polyscribe.example.com"
    page = client.get(reverse("guide", args=["team"]), headers={"Accept-Language": language}).text
    assert '<link rel="canonical" href="https://polyscribe.example.com/docs/team/">' in page
    assert "site.invalid" not in page
    assert f'<html class="no-js" lang="{language}"' in page


def test_a_page_allows_what_stands_within_it_and_nothing_else(client):
    answer = client.get(reverse("guides"))
    policy = answer.headers["Content-Security-Policy"]
    assert "'sha256-" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert answer.text.count("<script>") == 1, "Furo's own, which sets the theme before the first paint"


@in_each_language
def test_the_index_of_the_search_is_the_languages_own(client, language):
    name = reverse("guide_file", args=["searchindex.js"])
    answer = client.get(name, headers={"Accept-Language": language})
    assert ("inhab" in answer.text) == (language == "de"), "the stem of Inhaber, as Snowball cuts it"
    again = {"Accept-Language": language, "If-None-Match": answer.headers["ETag"]}
    assert client.get(name, headers=again).status_code == 304
    other = next(one for one in LANGUAGES if one != language)
    assert client.get(name, headers={**again, "Accept-Language": other}).status_code == 200


def test_headings_are_found_by_their_words_in_the_readers_language():
    with override("en"):
        [found, *_] = guides.find_sections("restore back")
        assert (found.title, found.url) == ("Back up and restore", "/docs/running/#back-up-and-restore")
        assert guides.find_sections("zzzzqq") == []
        assert guides.find_sections("train a style")[0].url == "/docs/training/"
    with override("de"):
        assert "/docs/team/#roles" in [one.url for one in guides.find_sections("rollen")]


def test_an_old_address_of_the_search_leads_to_the_new_one(client):
    answer = client.get(reverse("guides"), {"q": "idempotency key"})
    assert answer.headers["Location"] == "/docs/search/?q=idempotency+key"


def test_until_the_pages_are_made_the_site_says_so(settings, tmp_path, monkeypatch, client):
    monkeypatch.setattr(guides, "BUILT", tmp_path / "built")
    answer = client.get(reverse("guide", args=["team"]))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The docs are being built." in answer.text
    assert guides.find_sections("team") == []


@pytest.mark.parametrize(
    "path", ["nothing/", "../settings/", "../../SECURITY.md", "../de/searchindex.js", "nothing.css"]
)
def test_what_is_no_part_of_a_guide_is_404(client, path):
    assert client.get(f"/docs/{path}").status_code == 404
