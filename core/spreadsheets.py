"""Tables as CSV, which a spreadsheet opens without running anything, a chunk of rows at a time."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from asgiref.sync import sync_to_async
from django.db import connection

FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")

type ReadFollowing[Row] = Callable[[Row | None], list[Row]]


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of CSV. A text that begins like a formula gets an apostrophe."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    for row in rows:
        writer.writerow([_defuse_formula(cell) for cell in row])
    return lines.getvalue()


async def stream_csv[Row](
    head: Sequence[str], read: ReadFollowing[Row], make_cells: Callable[[Row], Sequence[object]]
) -> AsyncIterator[str]:
    """Yield a table's lines. `read` returns the rows that follow one, or the first ones.

    No database connection is held while a client reads.
    """
    yield csv_text([head])
    last: Row | None = None
    while rows := await sync_to_async(_read_once)(read, last):
        yield csv_text([make_cells(row) for row in rows])
        last = rows[-1]


def _read_once[Row](read: ReadFollowing[Row], last: Row | None) -> list[Row]:
    try:
        return read(last)
    finally:
        if not connection.in_atomic_block:  # a test keeps its own
            connection.close()


def _defuse_formula(cell: object) -> object:
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA_BEGINS)
    return f"'{cell}" if is_formula else cell
