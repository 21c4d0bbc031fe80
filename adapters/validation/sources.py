"""Where an upload's bytes come from: a file here, or ranges of an S3 object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foundation.errors import Conflict


class Shortened(Conflict):
    """The file became shorter while it was read; check it again."""


class Source(Protocol):
    """Bytes that can be read by range. Raises its own errors when it can't be reached."""

    @property
    def size(self) -> int:
        """The whole length in bytes."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes from `start`; fewer than `length` only at the end."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, start: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(length)


def exactly(source: Source, start: int, length: int) -> bytes:
    """Return `length` bytes from `start`. Raises Shortened when they are not there any more."""
    data = source.read(start, length)
    if len(data) != length:
        raise Shortened
    return data
