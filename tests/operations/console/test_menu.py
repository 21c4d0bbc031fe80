"""The console's menu: whatever has a list stands in it, and each operator sees only what they may open."""

import hashlib
from pathlib import Path

import pytest
import unfold
from django.contrib import admin
from django.urls import reverse

from operations.console.menu import ADVANCED, MENU
from stack.folders import ROOT
from tests.operations.builders import clerk

# Of unfold's templates that ours were made from. Where one of these changes, take its changes over.
UNFOLDS = Path(unfold.__file__).parent / "templates"
MADE_FROM: dict[str, str] = {
    "admin/base.html": "7428a8411d69",
    "admin/index.html": "dd345254af4f",
    "unfold/helpers/boolean.html": "f6431424053f",
    "unfold/helpers/change_list_filter_button.html": "f5492043bcfa",
    "unfold/helpers/change_list_filter_vertical.html": "6b9dffc9312c",
    "unfold/helpers/edit_inline/tabular_field.html": "ab1aab4fedf9",
    "unfold/helpers/edit_inline/tabular_heading.html": "eef46d03bc16",
    "unfold/helpers/empty_results.html": "830db82d60f5",
    "unfold/helpers/navigation_header.html": "ebf1a6c9aa19",
    "unfold/helpers/navigation_user.html": "df49db2d72d7",
    "unfold/helpers/theme_switch.html": "34db9918846b",
    "unfold/helpers/welcomemsg.html": "91ac76169f4c",
}


def test_every_list_stands_in_the_menu_once():
    listed = [page for pages in MENU.values() for page in pages if isinstance(page, str)]
    assert sorted(listed) == sorted(model._meta.label for model in admin.site._registry)


def test_the_menu_is_short_and_the_rest_is_folded():
    assert sum(len(pages) for title, pages in MENU.items() if title != ADVANCED) <= 25


@pytest.mark.django_db
def test_the_menu_names_what_an_operator_may_open(operator_client):
    page = operator_client.get(reverse("admin:index"))
    for group in page.context["sidebar_navigation"]:
        for item in group["items"]:
            assert operator_client.get(item["link"]).status_code == 200, item["title"]
            assert item["title"] in page.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["adapters_style_queue", "adapters_style_changelist", "index", "jobs", "watermark", "margins"]
)
def test_the_menu_marks_the_open_page_alone(operator_client, name):
    address = reverse(f"admin:{name}")
    groups = operator_client.get(address).context["sidebar_navigation"]
    marked = [item["link"] for group in groups for item in group["items"] if item["active"]]
    assert marked == [address]


@pytest.mark.django_db
def test_a_role_sees_no_more_in_the_menu_than_it_may_open():
    client = clerk("Engineer")
    navigation = client.get(reverse("admin:index")).context["sidebar_navigation"]
    items = [item for group in navigation for item in group["items"]]
    refused = [item["title"] for item in items if client.get(item["link"]).status_code != 200]
    assert refused == [item["title"] for item in items if not item["has_permission"]]
    assert "Invoices" in refused
    assert "Engines" not in refused


@pytest.mark.django_db
def test_an_empty_list_says_so_in_english_and_leads_back(operator_client):
    page = operator_client.get(reverse("admin:adapters_style_changelist") + "?q=nothing")
    assert "No results found" in page.text
    assert "yielded" not in page.text
    assert "Reset filters" in page.text


def test_unfolds_templates_are_those_that_ours_were_made_from():
    ours = [file.relative_to(ROOT / "templates") for file in (ROOT / "templates").rglob("*.html")]
    shared = sorted(str(file) for file in ours if (UNFOLDS / file).exists())
    digests = {file: hashlib.sha256((UNFOLDS / file).read_bytes()).hexdigest()[:12] for file in shared}
    assert digests == MADE_FROM
