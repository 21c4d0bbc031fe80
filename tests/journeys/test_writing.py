"""The page to write on, in a real Chromium: a pasted page, an accepted rewrite, a Word file, receipts."""

import io
import re
import time

import docx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.chromium import look
from tests.journeys.conftest import kill, log_in
from tests.waiting import eventually

PHONE = {"width": 390, "height": 844}
FIRST = (
    "We will commence the meeting at nine. Everyone is requested to be punctual, as the room is needed after."
)
SECOND = "The river had risen in the night, and the ferryman stood on the bank with his hat in his hands."
FIRST_WORD_S = 120  # on a busy machine; dev/bench/results/desk.json has what a quiet one takes


@pytest.fixture
def draft(demo, page) -> Page:
    """A new draft of the seeded writer, with a page of text in it."""
    log_in(page, demo, "/write/")
    page.get_by_role("button", name="New draft").click()
    page.get_by_label("Title").fill("The ferry")
    page.get_by_label("Text", exact=True).fill(f"{FIRST}\n\n{SECOND}")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    return page


def text_of(page: Page) -> str:
    return page.get_by_label("Text", exact=True).input_value()


def select(page: Page, passage: str) -> None:
    page.get_by_label("Text", exact=True).evaluate(
        """(area, passage) => {
            const start = area.value.indexOf(passage);
            area.focus();
            area.setSelectionRange(start, start + passage.length);
        }""",
        passage,
    )


def suggestion_of(page: Page) -> str:
    """Return what is suggested, without the words that would go."""
    left = """(node) => {
        const copy = node.cloneNode(true);
        for (const gone of copy.querySelectorAll("del")) gone.remove();
        return copy.textContent;
    }"""
    return page.locator(".suggestion-text").evaluate(left).strip()


