"""Lines of CSV that a spreadsheet opens without running anything."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of CSV."""
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def defuse_formula(cell: str) -> str:
    """Return a text that a spreadsheet takes for no formula: one that begins like it gets an apostrophe."""
    return f"'{cell}" if cell.startswith(FORMULA_BEGINS) else cell
