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
from trainer.child import EventStream, run_child, set_environment


def judge(options: argparse.Namespace, events: EventStream) -> None:
    """Judge the adapter in a folder and report the figures. Raises TrainingError."""
    folder = options.folder
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
    return run_child(parser, judge)


if __name__ == "__main__":
    sys.exit(main())
