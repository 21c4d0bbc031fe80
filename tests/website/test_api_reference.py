"""The reference's pages: each operation of the document once, with its fields and code that runs."""

import json
import re
import shlex
from collections.abc import Iterator
from html import unescape
from operator import attrgetter
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.operations.builders import Page
from website import api_schema
from website.api_reference import Operation, list_groups
from website.api_samples import ANTHROPIC, OPENAI


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    visitor = Client()
    slugs = [group.slug for group in list_groups()]
    return {slug: visitor.get(reverse("api_reference_group", args=[slug])).text for slug in slugs}


def list_operations() -> list[Operation]:
    return [operation for group in list_groups() for operation in group.operations]


def described_operations() -> Iterator[dict[str, Any]]:
    for methods in api_schema.document()["paths"].values():
        yield from methods.values()


def fields_of(schema: dict[str, Any]) -> set[str]:
    """Return the names of an object's own fields, or of an array's objects."""
    while "$ref" in schema or "items" in schema:
        if "items" in schema:
            schema = schema["items"]
        else:
            name = schema["$ref"].rpartition("/")[2]
            schema = api_schema.document()["components"]["schemas"][name]
    return set(schema.get("properties", {}))


def articles_of(page: str) -> dict[str, str]:
    """Return each operation's part of a page by its anchor."""
    parts = re.split(r'<article class="operation" id="([^"]+)"', page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_operation_is_on_one_page_with_all_its_fields(pages):
    articles = [item for page in pages.values() for item in articles_of(page).items()]
    known = dict(articles)
    assert len(articles) == len(known) == len(list(described_operations()))
    for described in described_operations():
        article = known[described["operationId"].replace(".", "-")]
        shown = {unescape(name).rpartition(".")[2] for name in re.findall(r'row">\s*<code>([^<]+)', article)}
        names = {parameter["name"] for parameter in described.get("parameters", [])}
        answers = [body for status, body in described["responses"].items() if status < "300"]
        for body in [described.get("requestBody", {}), *answers]:
            for content in body.get("content", {}).values():
                names |= fields_of(content.get("schema", {}))
        assert names <= shown, described["operationId"]


def test_the_index_leads_to_every_operation(client, pages):
    links = set(Page(client.get(reverse("api_reference")).text).links)
    for group in list_groups():
        ids = Page(pages[group.slug]).ids
        assert len(ids) == len(set(ids)), group.slug
        for operation in group.operations:
            assert f"{group.url}#{operation.anchor}" in links
    assert reverse("api_schema") in links
    assert client.get(reverse("api_reference_group", args=["nothing"])).status_code == 404


def test_a_page_needs_no_script(pages):
    for page in pages.values():
        assert "<script>" not in page
        assert page.count('role="tabpanel"') == 3 * page.count("data-operation")


def test_samples_are_code_that_sends_the_example(subtests):
    for operation in list_operations():
        with subtests.test(operation.id):
            curl, python, javascript = operation.samples
            words = shlex.split(curl.text.replace("\\\n", ""))
            assert "curl" in words
            body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
            compile(python.text, operation.id, "exec")
            for name in body or {}:
                assert name in python.text
                assert name in javascript.text


def test_official_clients_have_the_methods_that_samples_call():
    # Imported here: they take more than a second, also of a run that has no test of this file.
    from anthropic import Anthropic  # noqa: PLC0415
    from openai import OpenAI  # noqa: PLC0415

    known = {operation.id for operation in list_operations()}
    for client, methods in ((OpenAI(api_key="none"), OPENAI), (Anthropic(api_key="none"), ANTHROPIC)):
        assert methods.keys() <= known
        for method in methods.values():
            assert callable(attrgetter(method)(client)), method
