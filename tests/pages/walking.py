"""A walk through pages in a real Chromium: accessible, silent, narrow, light, and nothing moves by itself.

axe-core looks at a page whole once: on a phone, with every disclosure open. After that it looks at what it
has not seen: what only a wide screen shows, what opens, what a refused form says. In the other theme it looks
at contrast. In another language only widths are measured: the words are longer, the elements the same.
With SCREENS=folder each page is also drawn, and axe-core runs whole at four widths: `make screens`.
"""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

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
DRAWN = {"wide": WIDE, "phone": PHONE, "large": LARGE, "tablet": TABLET}
EVERYTHING: dict[str, Any] = {"resultTypes": ["violations"]}
CONTRAST = {**EVERYTHING, "runOnly": ["color-contrast"]}
SLOWEST_MS = 90_000  # a long page with everything open is drawn slowly beside a busy engine
MAX_OPENED = 5  # of one page, and no menu that an earlier page had: a list has the same dialog in each row
MAX_RESULT = 600  # characters of one fault
MAX_FIRST_LOAD_BYTES = 150_000  # of a page with all that it loads, compressed
MAX_LAYOUT_SHIFT = 0.009  # of the layout: a line that moves by a third of the screen is 0.01 and more
COMPRESSED_ALREADY = (".woff2", ".png", ".jpg")
PRIMARY_BUTTONS = """
    [...document.querySelectorAll("main .button-primary")]
        .filter((button) => button.checkVisibility())
        .map((button) => button.textContent.trim())
"""
OPENERS = "[data-opens]:visible, [popovertarget]:visible"
# Without what differs each time.
MARKUP = """const markup = (element) =>
    element.outerHTML.replaceAll(/<input type="hidden"[^>]*>| aria-current="page"/g, "");"""
OPENED = f"""(openers) => {{
    {MARKUP}
    const idOf = (opener) => opener.dataset.opens ?? opener.getAttribute("popovertarget");
    const opened = (opener) => document.getElementById(idOf(opener)) ?? opener.parentElement;
    return openers.map((opener) => `opens ${{markup(opened(opener))}}`);
}}"""
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
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
# Keeps the outermost of the visible elements that are not known; returns what describes each visible one, and
# the markup of those that are kept.
FIND_UNSEEN = (
    f"(known) => {{ {MARKUP}"
    """
    const before = new Set(known);
    const shown = [];
    globalThis.unseen = [];
    const look = (element, isWithin) => {
        if (!element.checkVisibility()) return;
        const attributes = [...element.attributes].map(({ name, value }) => `${name}=${value}`);
        const texts = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
        const sign = [element.localName, ...attributes, ...texts.map(({ data }) => data.trim())].join(" ");
        const isNew = !before.has(sign);
        if (isNew && !isWithin) unseen.push(element);
        shown.push(sign);
        for (const child of element.children) look(child, isWithin || isNew);
    };
    for (const child of document.body.children) look(child, false);
    return [shown, unseen.map(markup)];
}"""
)
RUN_AXE = """([numbers, options]) => {
    const looked_at = numbers === null ? document : { include: numbers.map((number) => unseen[number]) };
    return axe.run(looked_at, options);
}"""
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
FIRST_PAINT = """new Promise((done) => {
    new PerformanceObserver(() => done()).observe({ type: "paint", buffered: true });
})"""
AFTER_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# A busy browser takes a new size later.
WIDTH_AT = """async (limit) => {
    do await new Promise(requestAnimationFrame); while (innerWidth !== limit);
    return document.documentElement.scrollWidth;
}"""
REACHING_OUT = """(limit) => [...document.querySelectorAll("main *")]
    .filter((node) => node.getBoundingClientRect().right > limit + 1)
    .map((node) => node.outerHTML.slice(0, 90)).slice(-3)"""


class Fault(NamedTuple):
    """One thing that is wrong: `name` is one of a few words or a rule of axe's, `where` a state of a page."""

    name: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.name}: {self.what}"


def assert_no_faults(*faults: Fault) -> None:
    assert not faults, "\n".join(map(str, faults))


