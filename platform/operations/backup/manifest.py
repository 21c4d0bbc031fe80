"""What a backup holds, each file with its hash. It is written last and sealed under API_KEY_PEPPERS."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cryptography.fernet import InvalidToken

from core.sealing import seal, unseal
from operations.backup.errors import Damaged, ForeignBackup, NoBackup

FORMAT = 3
NAME = "manifest.json"
SEAL = "manifest.seal"
PURPOSE = b"backup manifest"
DATABASE = "database.dump"
OBJECTS = "objects.jsonl"  # one line an object: there may be millions


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
    """A whole backup. `migrations` are those that were applied: the tables' shape."""

    made_at: str
    migrations: list[str]
    database_sha256: str
    objects: int
    objects_sha256: str
    format: int = FORMAT


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
    """Write the manifest, all or nothing: a backup without one is incomplete."""
    content = json.dumps(asdict(manifest), indent=1).encode()
    _write(folder / SEAL, seal(hashlib.sha256(content).hexdigest(), purpose=PURPOSE).encode())
    new = folder / f"{NAME}.new"
    _write(new, content)
    new.replace(folder / NAME)


def _write(file: Path, content: bytes) -> None:
    with create_private(file) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a backup that this installation's secrets sealed.

    A dump is SQL that runs as the database's owner, so nothing of an unsealed backup is used.

    Raises NoBackup, ForeignBackup or Damaged.
    """
    file = folder / NAME
    if not file.is_file():
        raise NoBackup(folder=folder)
    content = file.read_bytes()
    try:
        sealed = unseal((folder / SEAL).read_text(), purpose=PURPOSE)
    except (InvalidToken, FileNotFoundError) as error:
        raise ForeignBackup(folder=folder) from error
    if sealed != hashlib.sha256(content).hexdigest():
        raise ForeignBackup(folder=folder)
    try:
        return Manifest(**json.loads(content))
    except TypeError as error:  # the fields of another format
        raise Damaged(file=file) from error


def read_objects(folder: Path) -> Iterator[ObjectEntry]:
    """Yield the entries of the bucket's objects."""
    with (folder / OBJECTS).open() as lines:
        for line in lines:
            yield ObjectEntry(**json.loads(line))


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file and compare its hash. Raises Damaged."""
    _verify_file(folder / DATABASE, manifest.database_sha256)
    _verify_file(folder / OBJECTS, manifest.objects_sha256)
    for stored in read_objects(folder):
        _verify_file(folder / stored.file, stored.sha256)


def _verify_file(file: Path, sha256: str) -> None:
    if file.is_symlink() or not file.is_file() or hash_file(file) != sha256:
        raise Damaged(file=file)


def hash_file(file: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
