"""From a writer's text to a style that answers, on the real trainer and the real engine."""

from collections.abc import Callable

import pytest

from stack.api import Api, wait_until
from trials.texts import take_paragraphs

WITHIN_S = 600
SECTION = "trainings"
ENDED = ("succeeded", "failed", "cancelled")


def wait_for(api: Api, address: str, is_done: Callable[[dict], bool]) -> dict:
    """Return what an address shows once it is as it should be."""
    wait_until(lambda: is_done(api.get(address)), within_s=WITHIN_S, what=f"{address} isn't done")
    return api.get(address)


@pytest.fixture(scope="module")
def trained(demo) -> dict:
    api = demo.api
    training = api.post("trainings", {"slug": "our-guides", "name": "Our guides", "epochs": 1})
    address = f"trainings/{training['id']}"
    api.post(f"{address}/text", {"name": "guides.txt", "text": "\n\n".join(take_paragraphs(4_000))})
    wait_for(api, f"{address}/documents", lambda found: found["data"][0]["status"] == "read")
    api.post(f"{address}/estimate", {})
    ready = wait_for(api, address, lambda found: found["status"] in ("ready", "draft"))
    assert ready["status"] == "ready", ready["note"]
    api.post(f"{address}/start", {"rights": True})
    ended = wait_for(api, address, lambda found: found["status"] in ENDED)
    assert ended["status"] == "succeeded", ended
    return ended


@pytest.mark.timeout(2 * WITHIN_S)
def test_a_text_becomes_a_style_that_answers(demo, trained):
    assert 0 < trained["trained_tokens"] <= trained["most_tokens"]
    assert trained["validation_loss"]
    wait_until(
        lambda: demo.api.get(f"{address_of(trained)}")["status"] == "serving",
        within_s=WITHIN_S,
        what="the version isn't serving",
    )
    assert demo.say(trained["model"], "Write about how a request is billed.", max_tokens=20)


@pytest.mark.timeout(2 * WITHIN_S)
def test_the_trained_style_is_evaluated_and_drafts_are_compared_with_its_author(demo, trained):
    address = f"{address_of(trained)}/evaluation"
    evaluation = wait_for(demo.api, address, lambda found: found["status"] in ENDED)
    assert evaluation["status"] == "succeeded", evaluation
    figures = evaluation["figures"]
    assert figures["learned"]["style"] < figures["learned"]["base"]
    assert figures["voice"]["floor"] < figures["voice"]["ceiling"]
    assert figures["voice"]["answers"] == 20
    assert len(figures["repeats"]["exposure_bits"]) == 3
    paragraphs = take_paragraphs(8_000)
    check = demo.api.post("styles/our-guides/draft_checks", {"text": "\n\n".join(paragraphs[-20:])})
    assert 0 <= check["percent"] <= 100
    assert check["farthest"]


def address_of(trained: dict) -> str:
    """Return the address of the version that a training made."""
    style, _, number = trained["model"].partition("@")
    return f"styles/{style}/versions/{number}"