class Axe:
    """axe-core on a page, in both themes: on the whole of it, or on what it has not seen.

    `known` is the markup that it saw on other pages, too: each has the same menus.
    """

    def __init__(
        self, page: Page, known: set[str] | None = None, set_theme: Callable[[str], None] | None = None
    ) -> None:
        self.page = page
        self._known = set() if known is None else known
        self._shown: set[str] = set()
        self._set_theme = set_theme or (lambda theme: page.emulate_media(color_scheme=theme))

    def whole(self, where: str) -> list[Fault]:
        self._find_unseen()
        return self._look(where, None)

    def unseen(self, where: str) -> list[Fault]:
        numbers = self.unknown(self._find_unseen())
        return self._look(where, numbers) if numbers else []

    def unknown(self, markup: list[str]) -> list[int]:
        """Return the numbers of what it sees for the first time."""
        numbers = [number for number, one in enumerate(markup) if one not in self._known]
        self._known.update(markup)
        return numbers

    def _find_unseen(self) -> list[str]:
        shown, markup = self.page.evaluate(FIND_UNSEEN, list(self._shown))
        self._shown.update(shown)
        return markup

    def _look(self, where: str, numbers: list[int] | None) -> list[Fault]:
        if self.page.evaluate("globalThis.axe === undefined"):
            self.page.evaluate(AXE)
        faults = self._run(where, numbers, EVERYTHING)
        self._set_theme("dark")
        faults += self._run(f"{where}, dark", numbers, CONTRAST)
        self._set_theme("light")
        return faults

    def _run(self, where: str, numbers: list[int] | None, options: dict[str, Any]) -> list[Fault]:
        faults = []
        for violation in self.page.evaluate(RUN_AXE, [numbers, options])["violations"]:
            nodes = "; ".join(f"{node['html'][:110]} ({node['target']})" for node in violation["nodes"][:3])
            faults.append(Fault(violation["id"], where, f"{violation['help']}: {nodes}"[:MAX_RESULT]))
        return faults


@dataclass
class Walk:
    """One person's walk. `faults` gathers what is wrong; `is_brief` leaves out empty forms."""

    context: BrowserContext
    who: str
    is_brief: bool = False
    language: str = "en"
    faults: list[Fault] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # address → bytes, compressed
    known: set[str] = field(default_factory=set)  # markup at which axe has looked

    def __post_init__(self) -> None:
        self.context.set_default_timeout(SLOWEST_MS)
        self.context.add_init_script(WATCH_SHIFTS)

    def see(self, addresses: list[str], *, status: int | None = None) -> None:
        """Look at pages; each must answer with the status, if one is given."""
        for address in addresses:
            page = self.context.new_page()
            try:
                faults = self._look_at(page, address, status)
            except PlaywrightError as error:
                error.add_note(f"on {address}")
                raise
            page.close()
            self.faults += [fault._replace(where=f"{self.who} {address} {fault.where}") for fault in faults]

    def _look_at(self, page: Page, address: str, wanted: int | None) -> list[Fault]:
        said = hear_errors(page)
        responses: list[Response] = []
        page.on("response", lambda response: responses.append(response))  # noqa: PLW0108 (Playwright marks the function)
        page.set_viewport_size(WIDE)
        # Without motion: axe would measure colours half way from one theme to the other.
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        status = page.goto(address, wait_until="load").status  # type: ignore[union-attr]
        faults = check_equal("status", status, wanted or status)
        faults += check_equal("language", page.locator("html").get_attribute("lang"), self.language)
        faults += check_shifts(page, "wide")
        faults += check_equal("animations without motion", page.evaluate(RUNNING), 0)
        faults += self._check_weight(page, responses)
        faults += check_buttons(page)
        if os.environ.get("SCREENS"):
            faults += draw(page, address, self.who)
        faults += check_widths(page)
        axe = Axe(page, self.known)
        if self.language == "en":
            page.evaluate(OPEN_ALL)
            faults += check_state(axe, "all open")
            faults += check_openings(axe)
            page.goto(address, wait_until="load")
            faults += check_shifts(page, "phone")
        refusal = f"{status} ("  # a page that isn't there says so in the console
        faults += [Fault("console", "", line) for line in said if status < 400 or refusal not in line]
        if self.language == "en" and not self.is_brief:
            faults += check_empty_forms(axe, address)
        return faults

    def _check_weight(self, page: Page, responses: list[Response]) -> list[Fault]:
        """Return whether a page is too large for whoever has nothing of it yet."""
        for response in responses:
            if response.ok and response.url not in self.sizes:
                self.sizes[response.url] = _compressed_bytes(response)
        loaded = {page.url, *page.evaluate(LOADED)}
        size = sum(self.sizes.get(url, 0) for url in loaded)
        return [Fault("weight", "", f"loads {size:,} bytes")] if size > MAX_FIRST_LOAD_BYTES else []


def check_equal(name: str, is_so: object, wanted: object) -> list[Fault]:
    return [] if is_so == wanted else [Fault(name, "", f"{is_so}, not {wanted}")]


def check_buttons(page: Page) -> list[Fault]:
    """Return whether a page has more than one primary button."""
    primary = page.evaluate(PRIMARY_BUTTONS)
    return [Fault("primary buttons", "", f"several: {primary}")] if len(primary) > 1 else []


