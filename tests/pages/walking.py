"""A walk through pages in a real Chromium: accessible, silent, narrow, light, and nothing moves by itself.

axe-core runs at two widths, and its contrast rule in both themes. With SCREENS=folder each page is also
drawn, and axe-core runs at four widths: `make screens`.
"""

import gzip
import os
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.http import HttpRequest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response
from playwright.sync_api import Error as PlaywrightError
from pytest_django.live_server_helper import LiveServer

from tenants.models import User

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
WIDE = {"width": 1280, "height": 900}
TABLET = {"width": 768, "height": 1024}
LARGE = {"width": 1920, "height": 1080}
PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}
EVERYTHING: dict[str, Any] = {"resultTypes": ["violations"]}
CONTRAST = {**EVERYTHING, "runOnly": ["color-contrast"]}
SLOWEST_MS = 90_000  # a long page with everything open is drawn slowly beside a busy engine
MOST_DIALOGS = 5  # of one page: a list has the same one in each row
MAX_RESULT = 600  # characters of one violation
MAX_FIRST_LOAD_BYTES = 150_000  # of a page with all that it loads, compressed
PRIMARY_BUTTONS = """
    [...document.querySelectorAll("main .button-primary")]
        .filter((button) => button.checkVisibility())
        .map((button) => button.textContent.trim())
"""
MAX_LAYOUT_SHIFT = 0.005  # a line of text that moves is 0.02 and more
COMPRESSED_ALREADY = (".woff2", ".png", ".jpg")
FORMS = "[...document.querySelectorAll('form')].filter((form) => form.querySelector('[required]'))"
SEND_EMPTY = f"""(number) => {{
    const form = {FORMS}[number];
    form.noValidate = true;
    for (const field of form.querySelectorAll("[required]")) {{
        if (field.type === "radio" || field.type === "checkbox") field.checked = false;
        else field.value = "";
    }}
    let leaves = false;
    addEventListener("submit", (event) => {{ leaves = !event.defaultPrevented; }}, {{ once: true }});
    document.documentElement.dataset.left = "";
    form.requestSubmit();
    return leaves && form.method !== "dialog";
}}"""
WATCH_SHIFTS = """
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            if (entry.hadRecentInput) continue;
            const moved = entry.sources.map(({ node }) => node && (node.outerHTML ?? node.data).slice(0, 80));
            shifts.push({ value: entry.value, moved });
        }
    }).observe({ type: "layout-shift", buffered: true });
"""
LOADED = "performance.getEntriesByType('resource').map(({ name }) => name)"
RUNNING = "document.getAnimations().filter(({ playState }) => playState === 'running').length"
AFTER_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass
class Walk:
    """One person's walk. `faults` gathers what is wrong, in words; `is_brief` leaves out empty forms."""

    context: BrowserContext
    who: str
    faults: list[str]
    is_brief: bool = False
    language: str = "en"
    sizes: dict[str, int] = field(default_factory=dict)  # address → bytes, compressed

    def __post_init__(self) -> None:
        self.context.set_default_timeout(SLOWEST_MS)
        self.context.add_init_script(WATCH_SHIFTS)

    def see(self, addresses: list[str], *, status: int | None = None) -> None:
        """Look at pages; each must answer with the status, if one is given."""
        for address in addresses:
            page = self.context.new_page()
            told: list[str] = []
            page.on("console", partial(_note_error, told))
            try:
                answered = self._look_at(page, address, told)
            except PlaywrightError as error:
                error.add_note(f"on {address}")
                raise
            page.close()
            if status and answered != status:
                told.append(f"answers {answered}, not {status}")
            expected = f"{answered} (" if answered >= 400 else None
            self.faults += [
                f"{self.who} {address}: {one}" for one in told if not (expected and expected in one)
            ]

    def _look_at(self, page: Page, address: str, told: list[str]) -> int:
        """Look at a page at all widths and in both themes; return its status."""
        page.set_viewport_size(WIDE)
        # Without motion: axe would measure colours half way from one theme to the other.
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 (Playwright marks the function)
        status = page.goto(address, wait_until="load").status  # type: ignore[union-attr]
        language = page.locator("html").get_attribute("lang")
        if language != self.language:
            told.append(f"is in {language}, not in {self.language}")
        told += check_shifts(page, "wide")
        moving = page.evaluate(RUNNING)
        if moving:
            told.append(f"{moving} animations run where a person wants no motion")
        told += self._check_weight(page, answers)
        told += check_buttons(page)
        page.evaluate(AXE)
        told += check(page, "wide", EVERYTHING)
        draw(page, address, "wide-light", who=f"{self.who}-")
        page.set_viewport_size(PHONE)
        told += check(page, "phone", EVERYTHING)
        draw(page, address, "phone-light", who=f"{self.who}-")
        page.emulate_media(color_scheme="dark")
        told += check(page, "phone, dark", CONTRAST)
        draw(page, address, "phone-dark", who=f"{self.who}-")
        if not self.is_brief:
            page.set_viewport_size(WIDE)
            told += check(page, "wide, dark", CONTRAST)
            draw(page, address, "wide-dark", who=f"{self.who}-")
        for size, name in ((LARGE, "large"), (TABLET, "tablet")):
            page.set_viewport_size(size)
            told += check_width(page)
            if os.environ.get("SCREENS"):
                told += check(page, f"{name}, dark", EVERYTHING)
                draw(page, address, f"{name}-dark", who=f"{self.who}-")
                page.emulate_media(color_scheme="light")
                told += check(page, f"{name}, light", EVERYTHING)
                page.emulate_media(color_scheme="dark")
        page.set_viewport_size(SMALLEST)
        told += check_width(page)
        told += check_openings(page)
        page.goto(address, wait_until="load")
        told += check_shifts(page, "phone")
        if not self.is_brief:
            count = len(told)
            found = check_errors(page, address)
            del told[count:]  # the console tells of each form that is refused
            told += found
        return status

    def _check_weight(self, page: Page, answers: list[Response]) -> list[str]:
        """Return whether a page is too large for whoever has nothing of it yet."""
        for answer in answers:
            if answer.ok and answer.url not in self.sizes:
                self.sizes[answer.url] = _compressed_bytes(answer)
        loaded = {page.url, *page.evaluate(LOADED)}
        size = sum(self.sizes.get(url, 0) for url in loaded)
        return [f"loads {size:,} bytes"] if size > MAX_FIRST_LOAD_BYTES else []


