"""Where an upload's bytes come from: a file here, or ranges of an S3 object."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

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


class ReadAhead:
    """A source whose next range is fetched while the last one is worked on; for one reader, as a context.

    Nothing is fetched ahead before two ranges were asked for one after the other: a header costs what it has.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._ahead: tuple[int, Future[bytes]] | None = None  # (where it starts, its bytes)
        self._end = -1  # of what was read last
        self.size = source.size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fetching.shutdown(cancel_futures=True)

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes from `start`; raises what the source raises."""
        data = self._taken(start, length)
        if data is None:
            data = self._source.read(start, length)
        is_forward, self._end = start == self._end, start + len(data)
        if is_forward and self._end < self.size:
            self._ahead = self._end, self._fetching.submit(self._source.read, self._end, length)
        return data

    def _taken(self, start: int, length: int) -> bytes | None:
        """Return a range that was fetched ahead, or None if it was another or a shorter one."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != start:
            return None
        data = ahead[1].result()
        return data[:length] if len(data) >= min(length, self.size - start) else None


def exactly(source: Source, start: int, length: int) -> bytes:
    """Return `length` bytes from `start`. Raises Shortened when they are not there any more."""
    data = source.read(start, length)
    if len(data) != length:
        raise Shortened
    return data
