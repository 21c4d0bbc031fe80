"""List what an archive holds, member by member.

The archive is copied to a temporary file, inflated where it is a .tar.gz, and zipfile or tarfile reads that.
A stranger's archive may lie about everything, so the size of the file is limited, and so is what the two
libraries read of headers.
"""

import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from tempfile import TemporaryFile
from typing import IO, Any, cast

from adapters.errors import DiskUnavailable
from adapters.validation.limits import ARCHIVE_LIMIT, INFLATED_BYTES, INFLATED_TIMES
from adapters.validation.problems import Reason
from adapters.validation.sources import Source
from core.messages import Message

BLOCK_BYTES = 2 * 1024 * 1024  # of the source, a request
CHUNK_BYTES = 256 * 1024  # in memory at a time
# The table of a zip with MEMBERS_LIMIT names of two thousand characters, and the longest comment behind it.
ZIP_TABLE_BYTES = 320 * 1024
# All headers of a tar together: tarfile makes Python objects of each, many times their size.
TAR_HEADERS_BYTES = 1024 * 1024
GZIP_FILES_LIMIT = 20_000  # in one archive: tools that work in parallel make one file for each 64 KiB
GZIP_WINDOW_BITS = 31  # zlib's way of saying gzip
GZIP_MARK = b"\x1f"
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may claim gigabytes of memory
ZIP_HEADER_BYTES = 30  # before each member, at least
ZIP_LONGEST_HEADER_BYTES = ZIP_HEADER_BYTES + 2 * 65_535  # with a name and an extra field
ZIP_ENCRYPTED = 0x2041  # the flags of the three ways to encrypt a zip

# What zipfile, tarfile and zlib raise for files that are not as they should be.
LIBRARY_ERRORS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error),
    *(EOFError, ValueError, OverflowError, IndexError, NotImplementedError, RecursionError),
)


class BadArchive(Exception):
    """The archive is damaged or made to do harm; `code` and `facts` are those of its finding."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts: dict[str, Any] = facts


class DamagedArchive(BadArchive):
    """The archive can't be read."""

    def __init__(self, reason: str | Message) -> None:
        super().__init__("archive_damaged", reason=reason)


@dataclass(frozen=True)
class Member:
    """One entry. `fault` is the code of the finding that it is by itself."""

    name: str
    size: int  # as declared; no more comes out
    is_folder: bool
    fault: str
    open: Callable[[], IO[bytes]]

    def read_chunks(self) -> Iterator[bytes]:
        """Yield its bytes. Raises BadArchive."""
        left = self.size
        with library_errors_as_damage(), self.open() as content:
            while chunk := content.read(CHUNK_BYTES):
                left -= len(chunk)
                yield chunk
        if left:
            raise DamagedArchive(Reason.TOO_LITTLE())


class BudgetedFile(io.FileIO):
    """A file of which only so many bytes can be read.

    A header may announce a gigabyte of names, which zipfile and tarfile would read into memory at one go.
    """

    def __init__(self, descriptor: int, budget_bytes: int) -> None:
        super().__init__(descriptor, closefd=False)
        self._budget_bytes = budget_bytes
        self._size = os.fstat(descriptor).st_size

    def allow(self, more_bytes: int) -> None:
        """Raise the budget by what a member's own bytes need."""
        self._budget_bytes += more_bytes

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move as a file does. Raises DamagedArchive for a place before the beginning."""
        try:
            return super().seek(offset, whence)
        except OSError as error:
            raise DamagedArchive(Reason.PARTS_BEFORE()) from error

    def read(self, length: int | None = -1, /) -> bytes:
        """Return bytes as a file does. Raises DamagedArchive once the budget is spent."""
        wanted = max(0, self._size - self.tell())
        if length is not None and length >= 0:
            wanted = min(wanted, length)
        if wanted > self._budget_bytes:
            raise DamagedArchive(Reason.LONG_HEADERS())
        self._budget_bytes -= wanted
        return super().read(wanted) or b""


@contextmanager
def open_archive(source: Source, kept_as: str) -> Iterator[Iterator[Member]]:
    """Yield the members of an archive (named as in ARCHIVES) in its order.

    Raises BadArchive, DiskUnavailable, and what the source raises.
    """
    # The file has no name, so that it is gone even if this process is killed.
    with TemporaryFile(buffering=0) as spool:
        chunks = _read_source(source)
        if kept_as.endswith(".gz"):
            chunks = _inflate(chunks)
        _fill_spool(spool.fileno(), chunks)
        spool.seek(0)  # tarfile begins where the file stands
        if kept_as.endswith(".zip"):
            yield _list_zip(BudgetedFile(spool.fileno(), ZIP_TABLE_BYTES))
        else:
            yield _list_tar(BudgetedFile(spool.fileno(), TAR_HEADERS_BYTES))


def _read_source(source: Source) -> Iterator[bytes]:
    for start in range(0, source.size, BLOCK_BYTES):
        block = source.read(start, BLOCK_BYTES)
        for at in range(0, len(block), CHUNK_BYTES):
            yield block[at : at + CHUNK_BYTES]


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed, in small pieces. Raises BadArchive as soon as it is too much.

    Python's own gzip reader follows any number of gzip files in one, for minutes where they are empty.
    """
    inflater = zlib.decompressobj(wbits=GZIP_WINDOW_BITS)
    gzip_files = 1
    packed_bytes = 0
    inflated_bytes = 0
    for chunk in chunks:
        packed_bytes += len(chunk)
        rest = chunk
        while rest:
            if inflater.eof:
                if not rest.startswith(GZIP_MARK):
                    return  # gzip, too, ignores what follows its files
                if gzip_files == GZIP_FILES_LIMIT:
                    raise DamagedArchive(Reason.MANY_GZIP_FILES())
                inflater = zlib.decompressobj(wbits=GZIP_WINDOW_BITS)
                gzip_files += 1
            with library_errors_as_damage():
                piece = inflater.decompress(rest, CHUNK_BYTES)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            inflated_bytes += len(piece)
            if _is_inflated(inflated_bytes, packed_bytes):
                raise BadArchive("archive_inflated", file=Reason.THE_ARCHIVE(), limit=INFLATED_TIMES)
            yield piece
    if not inflater.eof:
        raise DamagedArchive(Reason.ENDS_EARLY())


