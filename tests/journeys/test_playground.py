"""The playground in a real Chromium: styles beside each other, conversations, links, history and code."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from tests.chromium import look
from tests.journeys.conftest import log_in

PROMPT = "Why is the sky blue? Don't say 'because'."
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def playground(demo, page) -> Page:
    """The page of the seeded writer, who has selected the shipped styles."""
    log_in(page, demo, "/playground/")
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Maximum length").fill("16")
    expect(page.get_by_label("Length", exact=True)).to_have_value("")
    return page


def pane(page: Page, number: int) -> Locator:
    return page.get_by_role("region", name=f"Answer {number}", exact=True)


def write(page: Page, prompt: str) -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Write", exact=True).click()


def is_early_receipt(got: Response) -> bool:
    return got.status == 404 and "/receipts/" in got.url


def await_end(page: Page) -> None:
    expect(page.get_by_role("button", name="Stop")).to_be_hidden(timeout=120_000)


def test_four_models_answer_at_once_each_with_its_figures_and_the_call_as_it_was_sent(playground, faults):
    page = playground
    for _ in range(3):
        page.get_by_role("button", name="Add a style").click()
    expect(page.get_by_role("button", name="Add a style")).to_be_hidden()
    models = ["poetry", "genz", "legal", "base"]
    for number, model in enumerate(models, 1):
        page.get_by_label(f"Style {number}", exact=True).select_option(model)
    page.get_by_label("System prompt", exact=False).fill("Answer in one sentence.")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Top k").fill("40")
    sent: list[dict] = []
    page.on(
        "request", lambda request: sent.append(request.post_data_json) if "stream" in request.url else None
    )
    write(page, PROMPT)
    await_end(page)
    look(page, "playground-four")
    assert sorted(call["model"] for call in sent) == sorted(models)
    for number in range(1, 5):
        one = pane(page, number)
        expect(one.locator("[data-text] .ruled")).not_to_be_empty()
        expect(one.locator("[data-state]")).to_have_text(re.compile("Stopped at the maximum length|Finished"))
        expect(one.locator("[data-tokens]")).to_have_text(re.compile(r"\d+ in, 1?\d out"))
        expect(one.locator("[data-cost]")).to_have_text(re.compile(r"^\$0\.0000\d+$"))
        expect(one.locator("[data-first-token]")).to_have_text(re.compile(r"^\d+\.\d+ s$"))
        expect(one.locator("[data-watermark]")).to_have_text("Watermarked")
    page.locator("summary", has_text="For developers").click()
    page.get_by_role("tab", name="curl").click()
    code = page.locator("#call-curl").inner_text()
    body = re.search(r"-d '(.*)'$", code, re.DOTALL)[1].replace("'\\''", "'")
    assert json.loads(body) == next(call for call in sent if call["model"] == "poetry")
    page.get_by_role("tab", name="Python").click()
    python = page.locator("#call-python").inner_text()
    compile(python, "call", "exec")
    assert '"top_k": 40' in python
    # The page fetches a receipt again until the answer is in the ledger.
    early: list[str] = []
    page.on("response", lambda got: early.append(got.url) if is_early_receipt(got) else None)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as text").click()
    text = Path(saved.value.path()).read_text()
    answer = text.partition("# Poetry\n")[2].partition("\n---\n")[0]
    receipts = re.findall(r"^ {4}(eyJ\S+)$", text, re.MULTILINE)
    assert len(receipts) == len(models)
    page.goto("/verify/")
    page.get_by_label("Text").fill(answer)
    page.get_by_label("Receipt").fill(receipts[0])
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("main")).to_contain_text("The receipt is valid, and it is for this text.")
    for _ in early:
        faults.remove("Failed to load resource: the server responded with a status of 404 (Not Found)")


def test_another_style_does_not_stand_above_the_old_answer_and_a_reply_knows_what_was_said(playground):
    page = playground
    page.get_by_label("Style", exact=True).select_option("poetry")
    write(page, "Name a colour.")
    await_end(page)
    sent: list[dict] = []
    page.on(
        "request", lambda request: sent.append(request.post_data_json) if "stream" in request.url else None
    )
    page.get_by_label("Prompt", exact=True).fill("And another one?")
    page.get_by_role("button", name="Reply").click()
    await_end(page)
    assert [message["role"] for message in sent[0]["messages"]] == ["user", "assistant", "user"]
    expect(pane(page, 1).locator(".turn")).to_have_count(2)
    look(page, "playground-conversation")
    page.get_by_label("Style", exact=True).select_option("genz")
    expect(pane(page, 1).locator(".turn")).to_have_count(0)
    expect(page.get_by_role("button", name="Reply")).to_be_hidden()
    page.reload()
    page.get_by_text("History", exact=True).click()
    page.get_by_role("button", name="Name a colour.").click()
    expect(pane(page, 1).locator(".turn")).to_have_count(1)
    expect(page.get_by_label("Style", exact=True)).to_have_value("poetry")


def test_a_link_carries_the_prompt_and_on_a_phone_the_answers_are_in_sight(playground):
    page = playground
    page.get_by_role("button", name="Add a style").click()
    page.get_by_label("Style 2", exact=True).select_option("base")
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_label("Link to this prompt").input_value()
    assert "sky" not in link.partition("#")[0]
    page.set_viewport_size(PHONE)
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(PROMPT)
    page.get_by_role("button", name="Write", exact=True).click()
    expect(pane(page, 1)).to_be_in_viewport()
    await_end(page)
    expect(pane(page, 2)).to_be_hidden()
    page.get_by_role("group", name="Visible answer").get_by_role("button").nth(1).click()
    expect(pane(page, 2).locator("[data-text] .ruled")).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    look(page, "phone-playground-two")


def test_continue_goes_on_from_the_texts_own_words(playground):
    page = playground
    page.get_by_label("Style", exact=True).select_option("poetry")
    write(page, "Describe a morning in the city.")
    await_end(page)
    text = pane(page, 1).locator("[data-text] .ruled")
    before = text.text_content() or ""
    page.get_by_role("button", name="Continue").click()
    await_end(page)
    expect(pane(page, 1).locator("[data-text] .ruled")).to_have_count(1)
    after = text.text_content() or ""
    assert after.startswith(before)
    assert len(after) > len(before)
    assert before not in after.removeprefix(before)
