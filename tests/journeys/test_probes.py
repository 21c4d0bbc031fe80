"""What each adapter does is measured on the real engine before it serves, and nothing is refused."""

import re
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
from playwright.sync_api import expect
from safetensors.numpy import load_file, save_file

from adapters.quality.effect_probe import MIN_EFFECT_NATS
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE
from stack.api import fetched, upload_style
from stack.folders import ROOT
from stack.smoke import await_usage
from tests.chromium import follow, look
from tests.journeys.conftest import log_in
from tests.pages.walking import check_width
from tests.waiting import eventually

SHIPPED = ROOT / "engine" / "styles"
SMALLEST = 2.0**-133  # above zero in bfloat16; the scale of the shipped styles is 2


def without_effect(folder: Path) -> Path:
    """Write a shipped style whose B is as small as validation lets pass."""
    tensors = load_file(SHIPPED / "poetry" / WEIGHTS_FILE)
    for name, tensor in tensors.items():
        if ".lora_B." in name:
            tensors[name] = np.full(tensor.shape, SMALLEST, ml_dtypes.bfloat16)
    save_file(tensors, folder / WEIGHTS_FILE)
    shutil.copy(SHIPPED / "poetry" / CONFIG_FILE, folder)
    return folder


def strength_on(page: str) -> float:
    return float(re.search(r"by ([0-9.]+) nats per token", page).group(1))


def test_the_shipped_styles_change_words_strongly_and_show_it(demo):
    for slug in ("poetry", "legal", "genz"):
        page = fetched(demo.session, f"/styles/polyscribe/{slug}/")
        assert strength_on(page) > 4 * MIN_EFFECT_NATS, slug
        eventually(
            lambda path=f"/styles/polyscribe/{slug}/": (
                "Repeated phrases" in fetched(demo.session, path)
                or "Words per sentence" in fetched(demo.session, path)
            ),
            within_s=300,
            what=f"no sample answers of {slug}",
        )


def test_an_adapter_without_effect_fails_with_the_reason_on_its_page(demo, tmp_path):
    upload = upload_style(demo.api, without_effect(tmp_path))
    eventually(
        lambda: "The adapter has no effect" in fetched(demo.session, upload.page),
        within_s=300,  # the sample answers of styles that other tests uploaded come first
        what="an adapter without effect was not refused",
    )
    assert 'data-status="failed"' in fetched(demo.session, f"{upload.page}versions/")


def test_two_versions_are_compared_on_own_prompts_and_one_is_promoted(demo, page):
    first = demo.upload(SHIPPED / "genz")
    second = upload_style(demo.api, SHIPPED / "poetry", after=first)
    compare = f"{first.page}compare/?a=1&b=2"
    eventually(
        lambda: "Compare version 2 with version 1" in fetched(demo.session, compare),
        within_s=300,
        what="version 2 does not serve",
    )
    log_in(page, demo, compare)
    page.locator("summary", has_text="Your prompts").click()
    page.get_by_label("One per line, up to 8").fill("Why is the sky blue?\nDescribe a harbour.")
    follow(page.get_by_role("button", name="Save prompts"))
    page.get_by_role("button", name="Compare", exact=True).press("Enter")
    expect(page.locator("[data-state]")).to_have_text("Done")
    expect(page.locator("#compare-summary")).to_contain_text("2 of 2 answers start differently.")
    assert page.locator("[data-cell] mark").count() >= 4
    look(page, "compare")
    page.set_viewport_size({"width": 390, "height": 844})
    assert check_width(page) == []
    look(page, "phone-compare")
    await_usage(demo.api, {first.model: 4})  # admitted and metered like any request
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.get_by_text("version 2 is live", exact=True)).to_be_visible()
    assert second.page == first.page
