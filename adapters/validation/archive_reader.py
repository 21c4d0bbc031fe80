"""Adapters as archives: the two files are streamed out of one; everything else in it is looked at by name."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.validation import BaseShape, Finding, Report, validate_folder
from adapters.validation.archive_members import Inflated, Member, TooMuch, Unreadable, members
from adapters.validation.findings import Findings
from adapters.validation.folder import PACKED, check_presence
from adapters.validation.limits import (
    ARCHIVE_LIMIT,
    INFLATED_TIMES,
    LIMITS_BYTES,
    MEMBERS_LIMIT,
    PICKLES,
    WEIGHTS_FILE,
    archive_of,
)
from adapters.validation.sources import LocalFile, Source

DRIVE = re.compile(r"[A-Za-z]:")
LITTER = re.compile(r"__MACOSX|\._.*|\.DS_Store")  # what a Mac adds to every archive

type Folders = tuple[str, ...]
type WriteFile = Callable[[str, Iterable[bytes]], None]


def unpack(source: Source, kept_as: str, put: WriteFile) -> tuple[Finding, ...]:
    """Hand each of an adapter's two files to `put` as a stream; return what is wrong with the archive.

    With a finding, what was put means nothing. Raises what the source and `put` raise.
    """
    findings = Findings()
    contents = Contents(findings)
    try:
        for member in members(source, kept_as):
            if file := contents.admit(member):
                put(file, member.chunks())
            if contents.count > MEMBERS_LIMIT:
                findings.add("archive_members", limit=MEMBERS_LIMIT)
                break
        else:
            contents.close()
    except Unreadable as error:
        findings.add("archive_damaged", reason=str(error))
    except TooMuch:
        findings.add("archive_too_large", file="The archive", limit=ARCHIVE_LIMIT)
    except Inflated:
        findings.add("archive_inflated", file="The archive", limit=INFLATED_TIMES)
    return findings.closed()


def validate_archive(path: Path, base: BaseShape, max_rank: int, stated_quantisation: str = "") -> Report:
    """Return the report on the adapter in an archive on this machine."""
    with TemporaryDirectory(prefix="adapter-") as folder:
        findings = unpack(LocalFile(path), archive_of(path.name), partial(_lay, Path(folder)))
        if findings:
            return Report(findings)
        return validate_folder(Path(folder), base, max_rank, stated_quantisation)


def _lay(folder: Path, file: str, chunks: Iterable[bytes]) -> None:
    with (folder / file).open("wb") as out:
        out.writelines(chunks)


class Contents:
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
        path = _path(member.name)
        name = path[-1] if path else ""
        limit = LIMITS_BYTES.get(name, ARCHIVE_LIMIT)
        if code := self._fault(member, path, limit):
            shown = INFLATED_TIMES if code == "archive_inflated" else limit
            self._findings.add(code, file=member.name, limit=shown)
        elif path and not member.is_folder and not _is_litter(path):
            self._paths.add(path)
            if name in LIMITS_BYTES:
                self._places[name] = path[:-1]
                return "" if self._findings.count else name
        return ""

    def _fault(self, member: Member, path: Folders | None, limit: int) -> str:
        """Return the code of what is wrong with a member, or ""."""
        if path is None or not (path or member.is_folder):
            return "archive_path"
        if member.fault or member.is_folder or _is_litter(path):
            return member.fault
        name = path[-1]
        faults = {
            "archive_duplicate": path in self._paths,
            "file_pickle": name.lower().endswith(PICKLES),
            "archive_nested": name.lower().endswith(PACKED),
            "archive_several": name in self._places,
            "archive_place": name in LIMITS_BYTES and len(path) > 2,
            "archive_too_large": member.size > limit or self._size > ARCHIVE_LIMIT,
        }
        return next((code for code, holds in faults.items() if holds), "")

    def close(self) -> None:
        """Note what is missing, or lies apart from the other, once everything was seen."""
        if self._findings.count == 0:
            check_presence([path[-1] for path in self._paths], self._findings)
        if len(set(self._places.values())) > 1:
            self._findings.add("archive_place", file=WEIGHTS_FILE)


def _path(name: str) -> Folders | None:
    """Return a member's folders and its own name, or None for a name that leads elsewhere."""
    parts = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", "."))
    if name.startswith(("/", "\\")) or DRIVE.match(name) or ".." in parts:
        return None
    return parts


def _is_litter(path: Folders) -> bool:
    return any(map(LITTER.fullmatch, path))
