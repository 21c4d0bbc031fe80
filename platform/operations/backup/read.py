"""Write a backup: the database as it was at one moment, then every object of the bucket."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from adapters.public import StoredObject, list_objects, read_object
from core import valkey
from core.errors import NotFound
from inference.public import drain_usage
from operations.backup import tables
from operations.backup.errors import FolderNotEmpty
from operations.backup.manifest import (
    OBJECTS,
    HashingWriter,
    Manifest,
    ObjectEntry,
    TableEntry,
    create_private,
    write_manifest,
)
from tenants.metering.partitions import list_partitioned_months

CONSUMER = "backup"

type Say = Callable[[str], object]


def write_backup(folder: Path, say: Say) -> Manifest:
    """Write a backup into a folder that is empty or not there; return its manifest.

    The site may run meanwhile. Usage that is still in Valkey is moved to the ledger first. Sealed objects
    never change, and the database is read before them: so every object that its rows name is there, unless
    it was erased meanwhile.

    Raises FolderNotEmpty, StorageUnavailable, DatabaseError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise FolderNotEmpty(folder=folder)
    drain_usage(valkey.client(), CONSUMER)
    made_at = timezone.now().isoformat()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        migrations = tables.applied_migrations()
        entries = _dump_tables(folder, say)
        periods = list_partitioned_months()
        sequences = tables.read_sequences()
    objects, objects_sha256 = _copy_objects(folder)
    say(f"{objects} objects")
    manifest = Manifest(made_at, migrations, entries, periods, sequences, objects, objects_sha256)
    write_manifest(folder, manifest)
    return manifest


def _dump_tables(folder: Path, say: Say) -> list[TableEntry]:
    entries = []
    for table in tables.list_tables():
        entry = tables.dump_table(table, folder)
        entries.append(entry)
        say(f"{entry.name}: {entry.rows} rows")
    return entries


def _copy_objects(folder: Path) -> tuple[int, str]:
    """Copy every object; return how many, and the hash of their list."""
    count = 0
    with create_private(folder / OBJECTS) as out:
        entries = HashingWriter(out)
        for stored in list_objects():
            entry = _copy_object(stored, folder)
            if entry:
                entries.write(json.dumps(asdict(entry)).encode() + b"\n")
                count += 1
    return count, entries.sha256


def _copy_object(stored: StoredObject, folder: Path) -> ObjectEntry | None:
    """Copy one object; None where it was erased meanwhile."""
    file = folder / ObjectEntry(stored.key, "").file
    try:
        with create_private(file) as out:
            copied = HashingWriter(out)
            for data in read_object(stored.key):
                copied.write(data)
    except NotFound:
        file.unlink()
        return None
    return ObjectEntry(stored.key, copied.sha256)
