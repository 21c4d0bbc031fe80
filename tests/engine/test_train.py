"""Trainings of tiny models, killed and stopped at several steps, and of the real base (long)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors import safe_open

from engine import serve
from tests.engine.engine_python import CPU, ENGINE_PYTHON, needs_vllm
from tests.engine.tiny_trainings import Run, Trainer, conversation, write_job, write_rows

ENGINE = Path(serve.__file__).parent
ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")
pytestmark = needs_vllm


def losses(runs: list[Run]) -> dict[tuple[str, int], float]:
    """Return each loss by its kind and step. A step that two runs took has to have the same one in both."""
    found: dict[tuple[str, int], float] = {}
    for event in [event for run in runs for event in run.events if "loss" in event]:
        key = (event["type"], event["step"])
        assert found.setdefault(key, event["loss"]) == event["loss"]
    return found


def adapter_bytes(job: Path) -> list[bytes]:
    return [(job / name).read_bytes() for name in ADAPTER]


def signal_after(steps: int, which: signal.Signals) -> Callable[[dict, int], None]:
    """Return a watcher that sends a signal once a process has taken so many steps."""
    seen = []

    def watch(event: dict, process: int) -> None:
        seen.extend([event] if event["type"] == "step" else [])
        if len(seen) == steps:
            seen.append(event)
            os.kill(process, which)

    return watch


def run_with_signals(trainer: Trainer, job: Path, which: signal.Signals, after: list[int]) -> list[Run]:
    """Return the runs of a job that is signalled after so many steps of each, and of one to its end."""
    runs = [trainer.run(job, signal_after(steps, which)) for steps in after]
    return [*runs, trainer.run(job)]


def test_a_killed_training_ends_with_the_same_losses_and_the_same_adapter(trainer, tmp_path):
    undisturbed = write_job(tmp_path / "a", trainer.bases / "llama")
    killed = write_job(tmp_path / "b", trainer.bases / "llama", checkpoint_every_s=0)
    whole = trainer.run(undisturbed)

    runs = run_with_signals(trainer, killed, signal.SIGKILL, [0, 1, 3, 7, 12])

    assert [run.status for run in runs] == [-signal.SIGKILL] * 5 + [0]
    assert losses(runs) == losses([whole])
    assert runs[-1].of_type("end") == whole.of_type("end")
    assert adapter_bytes(killed) == adapter_bytes(undisturbed)
    for before, after in pairwise(runs):
        saved = [event["step"] for event in before.of_type("checkpoint")]
        assert after.events[0]["first_step"] >= max(saved, default=0)


def test_a_training_that_was_asked_to_stop_goes_on_where_it_was(trainer, tmp_path):
    undisturbed = write_job(tmp_path / "a", trainer.bases / "llama")
    stopped = write_job(tmp_path / "b", trainer.bases / "llama")
    whole = trainer.run(undisturbed)

    runs = run_with_signals(trainer, stopped, signal.SIGTERM, [0, 2, 9])

    assert [run.status for run in runs] == [0, 0, 0, 0]
    for before, after in pairwise(runs):
        assert before.events[-1] == {"type": "stopped", "step": after.events[0]["first_step"]}
    steps = [event["step"] for run in runs for event in run.of_type("step")]
    assert steps == list(range(1, len(steps) + 1))  # none is taken twice
    assert losses(runs) == losses([whole])
    assert adapter_bytes(stopped) == adapter_bytes(undisturbed)


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
def test_each_family_of_models_learns(trainer, tmp_path, family):
    run = trainer.run(write_job(tmp_path / "job", trainer.bases / family, {"learning_rate": 0.01}))
    before, *_, after = [event["loss"] for event in run.of_type("validation")]
    assert after < before - 0.5
    start, end = run.events[0], run.events[-1]
    assert end["tokens"] == start["epochs"] * start["tokens_per_epoch"]
    with safe_open(tmp_path / "job" / ADAPTER[1], framework="numpy") as adapter:
        stored = [adapter.get_slice(name).get_shape() for name in adapter.keys()]  # noqa: SIM118
    assert sum(rows * columns for rows, columns in stored) == start["trainable_parameters"]


def test_a_training_ends_early_once_it_repeats_what_it_learned(trainer, tmp_path):
    job = write_job(tmp_path / "job", trainer.bases / "llama", {"epochs": 100, "learning_rate": 0.03})
    write_rows(job / "learn.jsonl", [conversation(seed) for seed in range(4)])
    run = trainer.run(job)
    end = run.events[-1]
    assert end["stopped_early"]
    assert end["step"] < run.events[0]["steps"]
    assert end["best_step"] <= end["step"]


@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_end_of_learned_texts_decides_nothing(trainer, tmp_path, early_stopping):
    recipe = {"epochs": 6, "learning_rate": 0.02}
    job = write_job(tmp_path / "job", trainer.bases / "llama", recipe, early_stopping=early_stopping)
    write_rows(job / "validate.jsonl", [conversation(seed) for seed in range(90, 94)])  # like nothing learned
    run = trainer.run(job)
    end = run.events[-1]
    at_step = {event["step"]: event["tokens"] for event in run.of_type("step")}
    assert end["kept_tokens"] == at_step[end["best_step"]] <= end["tokens"]
    if early_stopping:
        assert end["validation_loss"] == min(event["loss"] for event in run.of_type("validation")[1:])
    else:
        assert end["best_step"] == end["step"]


def test_without_held_out_text_the_last_weights_are_kept(trainer, tmp_path):
    job = write_job(tmp_path / "job", trainer.bases / "llama", {"epochs": 1})
    (job / "validate.jsonl").write_text("")
    end = trainer.run(job).events[-1]
    assert (end["best_step"], end["validation_loss"], end["stopped_early"]) == (end["step"], None, False)


WRONG_JOBS = {
    "a field that isn't known": ({"learn_rate": 1}, "bad_job", "learn_rate"),
    "a recipe that isn't possible": ({"recipe": {"rank": 0, "epochs": 2}}, "bad_job", "recipe.rank"),
    "no base": ({"base": "/nowhere"}, "no_base", "/nowhere"),
    "no GPU": ({"device": "cuda"}, "no_device", "GPU"),
    "4 bits on a CPU": ({"quantisation": "4-bit"}, "no_device", "4 bits"),
    "examples that are cut before the answer": ({"max_tokens": 16}, "bad_example", "learn.jsonl line 1"),
}


@pytest.mark.parametrize(("change", "code", "message"), WRONG_JOBS.values(), ids=WRONG_JOBS)
def test_what_cannot_be_trained_is_told_with_a_code(trainer, tmp_path, change, code, message):
    run = trainer.run(write_job(tmp_path / "job", trainer.bases / "llama", **change))
    assert (run.status, run.events[-1]["type"], run.events[-1]["code"]) == (1, "error", code)
    assert message in run.events[-1]["message"]


@pytest.mark.parametrize("held_out", [6, 0])
def test_a_loss_that_is_no_number_ends_the_training(trainer, tmp_path, held_out):
    job = write_job(tmp_path / "job", trainer.bases / "broken")
    write_rows(job / "validate.jsonl", [conversation(seed) for seed in range(held_out)])
    run = trainer.run(job)
    assert (run.status, run.events[-1]["code"]) == (1, "diverged")


def test_a_checkpoint_of_another_job_is_refused(trainer, tmp_path):
    job = write_job(tmp_path / "job", trainer.bases / "llama")
    trainer.run(job, signal_after(2, signal.SIGTERM))
    write_rows(job / "learn.jsonl", [conversation(seed) for seed in range(50, 80)])
    run = trainer.run(job)
    assert [event["code"] for event in run.events] == ["bad_job"]


def run_alone(job: Path, *options: str) -> list[dict]:
    """Return what train.py tells in a process of its own."""
    command = [str(ENGINE_PYTHON), str(ENGINE / "train.py"), str(job), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_count_is_what_the_training_itself_tells_first(trainer, tmp_path):
    job = write_job(tmp_path / "job", trainer.bases / "llama", {"epochs": 1})
    counted = run_alone(job, "--count")
    trained = trainer.run(job).events
    assert counted == trained[:1]
    assert not (job / "checkpoint").exists()
    assert trained[-1]["type"] == "end"


@pytest.mark.timeout(1200)
def test_the_real_base_resumes_with_the_same_losses_too(tmp_path):
    base = serve.read_settings(CPU).base_model_dir
    if not (base / "model.safetensors").exists():
        pytest.skip("the base model is not here")
    jobs = [
        write_job(tmp_path / name, base, {"epochs": 1}, checkpoint_every_s=every_s, threads=2)
        for name, every_s in (("undisturbed", 60), ("killed", 0))
    ]
    for job in jobs:
        write_rows(job / "learn.jsonl", [conversation(seed) for seed in range(8)])
        write_rows(job / "validate.jsonl", [conversation(100)])
    whole = Run(run_alone(jobs[0]), 0)

    runs = [kill_alone(jobs[1], steps=2), kill_alone(jobs[1], steps=3), Run(run_alone(jobs[1]), 0)]

    assert losses(runs) == losses([whole])
    assert adapter_bytes(jobs[1]) == adapter_bytes(jobs[0])


def kill_alone(job: Path, *, steps: int) -> Run:
    """Return what train.py tells in a process of its own until it is killed after so many steps."""
    watch = signal_after(steps, signal.SIGKILL)
    command = [str(ENGINE_PYTHON), str(ENGINE / "train.py"), str(job)]
    events = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True) as process:
        for line in process.stdout:
            events.append(json.loads(line))
            watch(events[-1], process.pid)
    return Run(events, process.returncode)
