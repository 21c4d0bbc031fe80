"""Judge an adapter: `evidence.py FOLDER`, with evidence.json, adapter/, learn.jsonl and validate.jsonl.

The two files of conversations are those that train.py reads: what was learned, and what was held out. If
canaries were planted, canaries.json has them. Standard output has one JSON object per line: progress with its
percent, and at last end with all figures, or error with a code. On SIGTERM it just ends: it has no state.
"""

import argparse
import importlib
import sys
from pathlib import Path

from scoring.request import read_canaries, read_request
from trainer.child import WORKER_HELP, follow_worker, set_environment
from trainer.errors import TrainingError
from trainer.events import EventStream, take_standard_output


def judge(folder: Path, events: EventStream) -> None:
    """Judge the adapter in `folder` and report the figures. Raises TrainingError."""
    request = read_request(folder)
    canaries = read_canaries(folder)
    set_environment(request.threads)
    # Only now: libraries read the environment when they are imported.
    figures = importlib.import_module("scoring.figures")
    events.write("end", **figures.measure(folder, request, canaries, events))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--worker", action="store_true", help=WORKER_HELP)
    options = parser.parse_args()
    if options.worker:
        follow_worker()
    events = take_standard_output()
    try:
        judge(options.folder, events)
    except TrainingError as error:
        events.write("error", code=error.code, message=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
