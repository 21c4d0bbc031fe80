"""Pages in a real Chromium, served by the tests themselves: no engine is needed."""

from collections.abc import Iterator

import pytest
from django.db import connection
from playwright.sync_api import Browser, sync_playwright

from tests.chromium import launch


@pytest.fixture
def browser(monkeypatch) -> Iterator[Browser]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in this thread
    with sync_playwright() as playwright:
        yield launch(playwright)
        connection.close()  # the test's own, beside Playwright's loop: nobody else would give it back
