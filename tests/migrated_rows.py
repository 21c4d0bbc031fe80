"""The rows that migrations laid, put back after each test that commits.

Django's flush truncates every table and signals the end of a migration: most of a second, several hundred
times. And it leaves nothing of what migrations laid, so that the order of tests would matter.
"""

from dataclasses import dataclass
from typing import Self

from django.db import connection, transaction


@dataclass(frozen=True)
class MigratedRows:
    """Each table as PostgreSQL copies it; most are empty."""

    tables: dict[str, bytes]

    @classmethod
    def read(cls) -> Self:
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        with connection.cursor() as cursor:
            return cls({name: _copy_out(cursor, name) for name in names})

    def restore(self) -> None:
        """Make the tables as they were. Sequences go on, as after a flush."""
        # The role of tests is PostgreSQL's first one, which may switch triggers and foreign keys off.
        deletions = [f'DELETE FROM "{name}"' for name in self.tables]
        statements = "; ".join(["SET LOCAL session_replication_role = replica", *deletions])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statements)
            for name, rows in self.tables.items():
                if rows:
                    _copy_in(cursor, name, rows)


def _copy_out(cursor, name: str) -> bytes:
    with cursor.copy(f'COPY (SELECT * FROM "{name}") TO STDOUT') as copy:
        return b"".join(copy)


def _copy_in(cursor, name: str, rows: bytes) -> None:
    with cursor.copy(f'COPY "{name}" FROM STDIN') as copy:
        copy.write(rows)
