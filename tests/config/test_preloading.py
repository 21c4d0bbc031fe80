"""A page is whole when its process starts: its first visitor waits for no template."""

from typing import Any

import pytest
from django.template.loaders.filesystem import Loader
from django.test import Client
from django.urls import reverse

from config.preloading import load_pages

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["home", "billing:prices", "status", "guides"])
def test_a_page_reads_no_template_once_all_are_loaded(
    name: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_loader: Loader, origin: Any) -> str:
        raise AssertionError(f"{origin} was read for a visitor")

    load_pages()
    monkeypatch.setattr(Loader, "get_contents", refuse)

    assert client.get(reverse(name)).status_code == 200
