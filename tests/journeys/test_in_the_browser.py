"""A writer's first hour, in a real Chromium."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import openai
import pytest
from playwright.sync_api import Page, Response, expect

from stack.folders import ROOT
from tests.chromium import look
from tests.journeys.conftest import PASSWORD

MIB = 1024 * 1024
STYLE = ROOT / "engine" / "styles" / "legal"
PARTS = ["adapter_config.json 1", *(f"adapter_model.safetensors {part}" for part in (1, 2, 3))]
SECOND_PART = re.compile(r"adapter_model\.safetensors\?.*partNumber=2")


def test_sign_up_upload_write_key_usage(page, site):  # noqa: PLR0915
    name = f"noir-{uuid4().hex[:6]}"
    page.goto("/")
    look(page, "home")
    sign_up(page, name)

    page.goto("/styles/")
    card = page.locator("article, li").filter(has_text="Poetry").first
    card.get_by_role("button", name=re.compile("Deselect|Remove")).click()  # selected from the start
    card.get_by_role("button", name=re.compile("Select")).click()
    expect(card.get_by_role("button", name=re.compile("Deselect|Remove"))).to_be_visible()
    look(page, "catalogue")

    page.goto("/styles/new/")
    page.get_by_label("Name", exact=True).fill("Noir")
    page.get_by_label("Model name").fill("noir")
    page.locator("#files").set_input_files(
        [STYLE / "adapter_config.json", STYLE / "adapter_model.safetensors"]
    )
    look(page, "upload")
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/styles/[\w-]+/noir/"))
    expect(page.locator("[data-status=serving]")).to_have_text("Live")

    page.goto("/playground/")
    page.get_by_label("Style", exact=True).select_option(f"{name}/noir")
    page.get_by_label("Prompt", exact=True).fill("Why is the sky blue?")
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Maximum length").fill("24")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("[data-whole-time]")).to_contain_text("s")
    expect(page.locator("[data-text] .ruled")).not_to_be_empty()
    look(page, "playground")

    page.goto(f"/styles/{name}/noir/")
    sample = page.locator("blockquote")
    reload_until(page, lambda: sample.count() > 0)  # the samples of styles that came before are written first
    expect(sample.first).not_to_be_empty()
    look(page, "style")

    page.goto("/keys/")
    page.get_by_role("button", name="Create API key").click()
    page.get_by_label("Name", exact=True).fill("novel")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#secret")).to_have_text(re.compile("^sk-ps-[0-9A-Za-z]{36}$"))
    secret = page.locator("#secret").inner_text()
    look(page, "keys")
    messages = [{"role": "user", "content": "Name three colours."}]
    with openai.OpenAI(base_url=f"{site}/v1", api_key=secret, max_retries=0) as client:
        answer = client.chat.completions.create(model="noir", messages=messages, max_tokens=8)
    assert answer.choices[0].message.content

    page.goto("/usage/")
    row = page.get_by_role("row").filter(has_text=re.compile("noir")).first
    reload_until(page, lambda: row.is_visible() and "2" in row.inner_text())
    expect(row).to_contain_text("2")
    look(page, "usage")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("styles/", "playground/", "keys/", "usage/", "styles/new/"):
        page.goto(f"/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        look(page, f"phone-{path.strip('/').replace('/', '-')}")


def test_each_tab_s_upload_goes_on_after_a_reload_and_one_that_ended_elsewhere_is_told(
    page, faults, tmp_path
):
    """Both are paused while their second part is on its way; the storage gets no part twice."""
    name = f"tabs-{uuid4().hex[:6]}"
    sign_up(page, name)
    first_files = large_files(tmp_path / "first")
    second_files = large_files(tmp_path / "second", mib=18)
    other = page.context.new_page()
    arrived: list[str] = []
    other.on("response", lambda answer: note_part(arrived, answer))
    for tab, title, files in ((page, "First", first_files), (other, "Second", second_files)):
        tab.route(SECOND_PART, lambda route: None)
        begin_upload(tab, title, files)
        stored = "12.6 MB of 21.0 MB" if tab is page else " of "
        state = tab.locator("[data-file='adapter_model.safetensors'] .state")
        expect(state).to_contain_text(stored)
        if tab is other:
            await_parts(other, arrived, [PARTS[0], PARTS[1], PARTS[3]])
        tab.get_by_role("button", name="Pause").click()
        expect(tab.get_by_text("Paused. You can resume where it stopped.")).to_be_visible()
    look(page, "upload-paused")

    other.unroute(SECOND_PART)
    other.reload()
    for model in (f"{name}/first@1", f"{name}/second@1"):
        expect(other.get_by_text(f"The upload of {model} isn\u2019t finished.")).to_be_visible()
    look(other, "upload-two-unfinished")
    other.locator("#files").set_input_files(first_files)
    expect(other.get_by_text(f"belong to the unfinished upload of {name}/first@1")).to_be_visible()
    expect(other.get_by_label("Model name")).to_have_value("first")
    other.locator("#files").set_input_files(second_files)
    expect(other.get_by_text(f"belong to the unfinished upload of {name}/second@1")).to_be_visible()
    other.get_by_role("button", name=f"Discard {name}/first@1").click()
    expect(other.get_by_text(f"The upload of {name}/first@1 isn\u2019t finished.")).to_be_hidden()
    other.get_by_role("button", name="Continue").click()
    expect(other).to_have_url(re.compile(rf"/styles/{name}/second/"))
    expect(other.locator("[data-state=done]").first).to_be_visible()
    assert sorted(arrived) == PARTS

    page.unroute(SECOND_PART)
    page.locator("#files").set_input_files(first_files)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("That upload was cancelled in another tab or by a program")).to_be_visible()
    look(page, "upload-cancelled-elsewhere")
    refusals = [fault for fault in faults if re.search("status of (404|409)", fault)]
    assert refusals
    assert faults == refusals
    faults.clear()
    page.get_by_role("button", name="Upload and check").click()
    expect(page).to_have_url(re.compile(rf"/styles/{name}/first/"))
    page.goto("/styles/new/")
    expect(page.get_by_text("isn\u2019t finished")).to_be_hidden()


def reload_until(page: Page, shows: Callable[[], bool]) -> None:
    """Load a page again until it shows something, for some minutes."""
    for _ in range(300):
        if shows():
            return
        page.wait_for_timeout(1000)
        page.reload()


def large_files(folder: Path, *, mib: int = 20) -> list[Path]:
    """Return two files of which the larger one is sent in three parts; a check rejects them."""
    folder.mkdir()
    files = [folder / "adapter_config.json", folder / "adapter_model.safetensors"]
    files[0].write_text('{"peft_type": "LORA"}')
    files[1].write_bytes(weights_of(mib * MIB))
    return files


def weights_of(size_bytes: int) -> bytes:
    """Return a safetensors file of a size, with one tensor that the base model has no place for."""
    room = 200  # of the header
    end = size_bytes - 8 - room
    facts = {"dtype": "U8", "shape": [end], "data_offsets": [0, end]}
    header = json.dumps({"nowhere.lora_A.weight": facts}).encode().ljust(room)
    return room.to_bytes(8, "little") + header + bytes(end)


def begin_upload(page: Page, title: str, files: list[Path]) -> None:
    """Choose files for a new style and press the button."""
    page.goto("/styles/new/")
    page.get_by_label("Name", exact=True).fill(title)
    page.locator("#files").set_input_files(files)
    page.get_by_role("button", name="Upload and check").click()


def note_part(arrived: list[str], answer: Response) -> None:
    """Note which part of which file the storage has taken."""
    part = re.search(r"/([^/?]+)\?.*\bpartNumber=(\d+)", answer.url)
    if part and answer.request.method == "PUT" and answer.ok:
        arrived.append(f"{part[1]} {part[2]}")


def await_parts(page: Page, arrived: list[str], parts: list[str]) -> None:
    """Wait until the storage has answered these; all bytes of one may be sent a while before."""
    for _ in range(600):
        if sorted(arrived) == parts:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{parts} should have arrived, and {arrived} have")


def sign_up(page: Page, name: str) -> None:
    """Make an account and a workspace by that name."""
    page.goto("/accounts/signup/")
    look(page, "signup")
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading")).to_have_text("Check your inbox")
    look(page, "verification")
    page.get_by_role("link", name="this machine\u2019s mailbox").click()
    look(page, "mailbox")
    page.locator("article").filter(has_text=f"{name}@example.org").get_by_role(
        "link", name=re.compile("^http")
    ).click()
    page.get_by_role("button", name="Confirm address").click()
    page.get_by_label("Workspace name").fill(name)
    look(page, "found")
    page.get_by_role("button", name="Create workspace").click()
    expect(page).to_have_url(re.compile(r"/welcome/$"))
