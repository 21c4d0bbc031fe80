"""A blind vote in Chromium on the real engine: both write, a vote is cast, and only then names are there."""

import pytest
from playwright.sync_api import Page, expect

from stack.folders import ROOT
from tests.chromium import look
from tests.journeys.conftest import log_in

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

ANSWER_TOKENS = 24  # instead of the page's own number: this test need not read long answers
NAMES = {"version 1", "version 2"}


def test_votes_are_cast_blind_and_only_then_names_are_there(demo, page):
    upload = demo.upload(ROOT / "engine" / "styles" / "legal")
    demo.upload(ROOT / "engine" / "styles" / "poetry", after=upload)
    model = upload.model
    log_in(page, demo, f"/playground/blind/?a={model}@1&b={model}@2")
    page.evaluate(f"document.querySelector('[data-blind]').dataset.maxTokens = {ANSWER_TOKENS}")
    begun: list[dict] = []
    page.on(
        "response", lambda answer: begun.append(answer.json()) if answer.url.endswith("/rounds/") else None
    )

    let_both_write(page)
    assert [list(answer) for answer in begun] == [["round"]], "who is where is not in the page"
    for side in ("left", "right"):
        text = page.locator(f"[data-side={side}]")
        expect(text).not_to_be_empty()
        assert text.evaluate("node => node.childNodes.length") > 4, "it came piece by piece"
    assert shown_names(page) == {"Left", "Right"}
    look(page, "blind-open")
    page.get_by_role("button", name="Left is better").click()
    expect(page.locator("[data-said]")).to_contain_text("You preferred")
    left, right = (page.locator(f"[data-name={side}]").inner_text() for side in ("left", "right"))
    assert {name.rpartition(", ")[2] for name in (left, right)} == NAMES
    expect(page.locator("[data-said]")).to_contain_text(f"You preferred {left}.")
    look(page, "blind-voted")

    let_both_write(page)
    assert shown_names(page) == {"Left", "Right"}, "the next round is blind again"
    page.get_by_role("button", name="No difference").click()
    expect(page.locator("[data-said]")).to_contain_text("You saw no difference.")


def let_both_write(page: Page) -> dict[str, str]:
    """Begin a round, and wait until a vote is possible; return what the service told of the round."""
    with page.expect_response("**/rounds/") as begun:
        page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("button", name="No difference")).to_be_enabled(timeout=60_000)
    return begun.value.json()


def shown_names(page: Page) -> set[str]:
    """Return what stands above the two answers."""
    return set(page.locator("[data-name]").all_inner_texts())
