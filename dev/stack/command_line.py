"""How `python -m stack` and `python -m trials` run what the command line asks for."""

import argparse
import importlib
import signal
import sys
from types import FrameType

from stack.errors import Interrupted, StackError


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, *, calls: str, help: str
) -> argparse.ArgumentParser:
    """Add a command that calls a function, `module:function`, with its options as keywords."""
    parser = commands.add_parser(name, help=help)
    parser.set_defaults(calls=calls)
    return parser


def run(parser: argparse.ArgumentParser) -> int:
    """Call the function that the command line names; return the process's exit code."""
    options = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, raise_interrupted)
    signal.signal(signal.SIGINT, raise_interrupted)
    # Only the module of this command is imported: an S3 and an OpenAI client take a second to load.
    module, _, function = options.pop("calls").partition(":")
    try:
        return int(getattr(importlib.import_module(module), function)(**options))
    except Interrupted:
        return 130
    except StackError as error:
        print(f"\n✗ {error}", file=sys.stderr)
        return 1


def raise_interrupted(signum: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM and Ctrl-C: unwind, so that everything that was started is stopped. Raises Interrupted.

    A second one does nothing: it would end that halfway and leave processes behind.
    """
    for stopping in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stopping, lambda _signum, _frame: None)
    raise Interrupted(f"stopped by {signal.Signals(signum).name}")
