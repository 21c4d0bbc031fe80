"""Write a backup: the database as it was at one moment, then every object of the bucket."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from adapters.object_store import StoredObject, list_objects, read_object
from core import valkey
from core.errors import NotFound
from inference.public import drain_usage
from operations.backup import database
from operations.backup.errors import FolderNotEmpty
from operations.backup.manifest import (
    DATABASE,
    OBJECTS,
    Manifest,
    ObjectEntry,
    create_private,
    hash_file,
    write_manifest,
)

CONSUMER = "backup"

type Say = Callable[[str], object]


def write_backup(folder: Path, say: Say) -> Manifest:
    """Write a backup into an empty or missing folder; return its manifest.

    The site may run meanwhile. Usage that is still in Valkey is moved to the ledger first. Sealed objects
    never change, and the database is read before them: so every object that its rows name is there, unless
    it was erased meanwhile.

    Raises FolderNotEmpty, ProgramFailed, StorageUnavailable, DatabaseError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise FolderNotEmpty(folder=folder)
    drain_usage(valkey.client(), CONSUMER)
    made_at = timezone.now().isoformat()
    dump = folder / DATABASE
    with transaction.atomic():
        snapshot = database.export_snapshot()
        migrations = database.applied_migrations()
        database.dump(dump, snapshot=snapshot)
    say(f"database: {dump.stat().st_size} bytes")
    objects = _copy_objects(folder)
    say(f"{objects} objects")
    manifest = Manifest(made_at, migrations, hash_file(dump), objects, hash_file(folder / OBJECTS))
    write_manifest(folder, manifest)
    return manifest


def _copy_objects(folder: Path) -> int:
    """Copy every object; return how many."""
    count = 0
    with create_private(folder / OBJECTS) as out:
        for stored in list_objects():
            entry = _copy_object(stored, folder)
            if entry:
                out.write(json.dumps(asdict(entry)).encode() + b"\n")
                count += 1
    return count


def _copy_object(stored: StoredObject, folder: Path) -> ObjectEntry | None:
    """Copy one object; None if it was erased meanwhile."""
    file = folder / ObjectEntry(stored.key, "").file
    try:
        with create_private(file) as out:
            for data in read_object(stored.key):
                out.write(data)
    except NotFound:
        file.unlink()
        return None
    return ObjectEntry(stored.key, hash_file(file))
