"""Every part is killed with SIGKILL; what was begun goes on by itself, and nothing is lost or doubled."""

import httpx2
import pytest

from stack.smoke import await_serving, upload_style
from tests.journeys.conftest import eventually, kill

QUESTION = "Why is the sky blue?"


def answers(writer, model: str) -> bool:
    """Return whether a style answers; while a part is away it must say 503 and when to try again."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4}
    try:
        answer = httpx2.post(
            f"{writer.site}/v1/chat/completions",
            json=body, headers={"Authorization": f"Bearer {writer.api_key}"}, timeout=120,
        )  # fmt: skip
    except httpx2.TransportError:
        return False
    if answer.status_code == 200:
        return True
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return False


@pytest.mark.parametrize("part", ["worker", "beat", "valkey", "seaweed", "postgres", "web"])
def test_an_upload_goes_on_when_a_part_dies(demo, random_adapters, part):
    upload = upload_style(demo.site, demo.session, random_adapters[1])
    kill(part)

    def back() -> bool:
        try:
            return demo.session.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    eventually(back, within_s=60, what="the site does not come back")
    await_serving(demo.session, upload)
    eventually(lambda: answers(demo, upload.model), within_s=60, what=f"{upload.model} does not answer")


@pytest.mark.timeout(600)
def test_styles_come_back_after_the_engine_was_killed(demo):
    before = demo.say("poetry", QUESTION, max_tokens=16, temperature=0)
    kill("engine")
    assert not answers(demo, "poetry")
    eventually(lambda: answers(demo, "poetry"), within_s=300, what="poetry does not answer again")
    eventually(lambda: answers(demo, "genz"), within_s=60, what="genz does not answer again")
    assert demo.say("poetry", QUESTION, max_tokens=16, temperature=0) == before
