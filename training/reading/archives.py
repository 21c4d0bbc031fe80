"""The documents in an archive: `.zip`, `.tar`, `.tar.gz`. Nothing is written to disk."""

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from gzip import GzipFile
from io import BytesIO, RawIOBase
from pathlib import PurePosixPath
from typing import IO

from training.reading.documents import Refused
from training.reading.limits import MIB, ReadingLimits
from training.reading.packages import check_member

FORMATS = frozenset({"zip", "tar", "tar.gz"})
# Files that operating systems add to archives.
LEFT_OUT = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error),
    *(EOFError, OSError, ValueError, LookupError, OverflowError, RuntimeError),
)


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    name: str
    read: Callable[[], bytes]  # raises Refused


class ArchiveRefused(Refused):
    """The fault is the archive's, whichever member it showed in."""


class Budget:
    """How much an archive may still unpack to."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self._left_bytes = limits.unpacked_bytes
        self._left_members = limits.members

    def count_member(self) -> None:
        """Raise ArchiveRefused if the archive has too many members."""
        self._left_members -= 1
        if self._left_members < 0:
            raise ArchiveRefused("too_many_members", limit=self._limits.members)

    def spend(self, size_bytes: int) -> None:
        """Raise ArchiveRefused if the archive has too many bytes."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise ArchiveRefused("unpacks_too_large", limit_mb=self._limits.unpacked_bytes // MIB)


class CountedStream(RawIOBase):
    """What a compressed stream unpacks to, read within a budget."""

    def __init__(self, stream: GzipFile, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1, /) -> bytes:
        """Return bytes of the stream. Raises Refused."""
        content = self._stream.read(size)
        self._budget.spend(len(content))
        return content


def list_members(format_name: str, content: bytes, limits: ReadingLimits) -> Iterator[Member]:
    """Yield an archive's documents. Read each one before taking the next. Raises Refused."""
    budget = Budget(limits)
    with damage_refused():
        if format_name == "zip":
            members = _list_zip(content, budget, limits)
        else:
            members = _list_tar(format_name, content, budget, limits)
        for member in members:
            budget.count_member()
            yield member


def _list_zip(content: bytes, budget: Budget, limits: ReadingLimits) -> Iterator[Member]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for info in archive.infolist():
            if not info.is_dir() and not _is_left_out(info.filename):
                yield Member(info.filename, partial(_read_zip_member, archive, info, budget, limits))


def _read_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, limits: ReadingLimits
) -> bytes:
    _check_path(info.filename)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise Refused("archive_link")
    check_member(info)
    with damage_refused(), archive.open(info) as stream:
        return _read_bounded(stream, info.file_size, budget, limits)


def _list_tar(format_name: str, content: bytes, budget: Budget, limits: ReadingLimits) -> Iterator[Member]:
    file: BytesIO | CountedStream = BytesIO(content)
    if format_name == "tar.gz":
        file = CountedStream(GzipFile(fileobj=file), budget)
    # As a stream, forwards only: what is unpacked is counted, whatever the headers say.
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for info in archive:
            if not info.isdir() and not _is_left_out(info.name):
                yield Member(info.name, partial(_read_tar_member, archive, info, budget, limits))


def _read_tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, budget: Budget, limits: ReadingLimits
) -> bytes:
    _check_path(info.name)
    if not info.isreg() or info.issparse():
        raise Refused("archive_link")
    with damage_refused():
        stream = archive.extractfile(info)
        assert stream is not None  # it is for a regular file
        return _read_bounded(stream, info.size, budget, limits)


def _read_bounded(stream: IO[bytes], size: int, budget: Budget, limits: ReadingLimits) -> bytes:
    """Return all bytes of a member. Raises Refused if it is too large, whatever the archive claims."""
    if size > limits.file_bytes:
        raise Refused("too_large", limit_mb=limits.file_bytes // MIB)
    content = stream.read(limits.file_bytes + 1)
    budget.spend(len(content))
    return content


def _check_path(name: str) -> None:
    """Raise Refused for a path outside the archive. It can do no harm here, but it is meant to."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        raise Refused("archive_path")


def _is_left_out(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    is_hidden = bool(parts) and parts[-1].startswith(".") and parts[-1] != ".."
    return is_hidden or not LEFT_OUT.isdisjoint(parts)


@contextmanager
def damage_refused() -> Iterator[None]:
    """Raise Refused for what libraries raise over a damaged archive."""
    try:
        yield
    except ARCHIVE_ERRORS as error:
        raise Refused("damaged") from error
