"""What a backup holds: its tables, sequences and objects, each with its hash. It is written last."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from core import months
from operations.backup.errors import Damaged, NoBackup

FORMAT = 2
NAME = "manifest.json"
OBJECTS = "objects.jsonl"  # one line an object: there may be millions
CHUNK_BYTES = 1024 * 1024
TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class TableEntry:
    """One table: its file holds COPY's text of these columns, compressed."""

    name: str
    columns: list[str]
    rows: int
    sha256: str

    @property
    def file(self) -> str:
        """Its file below the backup's folder."""
        return f"database/{self.name}.copy.gz"


@dataclass(frozen=True)
class ObjectEntry:
    """One object of the bucket, in a file of its own."""

    key: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file below the backup's folder, named by a hash: a key may be no good name of a file."""
        name = hashlib.sha256(self.key.encode()).hexdigest()
        return f"objects/{name[:2]}/{name}"


@dataclass(frozen=True)
class Manifest:
    """A whole backup. `migrations` are those that were applied: the tables' shape.

    A manifest is data from outside: no SQL and no path of it is used. Files are named by tables and keys,
    partitions are made from `periods`, the months that have usage events.
    """

    made_at: str
    migrations: list[str]
    tables: list[TableEntry]
    periods: list[str]
    sequences: dict[str, int]
    objects: int
    objects_sha256: str
    format: int = FORMAT


class HashingWriter:
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and hash."""
        self._hash.update(data)
        return self._out.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._out.flush()

    @property
    def sha256(self) -> str:
        """The hash until now, in hex."""
        return self._hash.hexdigest()


def create_private(file: Path) -> IO[bytes]:
    """Return a new file that only its owner may read, whatever the folder and the umask allow.

    Raises FileExistsError.
    """
    for folder in (file.parent.parent, file.parent):  # `parents=True` would make those by the umask
        folder.mkdir(exist_ok=True, mode=0o700)
    return open(file, "xb", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, all or nothing: a backup without one is not whole."""
    new = folder / f"{NAME}.new"
    with create_private(new) as out:
        out.write(json.dumps(asdict(manifest), indent=1).encode())
        out.flush()
        os.fsync(out.fileno())
    new.replace(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a backup. Raises NoBackup or Damaged."""
    file = folder / NAME
    if not file.is_file():
        raise NoBackup(folder=folder)
    try:
        written = json.loads(file.read_text())
        tables = [TableEntry(**table) for table in written.pop("tables")]
        manifest = Manifest(**written, tables=tables)
        _require_data(manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(file=file) from error
    return manifest


def _require_data(manifest: Manifest) -> None:
    """Raise ValueError or TypeError for a name, a month or a number that could be anything else."""
    if manifest.format != FORMAT:
        raise ValueError("another format")
    for table in manifest.tables:
        if not TABLE_NAME.fullmatch(table.name):
            raise ValueError(table.name)
    for period in manifest.periods:
        months.bounds(period)
    for last in manifest.sequences.values():
        if not isinstance(last, int):
            raise TypeError("a sequence's number")


def read_objects(folder: Path) -> Iterator[ObjectEntry]:
    """Yield the entries of the bucket's objects."""
    with (folder / OBJECTS).open() as lines:
        for line in lines:
            yield ObjectEntry(**json.loads(line))


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file and compare its hash. Raises Damaged."""
    _verify_file(folder / OBJECTS, manifest.objects_sha256)
    for table in manifest.tables:
        _verify_file(folder / table.file, table.sha256)
    for stored in read_objects(folder):
        _verify_file(folder / stored.file, stored.sha256)


def _verify_file(file: Path, sha256: str) -> None:
    if file.is_symlink() or not file.is_file() or _hash_file(file) != sha256:
        raise Damaged(file=file)


def _hash_file(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
