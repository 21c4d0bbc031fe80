"""Restore a backup into an empty installation: the database in one transaction, then the bucket."""

from collections.abc import Callable
from pathlib import Path

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from adapters.public import list_objects, put_object
from core import valkey
from operations.backup import tables
from operations.backup.errors import NotEmpty, OtherVersion
from operations.backup.manifest import Manifest, read_manifest, read_objects, verify
from tenants.metering.partitions import make_partition

# Where any of these has a row, somebody uses this installation.
USED_TABLES = (
    "tenants_user",
    "tenants_tenant",
    "tenants_ledgerentry",
    "adapters_style",
    "tenants_auditentry",
)

type Say = Callable[[str], object]


def restore_backup(folder: Path, say: Say) -> Manifest:
    """Restore a backup and return its manifest; nothing is changed before all of it was verified.

    Valkey must be empty: gateways rebuild counters, limits and routes from the database, and workers load the
    styles again.

    Raises NoBackup, Damaged, NotEmpty, OtherVersion, StorageUnavailable, DatabaseError.
    """
    manifest = read_manifest(folder)
    _require_known(manifest)
    _require_empty()
    say("verifying every file")
    verify(folder, manifest)
    _migrate_to(manifest)
    tables.require_own_tables(manifest.tables)
    for period in manifest.periods:
        make_partition(period)
    with transaction.atomic():
        _load(folder, manifest, say)
    for number, stored in enumerate(read_objects(folder), 1):
        put_object(stored.key, folder / stored.file)
        if number % 100 == 0:
            say(f"{number} of {manifest.objects} objects")
    say(f"{manifest.objects} objects")
    call_command("migrate", interactive=False, verbosity=0)  # what this version has beyond the backup's
    return manifest


def _require_known(manifest: Manifest) -> None:
    known = {f"{app}.{name}" for app, name in MigrationExecutor(connection).loader.disk_migrations}
    for migration in manifest.migrations:
        if migration not in known and migration not in _replaced():
            raise OtherVersion(migration=migration)


def _replaced() -> set[str]:
    """Return migrations that a squashed one of an installed library stands for."""
    names = set()
    for migration in MigrationExecutor(connection).loader.disk_migrations.values():
        names |= {f"{app}.{name}" for app, name in migration.replaces}
    return names


def _require_empty() -> None:
    there = set(connection.introspection.table_names())
    for name, rows in tables.count_all_rows([name for name in USED_TABLES if name in there]):
        if rows:
            raise NotEmpty(part=f"The table {name}")
    if valkey.client().dbsize():
        raise NotEmpty(part="Valkey (VALKEY_URL)")
    if next(iter(list_objects()), None):
        raise NotEmpty(part="The bucket")


def _migrate_to(manifest: Manifest) -> None:
    """Give the database the shape that it had. Raises NotEmpty where it is migrated further already."""
    applied = set(tables.applied_migrations())
    wanted = set(manifest.migrations)
    if applied - wanted:
        raise NotEmpty(part="The database, which is migrated further than the backup,")
    if applied == wanted:
        return
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    nodes = {node for node in graph.nodes if f"{node[0]}.{node[1]}" in wanted}
    needed: set[tuple[str, str]] = set()
    for node in nodes:
        needed |= {parent.key for parent in graph.node_map[node].parents}
    # To name one that another one needs would be to ask for the way back.
    executor.migrate(sorted(nodes - needed))


def _load(folder: Path, manifest: Manifest, say: Say) -> None:
    there = tables.list_tables()
    tables.empty_tables(there)
    tables.switch_triggers(there, on=False)
    for entry in manifest.tables:
        rows = tables.load_table(entry, folder)
        say(f"{entry.name}: {rows} rows")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else no trigger could be altered
    tables.set_sequences(manifest.sequences)
    tables.switch_triggers(there, on=True)
