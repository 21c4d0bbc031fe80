"""A table of the export of a workspace's own data: rows of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True)
class Table:
    """One table of an export: its name, its columns, and rows that are read a few at a time."""

    name: str
    columns: Sequence[str]
    rows: QuerySet[Any, Any]


def make_table(name: str, rows: QuerySet[Any], *columns: str) -> Table:
    """Return some columns of rows as a table of an export."""
    return Table(name, columns, rows.values_list(*columns))
