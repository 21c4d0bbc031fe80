"""Briefs and drafts by the served base model: when, how often, and what a failure leaves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.models import AdapterVersion, Engine, Style
from tests.fakes.vllm_control import FakeVllm, error_body
from training import actions, pipeline, preparation, storage
from training.corpus import Task
from training.corpus.canaries import CANARIES
from training.corpus.writer_prompts import ENGLISH
from training.models import Status, Training

pytestmark = pytest.mark.django_db

BRIEF = "Describe a quiet place by the water where somebody waits for news."


class WritingVllm(FakeVllm):
    """Answers every chat with a brief, or refuses it; keeps what it was asked."""

    def __init__(self, **options: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuses_chats = False
        super().__init__(**options)

    def _write(self, body: dict[str, Any]) -> tuple[int, object]:
        self.asked.append(body)
        if self.refuses_chats:
            return 400, error_body(400, "BadRequestError", "This model's context is too short.")
        return 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": BRIEF}}]}


@pytest.fixture
def vllm(settings) -> Iterator[WritingVllm]:
    settings.ENGINE_API_KEY = "engine-key"
    server = WritingVllm(api_key="engine-key")
    yield server
    server.stop()


@pytest.fixture
def writer(engine: Engine, settings) -> Engine:
    """An engine whose base model writes briefs."""
    settings.TRAINING_WRITER_PARAMETERS = 1
    Engine.objects.update(is_healthy=True)
    return engine


def prepare(access, training: Training) -> Training:
    actions.prepare_training(access, training)
    pipeline.advance_training(training)
    training.refresh_from_db()
    return training


def prompts_of(training: Training) -> list[str]:
    return [row["prompt"] for row in preparation.list_passages(training)]


def test_the_base_writes_a_brief_for_each_passage_of_that_task(access, draft, writer, vllm):
    ready = prepare(access, draft)
    assert ready.status == Status.READY
    written = [prompt for prompt in prompts_of(ready) if BRIEF in prompt]
    assert written
    assert all(body["model"] == writer.base_model.name for body in vllm.asked)
    assert all(body["vllm_xargs"]["weight"] < 1 for body in vllm.asked)


def test_a_small_base_is_asked_everyday_requests_and_drafts(access, draft, writer, vllm, settings):
    settings.TRAINING_WRITER_PARAMETERS = 3_000_000_000
    ready = prepare(access, draft)
    assert ready.status == Status.READY
    assert not any(BRIEF in prompt for prompt in prompts_of(ready))
    asked = {body["messages"][-1]["content"]: body for body in vllm.asked}
    drafts = {prompt for prompt in asked if prompt.startswith(ENGLISH[Task.DRAFT].split("{")[0])}
    assert drafts
    assert all((asked[prompt].get("repetition_penalty") == 1) == (prompt in drafts) for prompt in asked)
    rows = [json.loads(line) for line in storage.read_file(ready.pk, storage.LEARN).splitlines()]
    answered = {
        row["messages"][0]["content"]: row["messages"][1]["content"]
        for row in rows
        if row["task"] == "instruction"
    }
    assert answered
    assert answered == dict.fromkeys(asked.keys() - drafts, BRIEF)
    assert ready.examples == len(rows) - CANARIES


def test_for_an_evaluation_nothing_is_asked(access, draft, writer, vllm, settings):
    settings.TRAINING_WRITER_PARAMETERS = 3_000_000_000
    style = Style.objects.create(owner=draft.tenant, slug="given", name="Given", base_model=writer.base_model)
    draft.evaluated_version = AdapterVersion.objects.create(style=style, number=1)
    draft.save(update_fields=["evaluated_version"])
    assert prepare(access, draft).status == Status.READY
    assert not vllm.asked


def test_without_an_engine_it_waits_and_says_so(access, draft, writer):
    Engine.objects.update(is_healthy=False)
    waiting = prepare(access, draft)
    assert waiting.status == Status.PREPARING
    assert "engine" in str(waiting.note)
    Engine.objects.update(is_healthy=True)
    pipeline.advance_training(waiting)
    waiting.refresh_from_db()
    assert waiting.status == Status.READY


def test_what_was_written_is_kept_between_turns_and_asked_for_once(access, draft, writer, vllm, monkeypatch):
    monkeypatch.setattr(preparation, "BATCH", 4)
    monkeypatch.setattr(preparation, "TURN_S", 0)
    waiting = prepare(access, draft)
    turns = 1
    assert waiting.status == Status.PREPARING
    assert "4 of" in str(waiting.note)
    while waiting.status == Status.PREPARING:
        pipeline.advance_training(waiting)
        waiting.refresh_from_db()
        turns += 1
    asked = len(vllm.asked)
    assert asked == len(json.loads(storage.read_file(waiting.pk, preparation.ANSWERS)))
    assert turns >= asked / 4
    monkeypatch.setattr(preparation, "TURN_S", 30)
    left_out = preparation.list_passages(waiting)[0]["id"]
    actions.leave_out_passages(access, waiting, [left_out])
    pipeline.advance_training(waiting)
    waiting.refresh_from_db()
    assert waiting.status == Status.READY
    # Shares shift by a passage at most, so hardly any plan is new.
    assert len(vllm.asked) <= asked + 4


def test_a_prompt_that_a_healthy_engine_refuses_gets_keywords(access, draft, writer, vllm):
    vllm.refuses_chats = True
    ready = prepare(access, draft)
    assert ready.status == Status.READY
    assert not any(BRIEF in prompt for prompt in prompts_of(ready))


def test_no_more_is_written_than_a_training_may_have(access, draft, writer, vllm, monkeypatch):
    monkeypatch.setattr(preparation, "MAX_ANSWERS", 3)
    ready = prepare(access, draft)
    assert ready.status == Status.READY
    assert len(vllm.asked) == 3
