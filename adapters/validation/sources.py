"""Sources of an upload's bytes: a file on this machine, or ranges of an S3 object."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from core.errors import Conflict


class Shortened(Conflict):
    """The file shrank while it was being read. Check it again."""

    code = "conflict"


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
    """A source whose next range is fetched while the last one is worked on. For one reader, as a context.

    The first read is never followed by a fetch: who reads only a header transfers no more than that.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._ahead: tuple[int, Future[bytes]] | None = None  # (where it starts, its bytes)
        self._read_until = -1
        self.size = source.size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes from `start`; raises what the source raises."""
        data = self._take_ahead(start, length)
        if data is None:
            data = self._source.read(start, length)
        is_sequential = start == self._read_until
        self._read_until = start + len(data)
        if is_sequential and self._read_until < self.size:
            future = self._executor.submit(self._source.read, self._read_until, length)
            self._ahead = (self._read_until, future)
        return data

    def _take_ahead(self, start: int, length: int) -> bytes | None:
        """Return a range that was fetched ahead, or None if it was another or a shorter one."""
        if self._ahead is None:
            return None
        ahead_start, future = self._ahead
        self._ahead = None
        if ahead_start != start:
            return None
        data = future.result()
        is_enough = len(data) >= min(length, self.size - start)
        return data[:length] if is_enough else None


def read_exactly(source: Source, start: int, length: int) -> bytes:
    """Return `length` bytes from `start`. Raises Shortened when they are no longer there."""
    data = source.read(start, length)
    if len(data) != length:
        raise Shortened
    return data
