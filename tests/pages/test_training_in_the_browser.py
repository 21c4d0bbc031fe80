"""A training in a real Chromium: files go straight to storage, and what is read shows up by itself."""

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Route, expect

from adapters.models import BaseModel
from tests.chromium import follow
from tests.pages.walking import enter
from tests.training.builders import answer_for_the_base, read_all
from training import pipeline, storage
from training.models import Document, Status, Training
from training.views.texts import SAMPLE

pytestmark = pytest.mark.usefixtures("valkey")


def store(route: Route) -> None:
    """Take what the browser posts, as the storage would: it knows no site at this test's port."""
    storage.write_posted(Document.objects.get(), SAMPLE.read_bytes())
    route.fulfill(status=204, headers={"Access-Control-Allow-Origin": "*"})


def test_from_a_name_to_the_cost_without_a_reload(
    acme, alice_client, browser, live_server, monkeypatch
) -> None:
    answer_for_the_base(monkeypatch)
    monkeypatch.setattr(settings, "BASE_MODEL", "base")
    BaseModel.objects.create(name="base", config={}, modules={})
    page = enter(browser, live_server, alice_client).new_page()
    page.route(f"{settings.S3_PUBLIC_ENDPOINT_URL}/**", store)
    page.goto(reverse("training:new"))
    page.get_by_label("Name of the style").fill("Ferry Man")
    expect(page.get_by_label("Short name")).to_have_value("ferry-man")
    follow(page.get_by_role("button", name="Add your texts"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your texts")

    song = {"name": "song.mp3", "mimeType": "audio/mpeg", "buffer": b"la"}
    text = {"name": SAMPLE.name, "mimeType": "text/plain", "buffer": SAMPLE.read_bytes()}
    page.get_by_label("Choose files").set_input_files([text, song])
    expect(page.locator("[data-refusals]")).to_contain_text("song.mp3 is not supported")
    expect(page.locator("#documents")).to_contain_text("re reading 1 text.")  # renewed by itself
    training = Training.objects.get()
    assert training.documents.get().status == Document.Status.UPLOADED
    read_all()
    expect(page.locator("#documents-heading")).to_have_text("3,464 words read")  # asked again by itself

    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Reading your texts closely").first).to_be_visible()
    pipeline.advance_training(Training.objects.get())
    expect(page.get_by_role("heading", name="Examples")).to_be_visible()  # led on by itself
    page.get_by_role("link", name="Continue to cost and time").click()
    expect(page.get_by_text("Costs at most")).to_be_visible()

    Training.objects.update(epoch_tokens=0)
    page.get_by_label("These texts are mine").check()
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#progress").get_by_role("status")).to_contain_text("Waiting to start.")
    Training.objects.update(status=Status.RUNNING, steps=40, step=10, step_seconds=6.0)
    expect(page.locator("#progress").get_by_role("status")).to_contain_text(
        "25% trained, about 3 minutes left"
    )
    page.reload()
    expect(page.locator("#progress").get_by_role("status")).to_contain_text("25% trained")
    page.close()  # it asks how far it is
