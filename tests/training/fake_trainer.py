"""A trainer that speaks as engine/train.py does and trains nothing: for tests of the worker's side.

`fake_trainer.py JOB --worker`. Its loss falls with each step and depends on nothing else, so a resumed job
shows the same losses. `fake.json` beside this file's job may say how it misbehaves (`Behaviour`).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

EXAMPLE_TOKENS = 100
STEPS_PER_EPOCH = 4
CHECKPOINT_EVERY = 4


def main() -> int:
    job = Path(sys.argv[1])
    settings = json.loads((job / "job.json").read_text())
    behaviour = json.loads((os.environ.get("HOME", "") and _behaviour()) or "{}")
    examples = len((job / "learn.jsonl").read_text().splitlines())
    is_stopped = []
    signal.signal(signal.SIGTERM, lambda *_: is_stopped.append(True))
    steps = settings["recipe"]["epochs"] * STEPS_PER_EPOCH
    tokens_per_epoch = examples * behaviour.get("example_tokens", EXAMPLE_TOKENS)
    first = _read_checkpoint(job)
    say(
        "start",
        steps=steps,
        epochs=settings["recipe"]["epochs"],
        examples=examples,
        first_step=first,
        tokens_per_epoch=tokens_per_epoch,
        validation_examples=1,
        trainable_parameters=1,
    )
    if first == 0:
        say("validation", step=0, loss=5.0, learned_repeats=0.0, held_out_repeats=0.0)
    for step in range(first + 1, steps + 1):
        if behaviour.get("fails_at") == step:
            say("error", code=behaviour["code"], message="as asked")
            return 1
        if behaviour.get("dies_at") == step:
            os.kill(os.getpid(), signal.SIGKILL)
        say(
            "step",
            step=step,
            epoch=step / STEPS_PER_EPOCH,
            loss=4 / step,
            seconds=0.1,
            tokens=step * tokens_per_epoch // STEPS_PER_EPOCH,
        )
        while not is_stopped and step >= behaviour.get("waits_from", steps + 1):
            time.sleep(0.01)
        if step % STEPS_PER_EPOCH == 0:
            time.sleep(behaviour.get("validation_s", 0))
            say("validation", step=step, loss=5 / step, learned_repeats=0.0, held_out_repeats=0.0)
        if step % CHECKPOINT_EVERY == 0 or is_stopped:
            _write_checkpoint(job, step)
        if is_stopped:
            say("stopped", step=step)
            return 0
    _write_adapter(job)
    say(
        "end",
        step=steps,
        best_step=steps,
        validation_loss=5 / steps,
        stopped_early=False,
        tokens=steps * tokens_per_epoch // STEPS_PER_EPOCH,
        kept_tokens=behaviour.get("kept_at", steps) * tokens_per_epoch // STEPS_PER_EPOCH,
    )
    return 0


def say(kind: str, **facts: object) -> None:
    print(json.dumps({"type": kind, **facts}), flush=True)


def _behaviour() -> str:
    file = Path(os.environ["HOME"]) / "fake.json"
    return file.read_text() if file.exists() else "{}"


def _read_checkpoint(job: Path) -> int:
    file = job / "checkpoint" / "state.json"
    return json.loads(file.read_text())["step"] if file.exists() else 0


def _write_checkpoint(job: Path, step: int) -> None:
    (job / "checkpoint").mkdir(exist_ok=True)
    (job / "checkpoint" / "state.json").write_text(json.dumps({"step": step}))
    say("checkpoint", step=step)


def _write_adapter(job: Path) -> None:
    source = Path(os.environ["HOME"]) / "adapter"
    (job / "adapter").mkdir()
    for file in source.iterdir():
        (job / "adapter" / file.name).write_bytes(file.read_bytes())


sys.exit(main())
