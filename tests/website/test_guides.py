"""The docs on the site: every guide, every link between them, the search; and what raw HTML becomes."""

import re
from collections.abc import Iterator
from urllib.parse import urldefrag, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from tests.operations.builders import Page
from website import guides
from website.guide_search import search


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Each guide by its address, as a visitor gets it."""
    addresses = [reverse("guide", args=[slug]) for slug in guides.guide_paths()]
    return {address: Client().get(address).text for address in addresses}


def leads_somewhere(link: str, ids: dict[str, list[str]]) -> bool:
    address, anchor = urldefrag(link)
    return address in ids and (not anchor or anchor in ids[address])


@pytest.mark.django_db
def test_every_link_of_a_guide_leads_somewhere(client, texts):
    """Each address is asked for once, whichever guides lead to it."""
    pages = {address: Page(text) for address, text in texts.items()}
    ids = {address: page.ids for address, page in pages.items()}
    assert [address for address, of_page in ids.items() if len(set(of_page)) < len(of_page)] == []
    links = set()
    for here, page in pages.items():
        links |= {f"{here}{link}" if link.startswith("#") else link for link in page.links}
    links = {link for link in links if urlsplit(link).scheme not in ("https", "mailto")}
    assert [link for link in links if not link.startswith("/")] == [], "no addresses of the site"
    for address in {urldefrag(link).url for link in links} - ids.keys():
        answer = client.get(address)
        if answer.status_code in (200, 302):
            ids[address] = Page(answer.text).ids
    assert [link for link in links if not leads_somewhere(link, ids)] == []


def test_a_shelf_for_writers_has_no_english_title_for_a_german_reader():
    """The English title is what the guide is called there, so that no name is outdated."""
    with override("de"):
        shelves = [shelf for shelf in guides.shelves() if not shelf.is_for_operators]
        foreign = {guide.slug: guide for shelf in shelves for guide in shelf.guides if guide.is_foreign}
        assert foreign.keys() == guides.NAMES.keys()
        assert not [slug for slug, guide in foreign.items() if guide.name == guide.title]
    with override("en"):
        assert {slug: str(name) for slug, name in guides.NAMES.items()} == {
            slug: guide.title for slug, guide in foreign.items()
        }


def test_every_guide_on_a_shelf_has_a_written_summary():
    on_shelves = {slug for _, shelf in guides.SHELVES for slug in shelf}
    assert set(guides.SUMMARIES) == on_shelves


def test_every_file_of_docs_is_a_guide(settings):
    files = {f"docs/{file.name}" for file in (settings.BASE_DIR / "docs").glob("*.md")}
    assert files <= set(guides.guide_paths().values())


def test_decisions_are_for_developers_and_not_on_the_site(client):
    assert client.get("/docs/decision-0001-platform-is-a-source-root/").status_code == 404
    assert not [path for path in guides.guide_paths().values() if "decisions" in path]


def test_a_guide_has_its_tables_code_and_headings(client):
    page = client.get(reverse("guide", args=["writing-with-the-api"])).text
    assert page.count("<h1") == 1
    assert '<h2 id="limits">' in page
    assert "<table>" in page
    assert '<pre tabindex="0"><code>' in page


@pytest.mark.parametrize(
    ("text", "never"),
    [("<script>alert(1)</script>", "<script>"), ("[x](javascript:alert(1))", 'href="javascript')],
)
def test_a_guide_is_text_not_html(settings, tmp_path, text, never):
    (tmp_path / "guide.md").write_text(f"# Guide\n\n{text}\n")
    settings.BASE_DIR = tmp_path
    assert never not in guides._read_guide("guide", "guide.md").html


def test_a_guide_has_no_style_in_its_markup(texts):
    assert [slug for slug, text in texts.items() if ' style="' in text] == []


def test_a_column_is_aligned_as_its_text_says(client):
    page = client.get(reverse("guide", args=["probing"])).text
    assert '<th>adapter</th>\n<th data-align="right">bfloat16</th>' in page


def test_two_headings_of_one_name_have_anchors_of_their_own(settings, tmp_path):
    (tmp_path / "guide.md").write_text("# Guide\n\n## Files\n\n## Files\n")
    settings.BASE_DIR = tmp_path
    anchors = [one.anchor for one in guides._read_guide("guide", "guide.md").headings]
    assert anchors == ["files", "files-1"]


def test_the_search_finds_sections_by_the_beginnings_of_their_words(client):
    page = client.get(reverse("guides"), {"q": "idempotency key"})
    hits = page.context["hits"]
    assert hits
    for hit in hits:
        assert re.search("idempotency", f"{hit.section.title} {hit.section.text}", re.IGNORECASE)
        address, anchor = urldefrag(hit.url)
        assert not anchor or anchor in Page(client.get(address).text).ids
    assert client.get(reverse("guides"), {"q": "IDEMPOT"}).context["hits"]


def test_a_section_is_found_by_its_title_first_and_shown_with_the_words_around(client):
    [first, *_] = client.get(reverse("guides"), {"q": "max_tokens"}).context["hits"]
    assert re.search("max.tokens", f"{first.section.title} {first.section.text}")
    [first, *_] = client.get(reverse("guides"), {"q": "back restore"}).context["hits"]
    assert first.section.title == "Back up and restore"
    assert len(first.snippet.split()) <= 32


QUESTIONS = [
    ("en", "train on my own writing", "training"),
    ("en", "own texts", "training"),
    ("en", "my novel", "training"),
    ("en", "How do I train a style on my book?", "training"),
    ("en", "what does it cost", "getting-started"),
    ("en", "create an API key", "team"),
    ("en", "Obsidian", "editors"),
    ("en", "LibreOffice", "editors"),
    ("en", "Open WebUI", "editors"),
    ("en", "upload a LoRA adapter", "adapters"),
    ("en", "zzzzqq openai fine-tuning", "fine-tuning"),
    ("de", "aus meinen eigenen Texten trainieren", "training"),
    ("de", "eigene Texte", "training"),
    ("de", "mein Roman", "training"),
    ("de", "Obsidian", "editors"),
    ("de", "Konto löschen", "team"),
]


@pytest.mark.parametrize(("language", "question", "slug"), QUESTIONS)
def test_a_question_in_a_persons_own_words_finds_the_guide_first(language, question, slug):
    with override(language):
        [first, *_] = search(question)
    assert first.guide.slug == slug


def test_the_list_begins_with_first_steps_and_ends_with_what_is_for_operators(client):
    *others, last = client.get(reverse("guides")).context["shelves"]
    assert [guide.slug for shelf in others for guide in shelf.guides][:3] == [
        "getting-started",
        "styles",
        "editors",
    ]
    assert {"running", "settings", "watching", "retention", "scaling", "security"} <= {
        guide.slug for guide in last.guides
    }


@pytest.mark.parametrize("question", ["", "zzzzqq", "<zzz>", "%", "a" * 1000, "\x00"])
def test_a_search_that_finds_nothing_shows_the_guides(client, question):
    page = client.get(reverse("guides"), {"q": question})
    assert page.status_code == 200
    assert "Make your own style" in page.text
    assert "<zzz>" not in page.text


@pytest.fixture
def untrained(settings) -> Iterator[None]:
    """Let the site be one that trains no styles. Guides are kept for the process, so they are read anew."""
    settings.TRAINING = False
    for cached in (guides.guide_paths, guides._load_guide):
        cached.cache_clear()
    yield
    for cached in (guides.guide_paths, guides._load_guide):
        cached.cache_clear()


def test_a_site_that_trains_no_styles_has_no_guide_to_it(client, untrained):
    address = "/docs/training/"
    assert client.get(address).status_code == 404
    assert address not in Page(client.get(reverse("guides")).text).links
    assert address not in Page(client.get(reverse("guide", args=["billing"])).text).links


def test_an_unknown_guide_is_404(client):
    assert client.get("/docs/../settings/").status_code == 404
    assert client.get("/docs/nothing/").status_code == 404
