"""A real Chromium, and pictures of what it shows."""

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, expect

SILENT = [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", *SILENT]
# Playwright waits five seconds, in which a busy machine may not come to draw a page.
expect.set_options(timeout=60_000)


def launch(playwright: Playwright, *flags: str) -> Browser:
    path = shutil.which("chromium") or shutil.which("google-chrome") or "/usr/bin/chromium"
    return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])


def look(page: Page, name: str) -> None:
    """Keep a picture of the page when SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
