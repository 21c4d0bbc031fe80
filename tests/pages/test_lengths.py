"""The length of a text: asked of the model, and reached by going on from the text's own words."""

import json
import re
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from tests.adapters.builders import known
from tests.pages.walking import enter

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def page(acme, registered_engine, browser, live_server, alice_client) -> Page:
    known(acme, "letters", registered_engine)
    page = enter(browser, live_server, alice_client).new_page()
    page.goto(reverse("inference:playground") + "?style=acme/letters")
    return page


def answers(page: Page, words: int) -> list[dict]:
    """Answer each call with so many new words; return the calls."""
    calls: list[dict] = []

    def answer(route: Route) -> None:
        calls.append(route.request.post_data_json)
        text = "".join(f" w{len(calls)}x{number}" for number in range(words))
        usage = {"prompt_tokens": 10, "completion_tokens": words}
        chunks = [
            {"choices": [{"text": text, "finish_reason": None}]},
            {"choices": [{"text": "", "finish_reason": "stop"}], "usage": usage},
        ]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        headers = {"x-request-id": f"r-{len(calls)}"}
        route.fulfill(
            status=200, content_type="text/event-stream", headers=headers, body=f"{body}data: [DONE]\n\n"
        )

    page.route("**/stream/", answer)
    return calls


def write(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("Describe the sea.")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_a_page_is_asked_for_and_reached_by_going_on(page):
    calls = answers(page, words=150)
    page.get_by_label("Length", exact=True).select_option(label="A page")
    expect(page.locator("#length_hint")).to_contain_text("at most 512 tokens")
    write(page)
    assert calls[0]["messages"] == [
        {"role": "user", "content": "Describe the sea.\n\nWrite about 460 words."}
    ]
    assert [len(call["messages"]) for call in calls] == [1, 2, 2]
    assert all(call["max_tokens"] <= 512 for call in calls)
    assert calls[2]["continues"]
    assert calls[2]["messages"][-1]["content"].startswith(" w1x0 w1x1")
    pane = page.get_by_role("region", name="Answer 1")
    expect(pane.locator("[data-words]")).to_have_text("450 words")
    expect(pane.locator("[data-tokens]")).to_have_text("30 in, 450 out")
    expect(pane.locator(".turn-prompt")).to_have_text("Describe the sea.")


def test_continue_sends_the_text_so_far_and_adds_to_it(page):
    calls = answers(page, words=5)
    write(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert [len(call["messages"]) for call in calls] == [1, 2]
    pane = page.get_by_role("region", name="Answer 1")
    expect(pane.locator(".ruled")).to_have_count(1)
    expect(pane.locator(".ruled")).to_contain_text("w1x4 w2x0")
    expect(pane.locator(".turn-prompt")).to_have_count(1)
    page.reload()
    page.get_by_text("History", exact=True).click()
    page.locator("[data-runs] button").first.click()
    expect(pane.locator(".ruled")).to_contain_text("w1x4 w2x0")


def test_each_receipt_stands_below_the_words_of_its_own_request(page):
    answers(page, words=20)
    # The second answer has none, as one that was stopped.
    page.route(
        re.compile("/receipts/"),
        lambda route: (
            route.fulfill(status=404)
            if "r-2" in route.request.url
            else route.fulfill(body=f"eyJ.{route.request.url.split('r-')[1].strip('/')}")
        ),
    )
    write(page)
    for _ in range(2):
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.reload()  # the history knows its passages
    page.get_by_text("History", exact=True).click()
    page.locator("[data-runs] button").first.click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as text").click()
    text = Path(saved.value.path()).read_text()
    assert "w1x19 w2x0" in text
    assert re.findall(r"^(Passage .+)\n\n {4}(\S+)$", text, re.MULTILINE) == [
        ("Passage 1, “w1x0 w1x1 w1x2 w1x3 w1x4 … w1x15 w1x16 w1x17 w1x18 w1x19”:", "eyJ.1"),
        ("Passage 3, “w3x0 w3x1 w3x2 w3x3 w3x4 … w3x15 w3x16 w3x17 w3x18 w3x19”:", "eyJ.3"),
    ]
    # What is copied from a file that shows Markdown as formatting may be no text of a receipt: it says so.
    note = "The receipts are for the text with its Markdown"
    assert note not in text
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as web page").click()
    assert note in Path(saved.value.path()).read_text()


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("Describe the sea.", "Write about 460 words."),
        ("Beschreibe die Nordsee im Winter.", "Schreibe etwa 460 Wörter."),
    ],
)
def test_a_german_page_asks_for_a_length_in_the_prompts_language(page, alice, prompt, asked):
    alice.language = "de"
    alice.save()
    page.reload()
    calls = answers(page, words=420)
    page.get_by_label("Länge", exact=True).select_option(label="Eine Seite")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Schreiben", exact=True).click()
    expect(page.locator("span[data-words]")).to_have_text("420 Wörter")
    assert calls[0]["messages"][-1]["content"] == f"{prompt}\n\n{asked}"
