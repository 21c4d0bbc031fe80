"""Restore a backup into an empty installation: the database in one transaction, then the bucket."""

from collections.abc import Callable
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from adapters.object_store import list_objects, put_object
from core import valkey
from operations.backup import database
from operations.backup.errors import NotEmpty, OtherVersion
from operations.backup.manifest import DATABASE, Manifest, read_manifest, read_objects, verify

# If any of these has a row, somebody uses this installation.
USED_TABLES = (
    "tenants_user",
    "tenants_tenant",
    "metering_ledgerentry",
    "adapters_style",
    "tenants_auditentry",
)

type Say = Callable[[str], object]


def restore_backup(folder: Path, say: Say) -> Manifest:
    """Restore a backup and return its manifest; all of it is verified before anything is changed.

    Valkey must be empty: gateways rebuild counters, limits and routes from the database, and workers load the
    styles again.

    Raises NoBackup, ForeignBackup, Damaged, NotEmpty, OtherVersion, ProgramFailed, StorageUnavailable,
    DatabaseError.
    """
    manifest = read_manifest(folder)
    _require_known(manifest)
    _require_empty(manifest)
    say("verifying every file")
    verify(folder, manifest)
    database.restore(folder / DATABASE)
    say("database restored")
    for number, stored in enumerate(read_objects(folder), 1):
        put_object(stored.key, folder / stored.file)
        if number % 100 == 0:
            say(f"{number} of {manifest.objects} objects")
    say(f"{manifest.objects} objects")
    call_command("migrate", interactive=False, verbosity=0)  # what this version has beyond the backup's
    return manifest


def _require_known(manifest: Manifest) -> None:
    """Raise OtherVersion for a migration that this version has neither itself nor in a squashed one."""
    known: set[str] = set()
    for key, migration in MigrationLoader(None).disk_migrations.items():
        known |= {f"{app}.{name}" for app, name in (key, *migration.replaces)}
    for name in manifest.migrations:
        if name not in known:
            raise OtherVersion(migration=name)


def _require_empty(manifest: Manifest) -> None:
    if set(database.applied_migrations()) - set(manifest.migrations):
        raise NotEmpty(part="The database, which is migrated further than the backup,")
    for table in connection.introspection.table_names():
        if table in USED_TABLES and _has_row(table):
            raise NotEmpty(part=f"The table {table}")
    if valkey.client().dbsize():
        raise NotEmpty(part="Valkey (VALKEY_URL)")
    if next(iter(list_objects()), None):
        raise NotEmpty(part="The bucket")


def _has_row(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT 1 FROM "{table}" LIMIT 1')  # noqa: S608 - of USED_TABLES
        return cursor.fetchone() is not None
