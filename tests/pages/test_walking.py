"""The walk itself: it names each fault that is planted on a page, and none on a page without one."""

import random

from playwright.sync_api import Route

from tests.pages.walking import FIRST_PAINT, Walk

SITE = "http://planted.test"
HEAD = """<!doctype html><html lang="en"><head><title>Planted</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
button { min-block-size: 2rem }
.wide { display: none } @media (min-width: 1000px) { .wide { display: block } }
@media (prefers-color-scheme: dark) { .dark { color: #aaa } }
</style></head>"""
BODY = "<body><main><h1>Planted</h1>{}</main></body></html>"
LABELLED = '<label for="name">Name</label><input id="name" name="name" required>'
FORM = f'<form method="post">{LABELLED}<button>Send</button></form>'
REFUSED = '<form method="post"><input name="name" required aria-invalid="true"></form>'
DIALOG = """<button data-opens onclick="this.nextElementSibling.showModal()">Open</button>
<dialog aria-label="Opened">{}<button onclick="this.closest('dialog').close()">Close</button></dialog>"""
SHIFTS = {("layout shift", "wide"), ("layout shift", "phone")}
HEAVY = random.Random(1).randbytes(150_000).hex()
LATE = """<hr hidden style="block-size: 300px"><p>Here</p>
<img src="/late.png" alt="" onerror="document.querySelector('hr').hidden = false">"""
NAMELESS = '<input name="nameless">'
# What is in a page's main element, and what the walk has to say: names of faults, and where.
PLANTS = {
    "nothing": (FORM + DIALOG.format(LABELLED.replace("name", "other")), set()),
    "much": (
        f"""<p style="color: #aaa">Pale</p><details><summary>More</summary>{NAMELESS}</details>
        <button class="wide"></button><div style="inline-size: 350px">Wide</div>
        {'<button class="button-primary">Save</button>' * 2}<script>console.error('planted')</script>""",
        {
            ("color-contrast", "all open, phone"),
            ("color-contrast", "all open, phone, dark"),
            ("label", "all open, phone"),
            ("button-name", "all open, wide"),
            ("width", "on 320 px"),
            ("primary buttons", ""),
            ("console", ""),
        },
    ),
    "dark": ('<p class="dark">Pale</p>' + LATE, {("color-contrast", "all open, phone, dark"), *SHIFTS}),
    "dialog": (DIALOG.format(NAMELESS), {("label", "opened")}),
    "dark-dialog": (DIALOG.format('<p class="dark">Opened</p>'), {("color-contrast", "opened, dark")}),
    "refusal": (FORM, {("label", "form 0 sent empty")}),
    "broken-and-heavy": (f"<script>throw new Error('{HEAVY}')</script>", {("console", ""), ("weight", "")}),
}


def answer(route: Route) -> None:
    """Answer in a site's place."""
    if route.request.url.endswith(".png"):
        route.request.frame.evaluate(FIRST_PAINT)
        route.fulfill(content_type="image/png", body="")
        return
    name = route.request.url.rstrip("/").rpartition("/")[2]
    plant = REFUSED if (name, route.request.method) == ("refusal", "POST") else PLANTS[name][0]
    route.fulfill(content_type="text/html", body=HEAD + BODY.format(plant))


def test_the_walk_names_what_is_planted(browser):
    context = browser.new_context(base_url=SITE)
    context.route("**/*", answer)
    walk = Walk(context, "tester")
    walk.see([f"/{plant}/" for plant in PLANTS])
    expected = {(name, f"/{plant}/ {where}") for plant, (_, said) in PLANTS.items() for name, where in said}
    assert {(fault.name, fault.where.removeprefix("tester ")) for fault in walk.faults} == expected
