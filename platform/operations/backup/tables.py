"""The tables of the database: which there are, how they leave it and how they come back.

COPY streams each table, so memory stays flat, and needs no PostgreSQL binary of the server's version.
"""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.db import connection
from psycopg import sql

from operations.backup.errors import Damaged
from operations.backup.manifest import CHUNK_BYTES, NAME, HashingWriter, TableEntry, create_private

# Whoever reads a backup must not get into an account by it: people log in again, and ask for a new link.
SECRET_TABLES = (
    "django_session",
    "usersessions_usersession",
    "account_emailconfirmation",
    "tenants_cachedanswer",
)
LEFT_OUT = ("django_migrations", *SECRET_TABLES)  # migrations write their own table
COMPRESSION = 3
TABLES = """
    SELECT c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname
"""
COLUMNS = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""
SEQUENCES = """
    SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences
    WHERE schemaname = current_schema() ORDER BY sequencename
"""


def list_tables() -> list[str]:
    """Return the names of the tables that a backup holds."""
    return [str(name) for (name,) in _rows(TABLES) if name not in LEFT_OUT]


def list_columns(table: str) -> list[str]:
    """Return the names of a table's columns."""
    return [str(name) for (name,) in _rows(COLUMNS, f'"{table}"')]


def dump_table(table: str, folder: Path) -> TableEntry:
    """Write a table's rows to its file; return its entry."""
    columns = list_columns(table)
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_names(columns), sql.Identifier(table))
    entry = TableEntry(table, columns, 0, "")
    with create_private(folder / entry.file) as out, connection.cursor() as cursor:
        hashing = HashingWriter(out)
        with (
            gzip.GzipFile(fileobj=hashing, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed,
            cursor.copy(query) as copy,
        ):
            for data in copy:
                packed.write(data)
        rows = cursor.rowcount
    return TableEntry(table, columns, rows, hashing.sha256)


def require_own_tables(entries: Sequence[TableEntry]) -> None:
    """Raise Damaged where an entry names a table or a column that this database's backups don't hold."""
    own = set(list_tables())
    for entry in entries:
        if entry.name not in own or not set(entry.columns) <= set(list_columns(entry.name)):
            raise Damaged(file=f"{NAME} ({entry.name})")


def load_table(entry: TableEntry, folder: Path) -> int:
    """Read a table's rows from its file; return how many. Triggers of our own must be disabled."""
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(entry.name), _names(entry.columns))
    with gzip.open(folder / entry.file) as packed, connection.cursor() as cursor:
        with cursor.copy(query) as copy:
            while data := packed.read(CHUNK_BYTES):
                copy.write(data)
        return int(cursor.rowcount)


def empty_tables(tables: Sequence[str]) -> None:
    """Remove the rows that migrations laid, and what refers to them in the tables that are left out."""
    names = sql.SQL(", ").join(sql.Identifier(table) for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))


def switch_triggers(tables: Sequence[str], *, on: bool) -> None:
    """Enable or disable the triggers that refuse changes. Foreign keys stay checked, when all is there."""
    switch = sql.SQL("ENABLE" if on else "DISABLE")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table), switch))


def read_sequences() -> dict[str, int]:
    """Return each sequence's last number; 0: none was drawn."""
    return {name: int(last) for name, last in _rows(SEQUENCES)}


def set_sequences(sequences: dict[str, int]) -> None:
    """Let each sequence go on behind its last number."""
    known = read_sequences()
    with connection.cursor() as cursor:
        for name, last in sequences.items():
            if last and name in known:
                cursor.execute("SELECT setval(%s::regclass, %s)", [f'"{name}"', last])


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params or None)
        return list(cursor.fetchall())


def applied_migrations() -> list[str]:
    """Return `app.name` of each applied migration, in the order in which they were; none without a table."""
    if "django_migrations" not in connection.introspection.table_names():
        return []
    return [f"{app}.{name}" for app, name in _rows("SELECT app, name FROM django_migrations ORDER BY id")]


def count_all_rows(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield how many rows a table has."""
    for name in names:
        [(count,)] = _rows(f'SELECT count(*) FROM "{name}"')
        yield name, int(count)
