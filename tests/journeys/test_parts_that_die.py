"""Parts are killed with SIGKILL, and what was begun goes on by itself. test_chaos.py kills all of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest

from stack.api import await_serving, upload_style
from stack.errors import Miss
from tests.journeys.conftest import kill
from tests.waiting import eventually

pytestmark = pytest.mark.alone

QUESTION = "Why is the sky blue?"
PARTS = ["valkey", "postgres", "seaweed", "worker-uploads", "worker-engine"]  # what an upload needs


def chat_of(writer, model: str, **more: object) -> dict[str, object]:
    """Return what httpx sends to ask a style."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4, **more}
    headers = {"Authorization": f"Bearer {writer.api_key}"}
    return {"url": f"{writer.site}/v1/chat/completions", "json": body, "headers": headers, "timeout": 600}


def answers(writer, model: str) -> bool:
    """Return whether a style answers; if it does not, it must say 503 and when to try again."""
    try:
        answer = httpx2.post(**chat_of(writer, model))
    except httpx2.TransportError:
        return False
    if answer.status_code == 200:
        return True
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return False


@pytest.mark.parametrize("part", PARTS)
def test_an_upload_goes_on_when_a_part_dies(demo, random_adapters, part):
    upload = upload_style(demo.api, random_adapters[1])
    kill(part)

    def serves() -> bool:
        try:
            await_serving(demo.api, upload)
        except (httpx2.TransportError, Miss):  # its page may be away, too
            return False
        return True

    eventually(serves, within_s=300, what=f"{upload.model} does not serve")
    eventually(lambda: answers(demo, upload.model), within_s=300, what=f"{upload.model} does not answer")


def test_who_asks_while_the_engine_restarts_waits_and_gets_the_same_answer(demo):
    options = {"max_tokens": 16, "temperature": 0}
    models = ("poetry", "genz", "base")
    before = [demo.say(model, QUESTION, **options) for model in models]
    # The gateway waits 120 s for an engine and then says when to ask again; a busy machine takes longer.
    patient = replace(demo)
    patient.client = demo.client.with_options(max_retries=5, timeout=600)
    kill("engine")
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(patient.say, model, QUESTION, **options) for model in models]
        streamed = pool.submit(lines_once_served, demo, "poetry")
        assert [answer.result() for answer in asked] == before
    lines = streamed.result()
    assert lines[-1] == "data: [DONE]"
    assert not any('"error"' in line for line in lines)


def lines_once_served(writer, model: str) -> list[str]:
    """Return the lines of a stream without an error; what has waited in vain is asked for again."""
    lines = lines_of(writer, model)
    assert lines[0] == ": waiting"
    for _ in range(5):
        if not any('"error"' in line for line in lines):
            break
        lines = lines_of(writer, model)
    return lines


def lines_of(writer, model: str) -> list[str]:
    """Return what a client is sent as a stream, without the empty lines."""
    with httpx2.stream("POST", **chat_of(writer, model, stream=True)) as answer:
        assert answer.status_code == 200
        return [line for line in answer.iter_lines() if line]
