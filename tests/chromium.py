"""A real Chromium, and pictures of what it shows."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

SILENT = [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", *SILENT]
# Playwright waits five seconds, in which a busy machine may not come to draw a page.
expect.set_options(timeout=60_000)


def launch(playwright: Playwright, *flags: str) -> Browser:
    path = shutil.which("chromium") or shutil.which("google-chrome") or "/usr/bin/chromium"
    return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])


class Chromium:
    """One Chromium for many tests, beside tests that need none.

    Playwright marks this thread as one in which its event loop runs: asyncio starts no other loop there, and
    Django opens other connections. So the mark is there only while a test uses the browser.
    """

    def __init__(self) -> None:
        self._manager = sync_playwright()
        self._playwright = self._manager.start()
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        self._browser: Browser | None = None

    @contextmanager
    def browser(self) -> Iterator[Browser]:
        """Lend the browser, started again if it has crashed; close at the end what was opened in it."""
        with self._marked():
            if self._browser is None or not answers(self._browser):
                self._browser = launch(self._playwright)
            yield self._browser
            with suppress(PlaywrightError):  # it may have crashed
                for context in self._browser.contexts:
                    context.close()

    def close(self) -> None:
        with self._marked():
            self._manager.__exit__()

    @contextmanager
    def _marked(self) -> Iterator[None]:
        asyncio._set_running_loop(self._loop)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)


def answers(browser: Browser) -> bool:
    """Return whether a browser runs. Between tests nothing reports that it has ended, so we ask it."""
    try:
        browser.new_context().close()
    except PlaywrightError:
        return False
    return True


def follow(target: Locator) -> None:
    """Click on what leads to another page, and wait for its scripts, which hear nothing before."""
    with target.page.expect_navigation():
        target.click()


def look(page: Page, name: str) -> None:
    """Keep a picture of the page when SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
