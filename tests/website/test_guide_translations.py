"""A translated guide is the English one in other words: the same blocks, headings, links and tables."""

import posixpath
import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stack.folders import ROOT
from stack.guides import ENTRY, guide_paths, name_of, original_of, resolve, translation_of
from website import catalogs

GERMAN = {"Accept-Language": "de"}
FOR_WRITERS = (1, 2, 4)  # shelves of docs/index.md
FOR_READERS_OF_STATISTICS = "docs/evidence.md"  # stays English


def translated_guides(language: str) -> list[str]:
    return [path for path in guide_paths() if (ROOT / translation_of(path, language)).exists()]


TRANSLATED = [(path, language) for language in catalogs.languages() for path in translated_guides(language)]
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


def targets_of(path: str) -> list[str]:
    """Return where links and pictures lead, seen from docs/ and in the English text's order or not."""
    links = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in children_of(path)]
    return sorted(resolve_file(link, path) for link in links if link)


def resolve_file(link: str, path: str) -> str:
    if link.startswith(("#", "/", "https:", "mailto:")):
        return link
    file, mark, anchor = link.partition("#")
    return f"{resolve(file, path)}{mark}{anchor}"


@of_each
def test_it_has_the_structure_of_the_english_text(path, language):
    translation = translation_of(path, language)
    assert shapes_of(translation) == shapes_of(path)
    assert code_of(translation) == code_of(path)
    assert inline_code_of(translation) == inline_code_of(path)
    assert targets_of(translation) == targets_of(path)


@pytest.mark.parametrize("language", catalogs.languages())
def test_every_guide_for_writers_is_translated(language):
    shelves = (ROOT / "docs/index.md").read_text().split("\n## ")
    for_writers = {"docs/index.md"}
    for number in FOR_WRITERS:
        for_writers |= {posixpath.join("docs", link) for _, link, _ in ENTRY.findall(shelves[number])}
    assert set(translated_guides(language)) == for_writers - {FOR_READERS_OF_STATISTICS}


@pytest.mark.parametrize("language", catalogs.languages())
def test_every_translation_is_of_a_guide(language):
    files = [f"docs/{language}/{file.name}" for file in (ROOT / "docs" / language).glob("*.md")]
    assert {original_of(file) for file in files} <= set(guide_paths())


@of_each
def test_its_links_lead_to_files(path, language):
    translation = translation_of(path, language)
    for token in children_of(translation):
        link = str(token.attrs.get("href") or token.attrs.get("src") or "").partition("#")[0]
        if link and not link.startswith(("/", "https:", "mailto:")):
            assert (ROOT / translation).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("language", catalogs.languages())
def test_no_guide_changed_since_it_was_translated(language):
    assert catalogs.changed_guides(language) == {}, (
        f"translate what changed, then update locale/{language}/guides.json"
    )


@pytest.mark.parametrize("language", catalogs.languages())
def test_a_guide_has_the_same_anchors_in_every_language(language):
    assert anchors_in(language) == anchors_in("en")


def anchors_in(language: str) -> dict[str, list[str]]:
    visitor = Client(headers={"Accept-Language": language})
    names = [name_of(path) for path in translated_guides("de") if path != "docs/index.md"]
    pages = {name: visitor.get(reverse("guide", args=[name])).text for name in names}
    return {name: re.findall(r'<section id="([^"]+)"', page) for name, page in pages.items()}


def test_a_translated_guide_is_shown_in_the_readers_language(client):
    page = client.get(reverse("guide", args=["team"]), headers=GERMAN).text
    assert re.search(r'<section id="roles">\s*<h2>Rollen<', page)
    assert "Diese Seite gibt es nur auf Englisch." not in page
    assert "Auf dieser Seite" in page
    assert re.search(r'<section id="roles">\s*<h2>Roles<', client.get(reverse("guide", args=["team"])).text)


def test_a_guide_that_is_not_translated_is_marked_as_english(client):
    page = client.get(reverse("guide", args=["running"]), headers=GERMAN).text
    assert '<p class="foreign">Diese Seite gibt es nur auf Englisch.</p><div lang="en">' in page
    assert 'class="foreign"' not in client.get(reverse("guide", args=["running"])).text


def test_the_list_has_titles_in_the_readers_language_and_the_api_reference(client):
    page = client.get(reverse("guides"), headers=GERMAN).text
    assert "Team und Einstellungen" in page
    assert "Team and settings" not in page
    assert f'href="{reverse("api_reference")}"' in page
