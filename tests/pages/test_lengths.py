"""The length of a text: asked of the model, and reached by going on from the text's own words."""

import json

import pytest
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from tests.adapters.builders import known
from tests.pages.walking import enter

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("valkey")]


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
