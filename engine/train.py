"""Train an adapter: `train.py JOB`, a folder with job.json, learn.jsonl and validate.jsonl.

Each line of the two is a conversation, {"messages": [{"role", "content", "weight"}, …]}; the assistant's
messages are learned, except those of weight 0. The result is JOB/adapter. Standard output has one JSON object
per line: start, step, validation, checkpoint and end, or error with a code. `--count` prints only the first.

On SIGTERM it writes JOB/checkpoint at the next step, prints `stopped` and exits with 0. The same command then
resumes from there, as after a crash. A resumed job ends with the same losses and the same adapter, byte for
byte, on the same kind of machine with the same number of threads.
"""

import argparse
import importlib
import sys
from pathlib import Path

from trainer.child import EventStream, StopRequest, run_child, set_environment
from trainer.job import fingerprint_job, read_job, read_progress
from trainer.plan import Plan


def train(options: argparse.Namespace, events: EventStream) -> None:
    """Train the job in a folder, or only report what that would take. Raises TrainingError."""
    folder = options.job
    stop = StopRequest()
    stop.listen()
    job = read_job(folder)
    set_environment(job.threads)
    # Only now: libraries read the environment when they are imported. PyTorch takes seconds, during which a
    # request to stop is already noticed; counting doesn't need it.
    preparation = importlib.import_module("trainer.preparation")
    plan = preparation.prepare_plan(folder, job)
    progress = read_progress(folder, fingerprint_job(folder, job))
    parameters = preparation.count_trainable_parameters(job.base, job.recipe.rank)
    write_start(events, plan, first_step=progress.step, trainable_parameters=parameters)
    if options.count:
        return
    training = importlib.import_module("trainer.training")
    with training.memory_errors():
        training.Training(folder, job, plan, progress=progress, events=events).run(stop)


def write_start(events: EventStream, plan: Plan, *, first_step: int, trainable_parameters: int) -> None:
    events.write(
        "start",
        steps=plan.steps,
        epochs=plan.epochs,
        examples=len(plan.learned),
        validation_examples=len(plan.validation),
        tokens_per_epoch=plan.tokens_per_epoch,
        first_step=first_step,
        trainable_parameters=trainable_parameters,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", type=Path)
    parser.add_argument("--count", action="store_true", help="print the `start` line and exit")
    return run_child(parser, train)


if __name__ == "__main__":
    sys.exit(main())
