"""What lies in an archive, member by member, each to be read as a stream: nothing touches a disk.

A stranger's archive may lie about everything. So nothing is read at one go beyond LONGEST_READ (the table of
a zip, a header of a tar), a tar is only read forward, and what is inflated is counted.
"""

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
from typing import IO, cast

from adapters.validation.limits import ARCHIVE_LIMIT, INFLATED_BYTES, INFLATED_TIMES
from adapters.validation.sources import Source

LONGEST_READ = 256 * 1024  # a zip's table with MEMBERS_LIMIT names of two thousand characters
HEADERS_LIMIT = 1024 * 1024  # all headers of a tar together
BLOCK = 2 * 1024 * 1024  # bytes a request
CHUNK = LONGEST_READ
JOINED_LIMIT = 20_000  # gzip files in one: tools that work in parallel make one for each 64 KiB
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may claim gigabytes of memory
ZIP_HEADER = 30  # bytes before each member, at least
ENCRYPTED = 0x2041  # the flags of the three ways to encrypt a zip

BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, ValueError, OverflowError,
    IndexError, NotImplementedError, RecursionError,
)  # fmt: skip


class Unreadable(Exception):
    """The archive is damaged or made to do harm; the argument says what is wrong."""


class TooMuch(Exception):
    """More comes out of the archive than ARCHIVE_LIMIT."""


class Inflated(Exception):
    """More than INFLATED_TIMES as much comes out of the archive as went in."""


@dataclass(frozen=True)
class Member:
    """One entry. `fault` is the code of the finding that it is by itself; `chunks` reads it, once."""

    name: str
    size: int  # as declared; no more comes out
    is_folder: bool
    fault: str
    chunks: Callable[[], Iterator[bytes]]


def members(source: Source, kept_as: str) -> Iterator[Member]:
    """Yield what an archive (named as in ARCHIVES) holds, in its order; read each before asking for the next.

    Raises Unreadable, TooMuch, Inflated, and what the source raises.
    """
    if kept_as.endswith(".zip"):
        return _of_zip(source)
    blocks = _blocks(source)
    return _of_tar(Forward(_inflated(blocks) if kept_as.endswith(".gz") else blocks))


def _of_zip(source: Source) -> Iterator[Member]:
    with _reading(), zipfile.ZipFile(cast("IO[bytes]", Window(source))) as archive:
        _check_places(archive.infolist())
        for info in archive.infolist():
            chunks = partial(_unzipped, archive, info)
            yield Member(info.filename, info.file_size, info.is_dir(), _zip_fault(info), chunks)


def _check_places(infos: Iterable[zipfile.ZipInfo]) -> None:
    """Raise Unreadable if two members share bytes, as in a bomb that needs no nesting."""
    places = sorted((info.header_offset, info.compress_size + ZIP_HEADER) for info in infos)
    if any(start + length > following for (start, length), (following, _) in pairwise(places)):
        raise Unreadable("its members overlap")


def _zip_fault(info: zipfile.ZipInfo) -> str:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "archive_link"
    if info.flag_bits & ENCRYPTED:
        return "archive_encrypted"
    if info.file_size <= ARCHIVE_LIMIT and _is_inflated(info.file_size, info.compress_size):
        return "archive_inflated"
    return "" if info.compress_type in METHODS else "archive_method"


def _is_inflated(unpacked: int, packed: int) -> bool:
    return unpacked > max(INFLATED_BYTES, INFLATED_TIMES * packed)


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.file_size
    with _reading(), archive.open(info) as file:
        while chunk := file.read(CHUNK):
            left -= len(chunk)
            yield chunk
    if left:
        raise Unreadable("it announces more than it holds")


def _of_tar(stream: "Forward") -> Iterator[Member]:
    with _reading(), tarfile.TarFile(fileobj=cast("IO[bytes]", stream)) as archive:
        for info in archive:
            fault = "" if info.isdir() or (info.isreg() and not info.issparse()) else "archive_link"
            chunks = partial(stream.chunks, info.offset_data, info.size)
            yield Member(info.name, info.size, info.isdir(), fault, chunks)


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what the libraries raise for a broken archive into Unreadable."""
    try:
        yield
    except BROKEN as error:
        raise Unreadable(str(error) or "it ends too early") from error


def _blocks(source: Source) -> Iterator[bytes]:
    for start in range(0, source.size, BLOCK):
        yield source.read(start, BLOCK)


def _inflated(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed, in small pieces. Raises TooMuch or Inflated as soon as it is."""
    total, packed, joined, inflater = 0, 0, 0, zlib.decompressobj(wbits=31)
    for portion in (block[at : at + CHUNK] for block in blocks for at in range(0, len(block), CHUNK)):
        rest = portion
        packed += len(portion)
        while rest:
            if inflater.eof:  # a gzip file may be several, one after the other
                inflater, joined = zlib.decompressobj(wbits=31), joined + 1
            piece = inflater.decompress(rest, CHUNK)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            total += len(piece)
            if total > ARCHIVE_LIMIT:
                raise TooMuch
            if _is_inflated(total, packed):
                raise Inflated
            if joined > JOINED_LIMIT:
                raise Unreadable("it is made of too many gzip files")
            yield piece


class Window:
    """A source as a file object that reads blocks, for zipfile, which looks at the end and then jumps."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = self._start = 0
        self._block = b""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        origin = (0, self._position, self._source.size)[whence]
        if origin + offset < 0:
            raise Unreadable("its parts lie before its beginning")
        self._position = origin + offset
        return self._position

    def read(self, length: int = -1) -> bytes:
        left = max(0, self._source.size - self._position)
        wanted = left if length < 0 else min(length, left)
        if wanted > LONGEST_READ:
            raise Unreadable(f"its table of contents has more than {LONGEST_READ:,} bytes")
        parts = []
        while wanted:
            part = self._at_position()[:wanted]
            self._position += len(part)
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _at_position(self) -> memoryview:
        offset = self._position - self._start
        if not 0 <= offset < len(self._block):
            self._start, offset = self._position, 0
            self._block = self._source.read(self._position, BLOCK)
            if not self._block:
                raise Unreadable("it became shorter")
        return memoryview(self._block)[offset:]


class Forward:
    """A stream as a file object for tarfile, which must neither go back nor read much at one go."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")
        self._position = self._of_headers = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise Unreadable("its members overlap")
        for _ in self._next(position - self._position):
            pass
        return self._position

    def read(self, length: int) -> bytes:
        """Return bytes of headers, of which there may be so many and no more."""
        self._of_headers += length
        if not 0 <= length <= LONGEST_READ or self._of_headers > HEADERS_LIMIT:
            raise Unreadable("its headers are too long")
        with _reading():
            return b"".join(self._next(length))

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        """Yield a member's bytes."""
        self.seek(start)
        with _reading():
            yield from self._next(size)
        if self._position < start + size:
            raise Unreadable("it ends too early")

    def _next(self, length: int) -> Iterator[bytes]:
        """Yield the next bytes in pieces, fewer at the end."""
        while length:
            if not self._piece:
                self._piece = memoryview(next(filter(None, self._pieces), b""))
            if not self._piece:
                return
            part, self._piece = self._piece[:length], self._piece[length:]
            self._position += len(part)
            length -= len(part)
            yield bytes(part)
