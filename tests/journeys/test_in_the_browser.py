"""A writer's first hour, in a real Chromium."""

import re
from uuid import uuid4

import openai
import pytest
from playwright.sync_api import expect

from stack.folders import ROOT
from tests.journeys.conftest import PASSWORD, look

STYLE = ROOT / "engine" / "styles" / "legal"


@pytest.mark.timeout(300)
def test_sign_up_upload_write_key_usage(page, site):  # noqa: PLR0915
    name = f"noir-{uuid4().hex[:6]}"
    page.goto("/")
    look(page, "home")
    page.goto("/accounts/signup/")
    look(page, "signup")
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading")).to_have_text("Look in your mail.")
    look(page, "verification")
    page.get_by_role("link", name="the mailbox of this machine").click()
    look(page, "mailbox")
    page.locator("article").filter(has_text=f"{name}@example.org").get_by_role(
        "link", name=re.compile("^http")
    ).click()
    page.get_by_role("button", name="Yes, it is mine").click()
    page.get_by_label("Workspace name").fill(name)
    look(page, "found")
    page.get_by_role("button", name="Open the workspace").click()
    expect(page).to_have_url(re.compile(r"/styles/$"))

    card = page.locator("article, li").filter(has_text="Poetry").first
    card.get_by_role("button", name=re.compile("Select")).click()
    expect(card.get_by_role("button", name=re.compile("Unselect|Remove"))).to_be_visible()
    look(page, "catalogue")

    page.goto("/styles/new/")
    page.get_by_label("Name", exact=True).fill("Noir")
    page.get_by_label("Model name").fill("noir")
    page.locator("input[type=file]").set_input_files(
        [STYLE / "adapter_config.json", STYLE / "adapter_model.safetensors"]
    )
    look(page, "upload")
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/styles/[\w-]+/noir/"), timeout=60_000)
    expect(page.get_by_text(re.compile("Serving"))).to_be_visible(timeout=60_000)
    expect(page.locator("[data-status=serving]")).to_be_visible(timeout=60_000)

    page.goto("/playground/")
    page.get_by_label("Style").select_option(f"{name}/noir")
    page.get_by_label("Prompt").fill("Why is the sky blue?")
    page.get_by_role("spinbutton").fill("24")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("[data-whole-time]")).to_contain_text("s", timeout=60_000)
    expect(page.locator("[data-answer]")).not_to_be_empty()
    look(page, "playground")

    page.goto(f"/styles/{name}/noir/")
    sample = page.locator("blockquote")
    for _ in range(30):
        if sample.count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    expect(sample.first).not_to_be_empty()
    look(page, "style")

    page.goto("/keys/")
    page.get_by_label("Name", exact=True).fill("novel")
    page.get_by_role("button", name="Create key").click()
    secret = re.search(r"sk-ps-[0-9A-Za-z]{36}", page.content())
    assert secret
    look(page, "keys")
    messages = [{"role": "user", "content": "Name three colours."}]
    with openai.OpenAI(base_url=f"{site}/v1", api_key=secret.group(), max_retries=0) as client:
        answer = client.chat.completions.create(model="noir", messages=messages, max_tokens=8)
    assert answer.choices[0].message.content

    page.goto("/usage/")
    row = page.get_by_role("row").filter(has_text=re.compile("noir")).first
    for _ in range(20):
        if row.is_visible() and "2" in row.inner_text():
            break
        page.wait_for_timeout(1000)
        page.reload()
    expect(row).to_contain_text("2")
    look(page, "usage")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("styles/", "playground/", "keys/", "usage/", "styles/new/"):
        page.goto(f"/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        look(page, f"phone-{path.strip('/').replace('/', '-')}")
