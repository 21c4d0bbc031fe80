"""Write rows of the three tables of routes: model name → versions, version → engines, and engine → facts.

No lock keeps writers apart. Each reads the generation of its source (a style or an engine) before the rows,
and the script refuses what is older than what is there. So in whatever order writers come, the newest stays.
All rows of a source change in one step: no name ever leads to a version without a row.
"""

from collections.abc import Iterable, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from core import valkey

WRITE_ROWS = (Path(__file__).parent / "write_rows.lua").read_text()
SOURCES_PER_BATCH = 200
# Longer than writing all rows takes; what a killed writer leaves is gone then.
BUILDING_VALID_S = 600

type Table = Literal["style", "version", "engine"]
type Row = tuple[Table, str, str]  # its table, its field there, and what is in it


class Source(NamedTuple):
    """What a style or an engine has in the tables; `gone` are the rows that it may have had."""

    name: str
    generation: int
    rows: Sequence[Row]
    gone: Sequence[tuple[Table, str]] = ()


def write_rows(sources: Iterable[Source]) -> dict[str, int]:
    """Write the rows of some sources, and tell the gateways.

    Returns those that were refused, with the newer generation that is there.
    """
    keys = [
        valkey.route_styles_key(),
        valkey.route_versions_key(),
        valkey.route_engines_key(),
        valkey.route_sources_key(),
        valkey.route_generation_key(),
        valkey.route_changes_key(),
    ]
    write = valkey.client().register_script(WRITE_ROWS)
    refused: dict[str, int] = {}
    for batch in batched(sources, SOURCES_PER_BATCH):
        pipeline = valkey.client().pipeline(transaction=False)
        for source in batch:
            arguments: list[str | int] = [valkey.ROUTE_CHANGES_KEPT, source.name, source.generation]
            arguments.append(len(source.gone))
            for row in (*source.gone, *source.rows):
                arguments += row
            write(keys=keys, args=arguments, client=pipeline)
        # One message a batch, not one a row: who hears it reads all that has changed.
        pipeline.publish(valkey.route_generation_key(), "")
        *answers, _ = pipeline.execute()
        for source, newer in zip(batch, answers, strict=True):
            if newer:
                refused[source.name] = newer
    return refused


def read_fields(table: Table) -> set[str]:
    """Return the model names, the ids of versions, or the names of engines, that have a row."""
    keys = {
        "style": valkey.route_styles_key(),
        "version": valkey.route_versions_key(),
        "engine": valkey.route_engines_key(),
    }
    fields: Any = valkey.client().hkeys(keys[table])  # redis-py types it as the union of all its modes
    return set(fields)


def read_sources() -> dict[str, int]:
    """Return all sources and their generation."""
    found: Any = valkey.client().hgetall(valkey.route_sources_key())
    return {name: int(generation) for name, generation in found.items()}


def forget_sources(names: Iterable[str]) -> None:
    """Forget the generations of sources that will have no rows again."""
    for batch in batched(names, SOURCES_PER_BATCH):
        valkey.client().hdel(valkey.route_sources_key(), *batch)


def has_all_rows() -> bool:
    """Return whether Valkey has all rows: it was not emptied since they were last written."""
    return bool(valkey.client().exists(valkey.route_incarnation_key()))


def begin_full_write() -> str:
    """Return a token for `end_full_write`, before all rows are written."""
    token = uuid4().hex
    valkey.client().set(valkey.route_building_key(token), token, ex=BUILDING_VALID_S)
    return token


def end_full_write(token: str) -> None:
    """Note that all rows are written. Raises redis.ResponseError if Valkey was emptied meanwhile."""
    pipeline = valkey.client().pipeline(transaction=True)
    pipeline.rename(valkey.route_building_key(token), valkey.route_incarnation_key())
    pipeline.persist(valkey.route_incarnation_key())
    pipeline.publish(valkey.route_generation_key(), "")
    pipeline.execute()