def _is_inflated(unpacked_bytes: int, packed_bytes: int) -> bool:
    return unpacked_bytes > max(INFLATED_BYTES, INFLATED_TIMES * packed_bytes)


def _fill_spool(descriptor: int, chunks: Iterable[bytes]) -> None:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > ARCHIVE_LIMIT:
            raise BadArchive("archive_too_large", file=Reason.THE_ARCHIVE(), limit=ARCHIVE_LIMIT)
        left = memoryview(chunk)
        try:
            while left:  # a disk that is nearly full takes a part
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            raise DiskUnavailable from error


def _list_zip(file: BudgetedFile) -> Iterator[Member]:
    with library_errors_as_damage(), zipfile.ZipFile(cast("IO[bytes]", file)) as archive:
        infos = archive.infolist()
        _check_places(infos)
        for info in infos:
            open_member = partial(_open_in_zip, archive, file, info)
            yield Member(info.filename, info.file_size, info.is_dir(), _zip_fault(info), open_member)


def _check_places(infos: Iterable[zipfile.ZipInfo]) -> None:
    """Raise DamagedArchive if two members share bytes, as in a bomb that needs no nesting.

    zipfile looks for that as well, but only in members that are read.
    """
    places = sorted((info.header_offset, info.compress_size + ZIP_HEADER_BYTES) for info in infos)
    for (start, length), (following, _) in pairwise(places):
        if start + length > following:
            raise DamagedArchive(Reason.MEMBERS_OVERLAP())


def _zip_fault(info: zipfile.ZipInfo) -> str:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "archive_link"
    if info.flag_bits & ZIP_ENCRYPTED:
        return "archive_encrypted"
    if info.file_size <= ARCHIVE_LIMIT and _is_inflated(info.file_size, info.compress_size):
        return "archive_inflated"
    return "" if info.compress_type in ZIP_METHODS else "archive_method"


def _open_in_zip(archive: zipfile.ZipFile, file: BudgetedFile, info: zipfile.ZipInfo) -> IO[bytes]:
    file.allow(ZIP_LONGEST_HEADER_BYTES + info.compress_size)
    return archive.open(info)


def _list_tar(file: BudgetedFile) -> Iterator[Member]:
    with library_errors_as_damage(), tarfile.TarFile(fileobj=cast("IO[bytes]", file)) as archive:
        for info in archive:
            is_plain = info.isdir() or (info.isreg() and not info.issparse())
            fault = "" if is_plain else "archive_link"
            open_member = partial(_open_in_tar, archive, file, info)
            yield Member(info.name, info.size, info.isdir(), fault, open_member)


def _open_in_tar(archive: tarfile.TarFile, file: BudgetedFile, info: tarfile.TarInfo) -> IO[bytes]:
    file.allow(info.size)
    content = archive.extractfile(info)
    assert content is not None  # it is, for a folder or a link
    return content


@contextmanager
def library_errors_as_damage() -> Iterator[None]:
    """Raise DamagedArchive for what a library raises on a damaged archive."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise DamagedArchive(str(error) or Reason.ENDS_EARLY()) from error
