"""Adapters as archives: take the two files out of one, and look at the names of everything else in it."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.validation import BaseShape, Finding, Report, validate_folder
from adapters.validation.archive_members import BadArchive, Member, open_archive
from adapters.validation.findings import Findings
from adapters.validation.folder import ARCHIVE_ENDINGS, check_presence
from adapters.validation.limits import (
    ARCHIVE_LIMIT,
    INFLATED_TIMES,
    LIMITS_BYTES,
    MEMBERS_LIMIT,
    PICKLE_ENDINGS,
    WEIGHTS_FILE,
    archive_of,
)
from adapters.validation.sources import LocalFile, Source

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
