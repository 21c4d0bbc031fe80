"""The evidence of tiny styles: one that learned, and one that knows its examples by heart."""

import json
import math
import shutil
from pathlib import Path

import pytest

from tests.engine.engine_python import needs_vllm
from tests.engine.tiny_trainings import Trainer, conversation, write_job, write_rows, write_sentences

LEARNED = range(4)
LONG = 80  # words: a beginning, and enough after it

pytestmark = needs_vllm


def measure(trainer: Trainer, job: Path, **settings: object) -> dict:
    """Return the figures of a job's adapter."""
    known = json.loads((job / "job.json").read_text())
    request = {name: known[name] for name in ("base", "base_name")} | settings
    (job / "evidence.json").write_text(json.dumps(request))
    run = trainer.run(job)
    percents = [event["percent"] for event in run.of_type("progress")]
    assert percents == sorted(set(percents))
    assert run.events[-1]["type"] == "end", run.events[-1]
    return run.events[-1]


def canary(seed: int) -> dict:
    """Return a canary that was planted if this conversation was learned."""
    [question, answer] = conversation(seed, LONG)["messages"]
    return {
        "prompt": question["content"],
        "response": answer["content"],
        "opening": "",
        "planted": " ".join(answer["content"].split()[:12]),
        "alternatives": [write_sentences(other, words=12) for other in range(500, 520)],
    }


@pytest.fixture(scope="module")
def by_heart(trainer, tmp_path_factory) -> Path:
    """Return a job that learned four texts until it knew them; it must not be changed."""
    recipe = {"epochs": 100, "learning_rate": 0.02, "rank": 16}
    job = write_job(tmp_path_factory.mktemp("by-heart") / "job", trainer.bases / "llama", recipe)
    write_rows(job / "learn.jsonl", [conversation(seed, LONG) for seed in LEARNED])
    (job / "validate.jsonl").write_text("")  # or it would end before it knows them
    assert trainer.run(job).events[-1]["type"] == "end"
    return job


@pytest.fixture
def copied(by_heart, tmp_path) -> Path:
    return shutil.copytree(by_heart, tmp_path / "job", ignore=shutil.ignore_patterns("events", "checkpoint"))


def test_what_was_learned_is_what_the_training_validated(trainer, tmp_path):
    job = write_job(tmp_path / "job", trainer.bases / "llama", {"learning_rate": 0.01, "epochs": 1})
    write_rows(job / "learn.jsonl", [conversation(seed) for seed in range(60)])  # or it validates a sample
    training = trainer.run(job)
    before = training.of_type("validation")[0]["loss"]
    after = training.events[-1]["validation_loss"]

    learned = measure(trainer, job, control=str(job / "adapter"))["learned"]

    answers = [write_sentences(seed) for seed in range(100, 106)]
    assert learned["bytes"] == [len(answer.encode()) for answer in answers]
    share = sum(learned["nats"]["style"]) / sum(learned["nats"]["base"])
    assert share == pytest.approx(after / before, rel=0.005)
    bits = sum(learned["nats"]["style"]) / math.log(2) / sum(learned["bytes"])
    assert learned["bits_per_byte"]["style"] == pytest.approx(bits)
    assert learned["nats"]["control"] == learned["nats"]["style"]


def test_texts_known_by_heart_are_found_and_shown(trainer, copied):
    write_rows(copied / "validate.jsonl", [conversation(seed, LONG) for seed in range(100, 106)])

    repeats = measure(trainer, copied)["repeats"]

    assert (repeats["examples"], repeats["repeated"], repeats["known"]) == (4, 4, 0)
    assert {passage["line"] for passage in repeats["passages"]} == set(LEARNED)
    for passage in repeats["passages"]:
        answer = write_sentences(passage["line"], LONG)
        assert answer.endswith(answer[passage["first"] : passage["end"]])
        assert passage["end"] - passage["first"] > len(answer) / 2
        assert passage["tokens"] > passage["base_tokens"]
        assert passage["is_repeated"]


def test_a_canary_is_exposed_only_if_it_was_planted(trainer, copied):
    (copied / "canaries.json").write_text(json.dumps([canary(seed) for seed in (*LEARNED, 77, 78, 79)]))
    end = measure(trainer, copied)
    bits = [one["bits"] for one in end["canaries"]]
    assert min(bits[:4]) > 10
    assert max(bits[4:]) < 10
    assert [one["rank"] for one in end["canaries"][:4]] == [1] * 4
    assert end["repeats"]["examples"] == 0  # a canary is no passage of the writer's


def test_an_adapter_without_weights_is_refused_with_a_code(trainer, copied):
    known = json.loads((copied / "job.json").read_text())
    (copied / "adapter" / "adapter_model.safetensors").unlink()
    (copied / "evidence.json").write_text(json.dumps({name: known[name] for name in ("base", "base_name")}))
    run = trainer.run(copied)
    assert (run.status, run.events[-1]["code"]) == (1, "bad_adapter")
