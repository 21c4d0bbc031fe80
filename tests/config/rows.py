"""One scene for many cases: what a case does is undone, and what it changed is named."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import Model

from core import valkey

type Rows = Mapping[str, str]  # a row's model and key → its columns as JSON


@contextmanager
def undone() -> Iterator[None]:
    """Undo what is done within, in the database and in Valkey, but not what a browser keeps."""
    block = transaction.atomic()
    block._from_testcase = True  # like the one around a whole test: tests/held_locks.py
    try:
        with block:
            yield
            transaction.set_rollback(True)
    finally:
        valkey.client().flushdb()


def read_rows(models: Iterable[type[Model]], *, without: Collection[str] = ()) -> Rows:
    """Return every row of some models, in one query, without some columns."""
    selects = []
    for model in models:
        table, key = model._meta.db_table, model._meta.pk.column
        row = f"""'{model._meta.label} ' || "{key}", (to_jsonb("{table}") - %(without)s::text[])::text"""
        selects.append(f'SELECT {row} FROM "{table}"')
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), {"without": list(without)})
        return dict(cursor.fetchall())


def changes_between(before: Rows, after: Rows) -> list[str]:
    """Return what became of each row that came, went or is another now: column → (before, after)."""
    found = []
    for row in sorted(before.keys() | after.keys()):
        old, new = (json.loads(rows.get(row, "{}")) for rows in (before, after))
        columns = old.keys() | new.keys()
        changed = {name: (old.get(name), new.get(name)) for name in columns if old.get(name) != new.get(name)}
        if changed:
            found.append(f"{row}: {changed}")
    return found
