"""Output that is no longer read, as after `polyscribe --help | head -1`: the command ends quietly."""

import io
import os
import sys
from typing import TextIO

STDOUT, STDERR = 1, 2


class ReaderGone(Exception):
    """The output is no longer read."""


class WatchedPipe(io.FileIO):
    """A file that raises ReaderGone: for BrokenPipeError, rich and typer would end with a code of theirs."""

    def write(self, data: object) -> int:
        """Write bytes. Raises ReaderGone."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise ReaderGone from None


def watch_output() -> None:
    """Let everything that is printed from now on raise ReaderGone once its reader is gone."""
    sys.stdout = _watch(sys.stdout, STDOUT)
    sys.stderr = _watch(sys.stderr, STDERR)


def drop_output() -> None:
    """Throw away what is still to be printed, so that nothing complains about it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (STDOUT, STDERR):
        os.dup2(nowhere, descriptor)


def _watch(stream: TextIO, descriptor: int) -> TextIO:
    stream.flush()
    pipe = io.BufferedWriter(WatchedPipe(descriptor, "w", closefd=False))
    is_at_once = stream.isatty() or descriptor == STDERR
    return io.TextIOWrapper(pipe, encoding=stream.encoding, errors=stream.errors, line_buffering=is_at_once)