def check_buttons(page: Page) -> list[str]:
    """Return whether a page has more than one primary button."""
    primary = page.evaluate(PRIMARY_BUTTONS)
    return [f"has several primary buttons: {primary}"] if len(primary) > 1 else []


def draw(page: Page, address: str, name: str, *, who: str = "") -> None:
    """Keep a picture of the whole page when SCREENS names a folder."""
    folder = os.environ.get("SCREENS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = address.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "home"
    page.evaluate("scrollTo(0, 0)")  # what is stuck to an edge is drawn where it stands
    path = f"{folder}/{who}{file}-{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=70, full_page=True)


def enter(browser: Browser, server: LiveServer, client: Client, **options: Any) -> BrowserContext:
    """Return a browser that is logged in as a test's client is."""
    context = browser.new_context(base_url=server.url, viewport=WIDE, **options)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    return context


def prove_who_it_is(client: Client, user: User) -> None:
    """Let a session count as proved just now: pages about factors ask for that."""
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, user, method="password", reauthenticated=True)
    request.session.save()


def check(page: Page, where: str, options: dict[str, Any]) -> list[str]:
    """Return what axe has against a page, in words."""
    found = page.evaluate("options => axe.run(document, options)", options)
    told = []
    for violation in found["violations"]:
        nodes = "; ".join(f"{node['html'][:110]} ({node['target']})" for node in violation["nodes"][:3])
        told.append(f"[{where}] {violation['id']}: {violation['help']}: {nodes}"[:MAX_RESULT])
    return told


def check_width(page: Page) -> list[str]:
    """Return whether the page has to be scrolled sideways, and what reaches out farthest."""
    limit = page.viewport_size["width"]  # type: ignore[index]
    page.evaluate(AFTER_TWO_FRAMES)  # a busy browser takes a new size later
    width = page.evaluate("document.documentElement.scrollWidth")
    if width <= limit:
        return []
    widest = page.evaluate(
        """(limit) => [...document.querySelectorAll("main *")]
            .filter((node) => node.getBoundingClientRect().right > limit + 1)
            .map((node) => node.outerHTML.slice(0, 90)).slice(-3)""",
        limit,
    )
    return [f"is {width} px wide on a screen of {limit}: {widest}"]


def check_shifts(page: Page, where: str) -> list[str]:
    """Return what moved by itself since the page began to load."""
    page.evaluate(AFTER_TWO_FRAMES)
    shifts = page.evaluate("shifts")
    total = sum(shift["value"] for shift in shifts)
    if total <= MAX_LAYOUT_SHIFT:
        return []
    moved = [shift["moved"] for shift in shifts]
    return [f"[{where}] moves by itself, {total:.3f}: {moved}"[:MAX_RESULT]]


def check_openings(page: Page) -> list[str]:
    """Return what axe has against a page with every disclosure and menu open, and against each dialog."""
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="light")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    told = check(page, "all open", EVERYTHING)
    openers = page.locator("[data-opens]:visible, [popovertarget]:visible")
    for number in range(min(openers.count(), MOST_DIALOGS)):
        openers.nth(number).click()
        told += check(page, "dialog", EVERYTHING)
        page.keyboard.press("Escape")
    return told


def check_errors(page: Page, address: str) -> list[str]:
    """Return what axe has against a page after each form with required fields was sent empty."""
    told = []
    count = page.evaluate(f"{FORMS}.length")
    for number in range(count):
        if number:
            page.goto(address, wait_until="load")
        send_empty(page, number)
        page.evaluate(AXE)
        told += check(page, f"form {number} sent empty", EVERYTHING)
    return told


def send_empty(page: Page, number: int) -> None:
    """Send a form of FORMS without what it requires; return once its answer is there, or a script took it."""
    if page.evaluate(SEND_EMPTY, number):
        # The browser leaves the page some time later: until then, it is the old one that is loaded.
        page.locator("html:not([data-left])").wait_for(state="attached")
    page.wait_for_load_state("networkidle")


def _compressed_bytes(answer: Response) -> int:
    """Return how large an answer is, compressed as servers of static files compress."""
    body = answer.body()
    return len(body) if answer.url.endswith(COMPRESSED_ALREADY) else len(gzip.compress(body, 6))


def _note_error(told: list[str], message: ConsoleMessage) -> None:
    if message.type == "error":
        told.append(message.text)
