"""What a backup holds: its tables, sequences and objects, each with its hash. It is written last."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from config.backup.errors import Damaged, NoBackup

FORMAT = 1
NAME = "manifest.json"
OBJECTS = "objects.jsonl"  # one line an object: there may be millions
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class TableEntry:
    """One table: its file holds COPY's text of these columns, compressed."""

    name: str
    columns: list[str]
    rows: int
    sha256: str
    # Of a table in partitions: each partition's name and bounds, as SQL.
    partitions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def file(self) -> str:
        """Its file below the backup's folder."""
        return f"database/{self.name}.copy.gz"


@dataclass(frozen=True)
class ObjectEntry:
    """One object of the bucket, in a file of its own."""

    key: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A whole backup. `migrations` are those that were applied: the tables' shape."""

    made_at: str
    migrations: list[str]
    tables: list[TableEntry]
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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, all or nothing: a backup without one is not whole."""
    new = folder / f"{NAME}.new"
    with new.open("w") as out:
        json.dump(asdict(manifest), out, indent=1)
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
        tables = []
        for table in written.pop("tables"):
            partitions = [(name, bounds) for name, bounds in table.pop("partitions")]
            tables.append(TableEntry(**table, partitions=partitions))
        manifest = Manifest(**written, tables=tables)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(file=file) from error
    if manifest.format != FORMAT:
        raise Damaged(file=file)
    return manifest


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
    if not file.is_file() or _hash_file(file) != sha256:
        raise Damaged(file=file)


def _hash_file(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
