"""Adapters as archives: take the two files out of one, and look at the names of everything else in it."""

import io
import os
import re
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
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, cast

from adapters.errors import DiskUnavailable
from adapters.validation import BaseShape, Finding, Report, validate_folder
from adapters.validation.findings import Findings
from adapters.validation.limits import (
    ARCHIVE_LIMIT,
    INFLATED_BYTES,
    INFLATED_TIMES,
    LIMITS_BYTES,
    MEMBERS_LIMIT,
    PICKLE_ENDINGS,
    WEIGHTS_FILE,
    archive_of,
)
from adapters.validation.problems import Reason
from adapters.validation.sources import LocalFile, Source
from adapters.validation.validator import ARCHIVE_ENDINGS, check_presence
from core.messages import Message

# The archive is copied to a temporary file, inflated where it is a .tar.gz, and zipfile or tarfile reads
# that. A stranger's archive may lie about everything, so the size of the file is limited, and so is what
# the two libraries read of headers.

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


DRIVE = re.compile(r"[A-Za-z]:")
LITTER = re.compile(r"__MACOSX|\._.*|\.DS_Store")  # what a Mac adds to every archive

type Folders = tuple[str, ...]
type WriteFile = Callable[[str, Iterable[bytes]], None]


def unpack(source: Source, kept_as: str, write_file: WriteFile) -> tuple[Finding, ...]:
    """Hand each of an adapter's two files to `write_file`; return what is wrong with the archive.

    With a finding, what was written means nothing. Raises DiskUnavailable, and what the source and
    `write_file` raise.
    """
    findings = Findings()
    contents = ArchiveContents(findings)
    try:
        with open_archive(source, kept_as) as members:
            for member in members:
                file = contents.admit(member)
                if file:
                    write_file(file, member.read_chunks())
                if contents.count > MEMBERS_LIMIT:
                    raise BadArchive("archive_members", limit=MEMBERS_LIMIT)
            contents.check_complete()
    except BadArchive as error:
        findings.add(error.code, **error.facts)
    return findings.as_tuple()


def validate_archive(path: Path, base: BaseShape, max_rank: int, stated_quantisation: str = "") -> Report:
    """Return the report on the adapter in an archive on this machine."""
    with TemporaryDirectory(prefix="adapter-") as folder:
        findings = unpack(LocalFile(path), archive_of(path.name), partial(_write_local, Path(folder)))
        if findings:
            return Report(findings)
        return validate_folder(Path(folder), base, max_rank, stated_quantisation)


def _write_local(folder: Path, file: str, chunks: Iterable[bytes]) -> None:
    with (folder / file).open("wb") as out:
        out.writelines(chunks)


class ArchiveContents:
    """What an archive holds, member by member, and what is wrong with that."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._paths: set[Folders] = set()
        self._places: dict[str, Folders] = {}  # one of the adapter's two files → the folders it lies in
        self._size = 0
        self.count = 0

    def admit(self, member: Member) -> str:
        """Note a member; return the name of the adapter's file that it is, as long as all is well."""
        self.count += 1
        self._size += member.size
        path = _split_path(member.name)
        name = path[-1] if path else ""
        limit = LIMITS_BYTES.get(name, ARCHIVE_LIMIT)
        code = self._fault_of(member, path, limit)
        if code:
            shown = INFLATED_TIMES if code == "archive_inflated" else limit
            self._findings.add(code, file=member.name, limit=shown)
            return ""
        if not path or member.is_folder or _is_litter(path):
            return ""
        self._paths.add(path)
        if name not in LIMITS_BYTES:
            return ""
        self._places[name] = path[:-1]
        return "" if self._findings.count else name

    def _fault_of(self, member: Member, path: Folders | None, limit: int) -> str:
        """Return the code of what is wrong with a member, or ""."""
        if path is None or not (path or member.is_folder):
            return "archive_path"
        if member.fault or member.is_folder or _is_litter(path):
            return member.fault
        name = path[-1]
        faults = {
            "archive_duplicate": path in self._paths,
            "file_pickle": name.lower().endswith(PICKLE_ENDINGS),
            "archive_nested": name.lower().endswith(ARCHIVE_ENDINGS),
            "archive_several": name in self._places,
            "archive_place": name in LIMITS_BYTES and len(path) > 2,
            "archive_too_large": member.size > limit or self._size > ARCHIVE_LIMIT,
        }
        for code, is_found in faults.items():
            if is_found:
                return code
        return ""

    def check_complete(self) -> None:
        """Note what is missing, or lies apart from the other, once everything was seen."""
        if self._findings.count == 0:
            check_presence([path[-1] for path in self._paths], self._findings)
        if len(set(self._places.values())) > 1:
            self._findings.add("archive_place", file=WEIGHTS_FILE)


def _split_path(name: str) -> Folders | None:
    """Return a member's folders and its own name, or None for a name that leads elsewhere."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if name.startswith(("/", "\\")) or DRIVE.match(name) or ".." in parts:
        return None
    return tuple(parts)


def _is_litter(path: Folders) -> bool:
    return any(LITTER.fullmatch(part) for part in path)
