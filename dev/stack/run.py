"""Run one command beside a stack on free ports, then stop the stack."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stack import services
from stack.errors import StackError
from stack.folders import Folders, abandoned, temporary
from stack.processes import POLL_S, end_leftovers
from stack.services import Stack
from stack.steps import Steps
from stack.whole import bring_up


def run(command: Sequence[str], *, whole: bool, var: Path | None) -> int:
    """Run a command beside the services, or the whole stack; return its exit code. Raises StackError."""
    command = after_dashes(command)
    if not command:
        raise StackError("Add a command: python -m stack run --services -- COMMAND …")
    steps = Steps(sys.stderr)
    with folder(var) as folders, services.opened(folders, steps) as stack:
        if whole:
            bring_up(stack)
        else:
            stack.waiting.all(services.start(stack))
        return foreground(stack, command)


def after_dashes(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments without a leading `--`, which ends the options of this program."""
    return arguments[1:] if arguments[:1] == ["--"] else arguments


@contextmanager
def folder(var: Path | None) -> Iterator[Folders]:
    """Yield the folder that was asked for, or a temporary one after removing what crashes left."""
    if var is not None:
        yield Folders(var.absolute())
        return
    for left in abandoned():
        end_leftovers(left)
        shutil.rmtree(left.var, ignore_errors=True)
    with temporary() as folders:
        yield folders


def foreground(stack: Stack, command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    """Run a command in the terminal's foreground while the stack is kept up; return its exit code.

    Its environment is the stack's variables unless others are given. Ctrl-C goes to the command too, so it
    is the command that decides when to end. Raises StackError.
    """
    try:
        process = subprocess.Popen(command, env=variables or stack.variables)
    except (FileNotFoundError, PermissionError):
        raise StackError(f"Command not found: {command[0]}") from None
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda signum, _frame: process.send_signal(signum)),
    }
    try:
        while True:
            try:
                code = process.wait(timeout=POLL_S)
                return code if code >= 0 else 128 - code
            except subprocess.TimeoutExpired:
                stack.supervisor.revive()
    finally:
        if process.poll() is None:
            process.kill()
        for signum, handler in before.items():
            signal.signal(signum, handler)