def check_shifts(page: Page, where: str) -> list[Fault]:
    """Return what moved by itself since the page began to load."""
    page.evaluate(AFTER_TWO_FRAMES)
    shifts = page.evaluate("shifts")
    total = sum(shift["value"] for shift in shifts)
    if total <= MAX_LAYOUT_SHIFT:
        return []
    moved = [shift["moved"] for shift in shifts]
    return [Fault("layout shift", where, f"{total:.3f}: {moved}"[:MAX_RESULT])]


def check_widths(page: Page) -> list[Fault]:
    faults = []
    for size in (LARGE, TABLET, PHONE, SMALLEST):
        page.set_viewport_size(size)
        faults += check_width(page)
    return faults


def check_width(page: Page) -> list[Fault]:
    """Return whether the page has to be scrolled sideways, and what reaches out farthest."""
    limit = page.viewport_size["width"]  # type: ignore[index]
    width = page.evaluate(WIDTH_AT, limit)
    if width <= limit:
        return []
    return [Fault("width", f"on {limit} px", f"is {width} px wide: {page.evaluate(REACHING_OUT, limit)}")]


def check_state(axe: Axe, where: str) -> list[Fault]:
    """Return what is wrong with a page as it stands: on a phone, and what only a wide screen shows."""
    axe.page.set_viewport_size(PHONE)
    faults = check_width(axe.page) + axe.whole(f"{where}, phone")
    axe.page.set_viewport_size(WIDE)
    return faults + check_width(axe.page) + axe.unseen(f"{where}, wide")


def check_openings(axe: Axe) -> list[Fault]:
    """Return what axe has against the menus and dialogs of a page, on a phone."""
    axe.page.set_viewport_size(PHONE)
    openers = axe.page.locator(OPENERS)
    faults = []
    for number in axe.unknown(openers.evaluate_all(OPENED))[:MAX_OPENED]:
        openers.nth(number).click()
        faults += axe.unseen("opened")
        axe.page.keyboard.press("Escape")
    return faults


def check_empty_forms(axe: Axe, address: str) -> list[Fault]:
    """Return what axe has against what a page says after each form with required fields was sent empty."""
    faults = []
    count = axe.page.evaluate(f"{FORMS}.length")
    for number in range(count):
        if axe.page.evaluate(f"{FORMS}.length") != count:  # the answer was another page
            axe.page.goto(address, wait_until="load")
        send_empty(axe.page, number)
        faults += axe.unseen(f"form {number} sent empty")
    return faults


def send_empty(page: Page, number: int) -> None:
    """Send a form of FORMS without what it requires; return once its answer is there, or a script took it."""
    if page.evaluate(SEND_EMPTY, number):
        # The browser leaves the page some time later: until then, it is the old one that is loaded.
        page.locator("html:not([data-left])").wait_for(state="attached")
        page.wait_for_load_state("load")
    else:
        page.wait_for_load_state("networkidle")


def draw(page: Page, address: str, who: str) -> list[Fault]:
    """Keep pictures of a page in the folder SCREENS; return what axe has against it at each width."""
    folder = Path(os.environ["SCREENS"])
    folder.mkdir(parents=True, exist_ok=True)
    file = address.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "home"
    faults = []
    for name, size in DRAWN.items():
        page.set_viewport_size(size)
        faults += Axe(page).whole(name)
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme=theme)
            page.evaluate("scrollTo(0, 0)")  # what is stuck to an edge is drawn where it stands
            path = folder / f"{who}-{file}-{name}-{theme}.jpg"
            page.screenshot(path=path, type="jpeg", quality=70, full_page=True)
    return faults


def visit(browser: Browser, server: LiveServer, **options: Any) -> BrowserContext:
    """Return the browser of somebody who is not logged in, and whose machine may be slow."""
    context = browser.new_context(base_url=server.url, viewport=WIDE, **options)
    context.set_default_timeout(SLOWEST_MS)
    return context


def enter(browser: Browser, server: LiveServer, client: Client, **options: Any) -> BrowserContext:
    """Return a browser that is logged in as a test's client is."""
    context = visit(browser, server, **options)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    return context


def hear_errors(page: Page) -> list[str]:
    """Return a list to which every error in a page's console is added."""
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            said.append(f"{message.text} ({page.url})")

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(f"{error} ({page.url})"))
    return said


def prove_who_it_is(client: Client, user: User) -> None:
    """Let a session count as proved just now: pages about factors ask for that."""
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, user, method="password", reauthenticated=True)
    request.session.save()


def _compressed_bytes(response: Response) -> int:
    """Return how large a response is, compressed as servers of static files compress."""
    body = response.body()
    return len(body) if response.url.endswith(COMPRESSED_ALREADY) else len(gzip.compress(body, 6))
