"""The official JavaScript client, unchanged, against the whole stack."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.javascript import run_script
from tests.journeys.builders import KEY, billed
from tests.journeys.conftest import Writer


@pytest.fixture(scope="module")
def heard(demo, javascript, make_once) -> dict[str, Any]:
    """What the client heard, as `javascript/client.mjs` tells it."""

    def write(folder: Path) -> None:
        (folder / "heard.json").write_text(json.dumps(run_client(demo, javascript)))

    return json.loads((make_once("heard", write) / "heard.json").read_text())


def run_client(demo: Writer, javascript: Path) -> dict[str, Any]:
    issued = demo.post(
        "/keys/issue/",
        name=f"poor-{uuid4().hex[:8]}",
        lifetime_days="",
        scopes="inference",
        monthly_tokens="100",
    )
    keys = {"OPENAI_API_KEY": demo.api_key, "POOR_API_KEY": KEY.search(issued).group()}
    return run_script(javascript, "client.mjs", OPENAI_BASE_URL=f"{demo.site}/v1", **keys)


def test_it_lists_the_models(heard):
    assert {"base", "genz", "legal", "poetry"} <= set(heard["models"]["names"])
    assert heard["models"]["one"] == "poetry"


def test_it_reads_an_answer_whole_as_chunks_and_as_events(demo, heard):
    whole, iterated, evented = heard["whole"], heard["iterated"], heard["evented"]
    assert whole["text"]
    assert whole["text"] == iterated["text"] == evented["text"] == evented["events"]
    assert whole["usage"]["completion_tokens"] == iterated["usage"]["completion_tokens"] == 16
    assert [whole["model"]] == iterated["models"] == [evented["model"]] == ["poetry"]
    assert whole["finish_reason"] == evented["finish_reason"] == "length"
    assert len(heard["texts"]) == 2


def test_what_it_heard_is_billed(demo, heard):
    for answer in (heard["whole"], heard["iterated"]):
        usage = answer["usage"]
        assert billed(demo, answer["request"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert heard["whole"]["request"] == heard["whole"]["sameRequest"]


def test_what_it_aborts_is_stopped_and_billed_what_was_made(demo, heard):
    _, written = billed(demo, heard["aborted"]["request"])
    assert heard["aborted"]["chunks"] - 1 <= written < 200


ERRORS = {
    "wrongKey": ("AuthenticationError", 401, "invalid_api_key", None),
    "unknownModel": ("NotFoundError", 404, "model_not_found", "model"),
    "wrongField": ("BadRequestError", 400, None, "temperature"),
    "wrongFieldStreamed": ("BadRequestError", 400, None, "temperature"),
    "noQuota": ("RateLimitError", 429, "insufficient_quota", None),
}


def test_its_errors_are_those_it_documents(heard):
    for error, (kind, *facts) in ERRORS.items():
        raised = heard["errors"][error]
        assert raised["classes"] == ["APIError", kind], error
        assert [raised["status"], raised["code"], raised["param"]] == facts
        assert raised["requestID"].startswith("req_")
        assert raised["requests"] == 1