def overtake(page: Page) -> Page:
    """Return a newer tab of a draft that has saved another text; the older one has been typed in since."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_label("Text", exact=True).fill("From the newer tab.")
    expect(other.locator("[data-saved]")).to_have_text("Saved")
    page.get_by_label("Text", exact=True).fill("From the older tab.")
    return other


def open_history(page: Page) -> None:
    page.locator("summary", has_text="History and sharing").click()
    page.get_by_role("link", name="History", exact=True).click()


def delete(page: Page) -> None:
    page.locator("summary", has_text="Delete this draft").click()
    page.get_by_role("button", name="Delete draft").click()
    expect(page.get_by_text("was deleted.")).to_be_visible()


def rewrite(page: Page) -> None:
    select(page, FIRST)
    page.get_by_role("button", name="Rewrite in my style").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible(timeout=120_000)


def test_a_pasted_page_becomes_an_accepted_rewrite_a_word_file_and_receipts(draft, faults, demo):
    page = draft
    began = time.monotonic()
    select(page, FIRST)
    page.get_by_role("button", name="Rewrite in my style").click()
    expect(page.locator(".suggestion-text")).not_to_be_empty(timeout=FIRST_WORD_S * 1000)
    assert time.monotonic() - began < FIRST_WORD_S
    assert FIRST in text_of(page), "nothing is replaced before it is accepted"
    expect(page.get_by_role("button", name="Accept")).to_be_focused(timeout=120_000)
    look(page, "write-suggestion")
    suggested = suggestion_of(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="In your style")).to_be_hidden()
    assert text_of(page) == f"{suggested}\n\n{SECOND}"
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    accepted = text_of(page)

    def has_receipts() -> bool:
        page.reload()
        return page.get_by_role("group").filter(has_text="receipt").count() > 0

    eventually(has_receipts, within_s=300)
    assert text_of(page) == accepted
    expect(page.get_by_text(re.compile("written by a style"))).to_be_visible()
    page.locator("summary", has_text="Save as a file").click()
    with page.expect_download() as word:
        page.get_by_role("link", name="Word, with receipts").click()
    paragraphs = [one.text for one in docx.Document(io.BytesIO(word.value.path().read_bytes())).paragraphs]
    assert paragraphs[0] == "The ferry"
    assert any(SECOND in one for one in paragraphs)
    assert "Receipts" in paragraphs
    open_history(page)
    page.get_by_role("link", name="Before an accepted suggestion").first.click()
    page.get_by_role("button", name="Restore this text").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value(f"{FIRST}\n\n{SECOND}")  # a page that loads


def test_the_page_is_written_on_by_keyboard_alone(draft, faults):
    page = draft
    select(page, SECOND)
    page.get_by_role("button", name="Shorten").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Accept")).to_be_focused(timeout=120_000)
    page.keyboard.press("r")  # another one
    expect(page.get_by_role("button", name="Accept")).to_be_focused(timeout=120_000)
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Shorter")).to_be_hidden()
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    assert text_of(page) == f"{FIRST}\n\n{SECOND}"


def test_a_text_goes_on_where_the_cursor_is_and_can_be_undone(draft, faults):
    page = draft
    page.get_by_label("Text", exact=True).press("Control+End")
    page.get_by_label("Length").select_option("a few sentences")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Accept")).to_be_focused(timeout=120_000)
    page.keyboard.press("Enter")
    written = text_of(page)
    assert written.startswith(f"{FIRST}\n\n{SECOND}")
    assert len(written.split()) > len(f"{FIRST} {SECOND}".split()) + 10
    page.keyboard.press("Control+z")
    assert text_of(page) == f"{FIRST}\n\n{SECOND}"


def test_what_is_around_a_selection_stays(draft, faults):
    page = draft
    area = page.get_by_label("Text", exact=True)
    area.click(click_count=3, position={"x": 80, "y": 20})  # a paragraph with its line end
    page.get_by_role("button", name="Rewrite in my style").click()
    expect(page.get_by_role("button", name="Accept")).to_be_focused(timeout=120_000)
    suggested = suggestion_of(page)
    page.keyboard.press("Enter")
    assert text_of(page) == f"{suggested}\n\n{SECOND}"


def test_stopping_keeps_what_came(draft, faults):
    page = draft
    page.get_by_label("Text", exact=True).press("Control+End")
    page.get_by_label("Length").select_option("half a page")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".suggestion-text")).not_to_be_empty(timeout=FIRST_WORD_S * 1000)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    expect(page.locator("[data-suggestion] [data-state]")).to_have_text("Stopped by you")


def test_the_older_of_two_tabs_loses_nothing(draft, faults):
    page = draft
    other = overtake(page)
    expect(page.get_by_role("alert").filter(has_text="changed in another tab")).to_be_visible()
    page.get_by_role("button", name="Open the newest text").click()
    assert text_of(page) == "From the newer tab."
    open_history(page)
    page.get_by_role("link", name="From another tab").click()
    expect(page.get_by_text("From the older tab.")).to_be_visible()
    other.close()
    assert len(faults) == 1
    assert "409" in faults.pop()


def test_what_is_typed_offline_is_saved_later_even_by_another_tab(draft, faults):
    page = draft
    page.context.set_offline(True)
    page.get_by_label("Text", exact=True).fill("Typed on a train.")
    expect(page.locator("[data-saved]")).to_contain_text("Not saved yet")
    address = page.url
    context = page.context
    page.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(address)
    assert text_of(again) == "Typed on a train."
    expect(again.locator("[data-saved]")).to_have_text("Saved")
    again.reload()
    assert text_of(again) == "Typed on a train."
    assert {"INTERNET_DISCONNECTED" in fault for fault in faults} == {True}
    faults.clear()


def test_what_is_typed_before_the_script_runs_is_called_saved_only_once_it_is(draft, faults):
    page = draft
    held: list[Route] = []
    page.route("**/saving*.js", lambda route: held.append(route), times=1)  # noqa: PLW0108 -- Playwright marks what it calls
    page.goto(page.url, wait_until="commit")
    page.get_by_label("Text", exact=True).fill("Typed early.")
    eventually(lambda: page.wait_for_timeout(10) or held)
    expect(page.locator("[data-saved]")).to_be_empty()
    held.pop().continue_()
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.reload()
    assert text_of(page) == "Typed early."


def test_a_session_that_ends_in_mid_rewrite_loses_neither_text_nor_receipts(draft, faults, demo):
    page, address = draft, draft.url
    rewrite(page)
    page.context.clear_cookies()
    suggested = suggestion_of(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-saved]")).to_contain_text("You were logged out")
    page.get_by_label("Text", exact=True).press("Control+End")
    page.keyboard.type(" He waited.")
    written = f"{suggested}\n\n{SECOND} He waited."
    page.reload()  # to the log-in
    page.wait_for_url("**/accounts/login/**")
    log_in(page, demo, address)
    expect(page.get_by_label("Text", exact=True)).to_have_value(written)
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_label("Text", exact=True)).to_have_value(written)
    eventually(lambda: page.reload() and page.get_by_text("written by a style").count() > 0, within_s=300)
    assert {fault for fault in faults if "403" not in fault} == set()
    faults.clear()


def test_a_style_chosen_after_the_session_has_ended_waits_for_a_log_in_in_another_tab(draft, faults, demo):
    page, address = draft, draft.url
    page.context.clear_cookies()
    page.get_by_label("Text", exact=True).press("Control+End")
    page.keyboard.type(" He waited.")
    page.get_by_label("Style", exact=True).select_option("poetry")
    expect(page.locator("[data-saved]")).to_contain_text("Log in in another tab")
    assert page.url == address
    other = page.context.new_page()
    log_in(other, demo, "/write/")
    expect(page.locator("[data-model] [selected]")).to_have_attribute("value", "poetry")  # the server's
    assert text_of(page) == f"{FIRST}\n\n{SECOND} He waited."
    other.close()
    faults.clear()  # what was refused while nobody was logged in


def test_a_draft_is_shared_and_deleted_once_somebody_has_logged_in_again_in_another_tab(draft, faults, demo):
    page, address = draft, draft.url
    saved = page.locator("[data-saved]")

    def press_while_logged_out(summary: str, button: str) -> None:
        page.locator("summary", has_text=summary).click()
        page.context.clear_cookies()
        page.get_by_role("button", name=button).click()
        expect(saved).to_contain_text("Log in in another tab")
        assert page.url == address
        other = page.context.new_page()
        log_in(other, demo, "/write/")
        other.close()

    press_while_logged_out("History and sharing", "Share with the workspace")
    expect(page.get_by_text("Shared with the workspace.")).to_be_visible()
    press_while_logged_out("Delete this draft", "Delete draft")
    expect(page.get_by_text("“The ferry” was deleted.")).to_be_visible()
    faults.clear()  # what was refused while nobody was logged in


def test_a_draft_that_was_deleted_elsewhere_can_be_deleted_without_a_log_in(draft, faults):
    page = draft
    other = page.context.new_page()
    other.goto(page.url)
    delete(other)
    page.locator("summary", has_text="Delete this draft").click()
    page.get_by_role("button", name="Delete draft").click()
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    other.close()
    assert {"404" in fault for fault in faults} == {True}
    faults.clear()


def test_a_conflict_with_the_same_text_is_none(draft, faults):
    page = draft
    area = page.get_by_label("Text", exact=True)

    def overtake_with_the_same(route: Route) -> None:
        sent = route.request.post_data_json
        newest = {"title": sent["title"], "text": sent["text"], "revision": sent["revision"] + 1}
        route.fetch(post_data={**sent, "passages": []})
        route.fulfill(status=409, json={**newest, "errors": {"__all__": ["Changed."]}})

    page.route("**/save/", overtake_with_the_same, times=1)
    area.fill("The same in both.")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    expect(page.get_by_role("alert")).to_have_count(0)
    area.fill("And on.")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.reload()
    expect(area).to_have_value("And on.")
    assert len(faults) == 1
    assert "409" in faults.pop()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent_and_by_the_server_with_a_page(
    demo, page, faults
):
    page.set_viewport_size(PHONE)
    log_in(page, demo, "/write/")
    summary = page.locator("summary", has_text="Import a file")
    look(page, "write-list-phone")
    if page.get_by_role("table").count():
        assert summary.bounding_box()["y"] < page.get_by_role("table").bounding_box()["y"]
        summary.click()
    large = {"name": "novel.txt", "mimeType": "text/plain", "buffer": b"x" * 20_000_000}
    picker = page.get_by_label("File")
    picker.set_input_files(large)
    expect(page.get_by_role("alert")).to_contain_text("20.0 MB, and the limit is 4.0 MB")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(picker).to_be_focused()
    look(page, "write-import-too-large")
    picker.evaluate("(input) => delete input.dataset.maxBytes")  # as without JavaScript
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="That was too large to send")).to_be_visible()
    look(page, "write-413")
    assert {fault for fault in faults if "413" not in fault} == set()
    faults.clear()


@pytest.mark.alone
def test_a_gateway_that_is_killed_in_mid_suggestion_costs_nothing_that_was_typed(draft, faults):
    page = draft
    page.get_by_label("Text", exact=True).press("Control+End")
    page.get_by_label("Length").select_option("half a page")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".suggestion-text")).not_to_be_empty(timeout=FIRST_WORD_S * 1000)
    kill("web")
    expect(page.get_by_role("alert").filter(has_text="reach Polyscribe")).to_be_visible()
    suggested = suggestion_of(page)
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("[data-saved]")).to_contain_text("Your text is kept in this browser")
    expect(page.locator("[data-saved]")).to_have_text("Saved", timeout=240_000)  # there is a gateway again
    page.reload()
    expect(page.get_by_label("Text", exact=True)).to_have_value(re.compile(re.escape(suggested) + "$"))
    faults.clear()  # requests that nobody answered


def test_a_save_whose_answer_is_lost_does_not_conflict_with_what_is_typed_next(draft, faults):
    page = draft
    area = page.get_by_label("Text", exact=True)

    def lose_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/save/", lose_answer, times=1)
    area.press("Control+End")
    page.keyboard.type(" He waited.")
    expect(page.locator("[data-saved]")).to_contain_text("Your text is kept in this browser")
    page.keyboard.type(" Nobody came.")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.reload()
    expect(area).to_have_value(f"{FIRST}\n\n{SECOND} He waited. Nobody came.")
    faults.clear()  # the lost answer, and the conflict that the page settled by itself


def test_keys_are_the_texts_while_a_suggestion_is_written(draft, faults):
    page = draft
    select(page, FIRST)
    page.get_by_role("button", name="Rewrite in my style").click()
    page.get_by_label("Text", exact=True).press("Control+End")
    while page.get_by_role("button", name="Accept").is_hidden():
        page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    assert text_of(page).startswith(f"{FIRST}\n\n{SECOND}x")


def test_what_is_kept_instead_of_a_newer_text_leaves_that_in_the_history(draft, faults):
    page = draft
    other = overtake(page)
    page.get_by_role("button", name="Keep mine").click()
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    open_history(page)
    texts = []
    for link in page.get_by_role("link", name="From another tab").all():
        other.goto(link.get_attribute("href") or "")
        texts.append(other.locator(".earlier-text").inner_text())
    assert "From the newer tab." in texts
    other.close()
    faults.clear()  # the conflict


def test_a_draft_that_is_deleted_elsewhere_says_so(draft, faults):
    page = draft
    other = page.context.new_page()
    other.goto(page.url)
    delete(other)
    page.get_by_label("Text", exact=True).fill("Written on.")
    expect(page.locator("[data-saved]")).to_contain_text("was deleted")
    assert text_of(page) == "Written on."
    assert len(faults) == 1
    assert "404" in faults.pop()


def test_what_was_stopped_counts_as_written_by_a_style(draft, faults):
    page = draft
    page.get_by_label("Text", exact=True).press("Control+End")
    page.get_by_label("Length").select_option("half a page")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".suggestion-text")).to_contain_text(re.compile(r"(\S+\s+){8}"), timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_text("written by a style")).to_be_visible()
