"""From a writer's text to a style that answers, on the real trainer and the real engine."""

from collections.abc import Callable

from stack.api import Api
from tests.waiting import eventually
from trials.harness import take_paragraphs

WITHIN_S = 800
POLL_S = 1.0  # the plan's limit of requests per minute is for all journeys
WORDS = 4_000  # of fewer, too few passages are left to tell what the author sounds like
ENDED = ("succeeded", "failed", "cancelled")


def wait_for(api: Api, address: str, is_done: Callable[[dict], bool]) -> dict:
    """Return what an address shows once it is as it should be."""
    shown: dict = {}

    def is_shown() -> bool:
        shown.clear()
        shown.update(api.get(address))
        return is_done(shown)

    eventually(is_shown, within_s=WITHIN_S, every_s=POLL_S, what=lambda: f"{address}: {shown}")
    return shown


def test_a_text_becomes_a_style_that_answers_and_is_evaluated(demo):
    api = demo.api
    training = api.post("trainings", {"slug": "our-guides", "name": "Our guides"})
    address = f"trainings/{training['id']}"
    api.post(f"{address}/text", {"name": "guides.txt", "text": "\n\n".join(take_paragraphs(WORDS))})
    wait_for(api, f"{address}/documents", lambda found: found["data"][0]["status"] == "read")
    api.post(f"{address}/estimate", {})
    ready = wait_for(api, address, lambda found: found["status"] in ("ready", "draft"))
    assert ready["status"] == "ready", ready["note"]
    api.post(f"{address}/start", {"rights": True})
    trained = wait_for(api, address, lambda found: found["status"] in ENDED)
    assert trained["status"] == "succeeded", trained
    assert 0 < trained["trained_tokens"] <= trained["most_tokens"]
    assert trained["validation_loss"]

    style, _, number = trained["model"].partition("@")
    version = f"styles/{style}/versions/{number}"
    wait_for(api, version, lambda found: found["status"] == "serving")
    assert demo.say(trained["model"], "Write about how a request is billed.", max_tokens=20)

    evaluation = wait_for(api, f"{version}/evaluation", lambda found: found["status"] in ENDED)
    assert evaluation["status"] == "succeeded", evaluation
    figures = evaluation["figures"]
    assert figures["learned"]["style"] < figures["learned"]["base"]
    assert figures["voice"]["floor"] < figures["voice"]["ceiling"]
    assert figures["voice"]["answers"] == 20
    assert len(figures["repeats"]["exposure_bits"]) == 3
    paragraphs = take_paragraphs(2 * WORDS)
    check = api.post("styles/our-guides/draft_checks", {"text": "\n\n".join(paragraphs[-20:])})
    assert 0 <= check["percent"] <= 100
    assert check["farthest"]
