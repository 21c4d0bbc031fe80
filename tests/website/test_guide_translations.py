"""A translated guide is the English one in other words: the same blocks, headings, links and tables."""

import posixpath
from collections.abc import Iterator

import pytest
from django.urls import reverse
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stack.folders import ROOT
from tests.operations.builders import Page
from website import catalogs, guides
from website.guide_translations import changed_guides, original_of, translated_guides, translation_of

GERMAN = {"Accept-Language": "de"}
TRANSLATED = [(path, language) for language in catalogs.languages() for path in translated_guides(language)]
FOR_READERS_OF_STATISTICS = "docs/evidence.md"  # stays English
of_each = pytest.mark.parametrize(("path", "language"), TRANSLATED)


def parse(path: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse((ROOT / path).read_text())


def children_of(path: str) -> Iterator[Token]:
    for token in parse(path):
        yield from token.children or []


def shapes_of(path: str) -> list[str]:
    """Return what a text is made of, block by block: headings with their level, lists, paragraphs, tables."""
    return [token.tag for token in parse(path) if token.type.endswith("_open")]


def code_of(path: str) -> list[tuple[str, str]]:
    """Return the blocks of code with their languages."""
    return [(token.info, token.content) for token in parse(path) if token.type in ("fence", "code_block")]


def inline_code_of(path: str) -> list[str]:
    return sorted(token.content for token in children_of(path) if token.type == "code_inline")


def targets_of(path: str, language: str) -> list[str]:
    """Return where links and pictures lead, seen from docs/ and in the English text's order or not."""
    links = [token.attrs.get("href") or token.attrs.get("src") for token in children_of(path)]
    return sorted(resolve(str(link), path, language) for link in links if link)


def resolve(link: str, path: str, language: str) -> str:
    if link.startswith(("#", "https:", "mailto:")):
        return link
    return original_of(posixpath.normpath(posixpath.join(posixpath.dirname(path), link)), language)


@of_each
def test_it_has_the_structure_of_the_english_text(path, language):
    translation = translation_of(path, language)
    assert shapes_of(translation) == shapes_of(path)
    assert code_of(translation) == code_of(path)
    assert inline_code_of(translation) == inline_code_of(path)
    assert targets_of(translation, language) == targets_of(path, language)


@pytest.mark.parametrize("language", catalogs.languages())
def test_every_guide_for_writers_is_translated(language):
    for_writers = guides.GETTING_STARTED | guides.OWN_STYLE | guides.WORKSPACE
    assert set(translated_guides(language)) == set(for_writers.values()) - {FOR_READERS_OF_STATISTICS}


@of_each
def test_its_links_lead_to_files(path, language):
    translation = translation_of(path, language)
    for token in children_of(translation):
        link = str(token.attrs.get("href") or token.attrs.get("src") or "").partition("#")[0]
        if link and not link.startswith(("https:", "mailto:")):
            assert (ROOT / translation).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("language", catalogs.languages())
def test_no_guide_changed_since_it_was_translated(language):
    assert changed_guides(language) == {}, (
        f"translate what changed, then update locale/{language}/guides.json"
    )


@pytest.mark.parametrize("language", catalogs.languages())
def test_a_guide_has_the_same_anchors_in_every_language(language):
    assert anchors_in(language) == anchors_in("en")


def anchors_in(language: str) -> dict[str, list[str]]:
    return {guide.slug: Page(guide.html).ids for guide in guides.list_guides(language)}


def test_a_translated_guide_is_shown_in_the_readers_language(client):
    page = client.get(reverse("guide", args=["team"]), headers=GERMAN).text
    assert '<article class="prose">' in page
    assert '<h2 id="roles">Rollen</h2>' in page
    assert 'aria-label="Tabelle"' in page
    assert "Diese Seite gibt es nur auf Englisch." not in page
    assert '<h2 id="roles">Roles</h2>' in client.get(reverse("guide", args=["team"])).text


def test_a_guide_that_is_not_translated_is_marked_as_english(client):
    address = reverse("guide", args=["running"])
    page = client.get(address, headers=GERMAN).text
    assert '<article class="prose" lang="en">' in page
    assert "Diese Seite gibt es nur auf Englisch." in page
    page = client.get(address).text
    assert '<article class="prose">' in page
    assert "only available in English" not in page


def test_the_list_has_titles_in_the_readers_language_and_the_api_reference(client):
    page = client.get(reverse("guides"), headers=GERMAN).text
    page = " ".join(page.split())
    assert guides.load_guide("team").title not in page
    assert f'<li> <a lang="en" href="{reverse("guide", args=["running"])}">' in page
    assert f'<li> <a href="{reverse("guide", args=["team"])}">' in page
    assert f'href="{reverse("api_reference")}"' in page


def test_the_search_looks_in_the_language_that_is_shown(client):
    def found(word: str, **headers: str) -> set[str]:
        page = client.get(reverse("guides"), {"q": word}, headers=headers)
        return {hit.guide.path for hit in page.context["hits"]}

    assert "docs/de/team.md" in found("Inhaber", **GERMAN)
    assert "docs/team.md" not in found("owner", **GERMAN)
    assert "docs/team.md" in found("owner")
    assert found("Inhaber") == set()
