"""Publish routes to Valkey: each change is counted with its transaction, and written when that commits.

There are three tables for all: model names lead to versions, versions to engines, and engines have facts.
What moves for a style, such as its live version, writes one row, however many workspaces use it. A workspace
has a hash of its own, its library: the styles that it may use. It is written anew when that changes.

What Valkey missed has a `generation` ahead of its `observed_generation`, until beat's sweep publishes it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import batched, repeat
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, F, PositiveBigIntegerField, Q, QuerySet, When
from django.db.models.functions import Greatest
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Status, Style
from adapters.routing import tables
from core import locks, valkey
from metering.quota_sync.snapshot import (
    bump_generations,
    observe_generation,
    overtake_generation,
    publish_snapshot,
    stale_generations,
)
from tenants.models import Tenant

# Write rows of the three tables of routes: model name → versions, version → engines, and engine → facts.
#
# No lock keeps writers apart. Each reads the generation of its source (a style or an engine) before the
# rows, and the script refuses what is older than what is there. So in whatever order writers come, the
# newest stays. All rows of a source change in one step: no name ever leads to a version without a row.

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


TENANTS_PER_BATCH = 100
STYLES_PER_BATCH = 50
SOURCES_KEPT = timedelta(days=1)
TABLES: tuple[Table, ...] = ("style", "version", "engine")


def mark_changed(*styles: Style) -> None:
    """Count a change of where styles' names lead, or of which engines have their versions.

    It is published when the transaction commits.
    """
    ids = _count_styles(Style.objects.filter(pk__in=[style.pk for style in styles]))
    # Robust: if Valkey is away the change is committed all the same, and the sweep publishes it.
    transaction.on_commit(partial(_publish_styles, ids), robust=True)


def mark_repriced(style_ids: Collection[UUID]) -> None:
    """Count a change of the prices of some styles. Beat's sweep publishes those beyond the first few."""
    ids = _count_styles(Style.objects.filter(pk__in=style_ids, retired_at=None))
    transaction.on_commit(partial(_publish_styles, ids[:STYLES_PER_BATCH]), robust=True)


def mark_engines_changed(engine_ids: Iterable[int], *, are_places_new: bool = False) -> None:
    """Count a change of some engines: of their health, address or limits.

    `are_places_new`: the rows of the versions on them change, too, since an engine begins or ceases to be
    drained, or has another context. Beat's sweep publishes those: there may be thousands.
    """
    ids = list(Engine.objects.filter(pk__in=engine_ids).values_list("pk", flat=True))
    Engine.objects.filter(pk__in=ids).update(generation=F("generation") + 1)
    if are_places_new:
        _count_styles(Style.objects.filter(pk__in=Style.objects.filter(versions__placements__engine__in=ids)))
    transaction.on_commit(partial(_publish_engines, ids), robust=True)


def mark_libraries_changed(tenant_ids: list[UUID]) -> None:
    """Count a change of which styles some tenants may use; it is published when the transaction commits."""
    bump_generations(tenant_ids)
    transaction.on_commit(partial(_publish_libraries, tenant_ids), robust=True)


def publish_library(tenant_id: UUID) -> None:
    """Write to Valkey which styles a tenant may use, all or nothing. Safe to repeat, and from many at once.

    Raises redis.RedisError when Valkey does not answer.
    """
    _publish_libraries([tenant_id])


def publish_missing_tables() -> None:
    """Write all rows of the three tables, if Valkey was emptied since they were last written.

    Safe to repeat, and from many at once: one process writes them, and the others return at once.
    Raises redis.RedisError when Valkey does not answer.
    """
    if has_all_rows():
        return
    with locks.only_one("tables of routes") as mine:
        if mine and not has_all_rows():
            token = begin_full_write()
            _publish_engines(list(Engine.objects.values_list("pk", flat=True)))
            _publish_styles(list(Style.objects.filter(retired_at=None).values_list("pk", flat=True)))
            end_full_write(token)


def republish_stale() -> int:
    """Publish every style, engine and tenant whose changes are not all published; return how many.

    Raises redis.RedisError when Valkey does not answer; the rest waits.
    """
    publish_missing_tables()
    engine_ids = list(Engine.objects.stale().values_list("pk", flat=True))
    _publish_engines(engine_ids)
    style_ids = list(Style.objects.stale().values_list("pk", flat=True))
    _publish_styles(style_ids)
    stale = stale_generations()
    for tenant_id, generation in stale.items():
        # One generation counts two publications, the snapshot's and the library's. A change publishes one of
        # them after its commit, and can't know whether the other one succeeded. So each changed tenant is
        # published once more here, and only both together are observed. The generation was read before the
        # rows: a change meanwhile leaves the tenant stale.
        publish_snapshot(tenant_id)
        publish_library(tenant_id)
        observe_generation(tenant_id, generation)
    return len(engine_ids) + len(style_ids) + len(stale)


def compare_tables() -> int:
    """Write rows that Valkey lost without being emptied, take out what no row of PostgreSQL stands for.

    It compares names, so it is cheap: rows themselves are written again only where one is missing. Returns
    how many rows were missing or too many. Raises redis.RedisError when Valkey does not answer.
    """
    # Valkey first: what it has was in PostgreSQL before.
    sources = read_sources()
    present = {table: read_fields(table) for table in TABLES}
    engines = dict(Engine.objects.filter(is_gone=False).values_list("name", "pk"))
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    shown = shown.filter(style__retired_at=None, style__suspended_at=None)
    of_styles = {str(version_id): style_id for version_id, style_id in shown.values_list("pk", "style")}
    styles = Style.objects.filter(pk__in=set(of_styles.values())).select_related("owner")
    names = {style.model_name: style.pk for style in styles}

    expected = {"engine": engines.keys(), "version": of_styles.keys(), "style": names.keys()}
    missing = {table: expected[table] - present[table] for table in TABLES}
    _publish_engines([engines[name] for name in missing["engine"]])
    incomplete = {of_styles[version_id] for version_id in missing["version"]}
    incomplete |= {names[name] for name in missing["style"]}
    _publish_styles(list(incomplete))
    unknown: list[tuple[Table, str]] = []
    for table in TABLES:
        unknown += zip(repeat(table), present[table] - expected[table])
    # Any source will do: that of a lost row is not known. Mostly there is none, and no message goes out.
    if unknown:
        write_rows([Source("unknown", 0, [], unknown)])
    _forget_dead_sources(sources)
    return sum(map(len, missing.values())) + len(unknown)


def _forget_dead_sources(sources: Iterable[str]) -> None:
    """Forget the generations of engines that are unknown, and of styles that ended more than a day ago.

    They are kept that long against slow writers.
    """
    ended = timezone.now() - SOURCES_KEPT
    living = Style.objects.filter(Q(retired_at=None) | Q(retired_at__gt=ended))
    kept = {f"style:{style_id}" for style_id in living.values_list("pk", flat=True)}
    kept |= {f"engine:{name}" for name in Engine.objects.values_list("name", flat=True)}
    forget_sources(set(sources) - kept)


def _count_styles(styles: QuerySet[Style]) -> list[UUID]:
    """Count a change of some styles; return their ids."""
    # Locked in one order, so that two actions that change several styles never wait for each other.
    locked = styles.select_for_update(no_key=True).order_by("pk")
    ids = list(locked.values_list("pk", flat=True))
    Style.objects.filter(pk__in=ids).update(generation=F("generation") + 1)
    return ids


def _publish_libraries(tenant_ids: Iterable[UUID]) -> None:
    for ids in batched(tenant_ids, TENANTS_PER_BATCH):
        refused = _write_libraries(ids)
        # A database that was restored from a backup wins over what Valkey has of the lost time.
        restored = [tenant for tenant, newer in refused.items() if overtake_generation(tenant, newer)]
        if restored:
            _write_libraries(restored)


def _write_libraries(tenant_ids: Collection[UUID]) -> dict[UUID, int]:
    # The generations are read here, the rows later.
    generations = dict(Tenant.objects.filter(pk__in=tenant_ids).values_list("pk", "generation"))
    return tables.write_libraries(tables.read_libraries(tenant_ids), generations)


def _publish_styles(style_ids: list[UUID]) -> None:
    """Write the rows of some styles and of their versions."""
    for ids in batched(style_ids, STYLES_PER_BATCH):
        # The generations are read here, the rows later.
        styles = list(Style.objects.filter(pk__in=ids).select_related("owner"))
        refused = write_rows(_read_sources(styles))
        _observe(Style.objects.all(), styles, refused=refused)


def _publish_engines(engine_ids: list[int]) -> None:
    """Write the rows of some engines."""
    engines = list(tables.with_base_models(Engine.objects.filter(pk__in=engine_ids)))
    sources = []
    for engine in engines:
        written = tables.rows_of_engines([engine])
        rows: list[Row] = [("engine", name, row) for name, row in written.items()]
        gone: list[tuple[Table, str]] = [] if rows else [("engine", engine.name)]
        sources.append(Source(_source_of(engine), engine.generation, rows, gone))
    refused = write_rows(sources)
    _observe(Engine.objects.all(), engines, refused=refused)


def _observe(
    every: QuerySet[Style] | QuerySet[Engine], rows: Sequence[Style | Engine], *, refused: dict[str, int]
) -> None:
    """Note which generation of each row is published, but for those that Valkey refused."""
    accepted = []
    for row in rows:
        newer = refused.get(_source_of(row))
        if newer:
            _overtake(every.filter(pk__in=[row.pk]), newer)
        else:
            accepted.append(row)
    if accepted:
        published = Case(*[When(pk=row.pk, then=row.generation) for row in accepted])
        # Unless a later one is noted already.
        latest = Greatest("observed_generation", published, output_field=PositiveBigIntegerField())
        every.filter(pk__in=[row.pk for row in accepted]).update(observed_generation=latest)


def _overtake(row: QuerySet[Style] | QuerySet[Engine], newer: int) -> None:
    """Count a row up past what Valkey has, if not even now it has been counted so far.

    Usually another writer read a later change and was quicker. A row that is behind Valkey was restored from
    a backup; it stays unpublished until beat's sweep, which is never refused after this.
    """
    row.filter(generation__lt=newer).update(generation=newer + 1)


def _read_sources(styles: list[Style]) -> Iterator[Source]:
    """Yield what each style and its versions have in the tables, and what they have no more."""
    versions = tables.read_versions(styles)
    style_rows = tables.rows_of_styles(styles, versions)
    version_rows = tables.rows_of_versions(styles, versions)
    gone: defaultdict[UUID, list[tuple[Table, str]]] = defaultdict(list)
    every = AdapterVersion.objects.filter(style__in=styles)
    for style_id, pk in every.values_list("style", "pk"):
        if str(pk) not in version_rows[style_id]:
            gone[style_id].append(("version", str(pk)))
    for style in styles:
        rows: list[Row] = []
        for version_id, row in version_rows[style.pk].items():
            rows.append(("version", version_id, row))
        if style.pk in style_rows:
            rows.append(("style", style.model_name, style_rows[style.pk]))
        else:
            gone[style.pk].append(("style", style.model_name))
        yield Source(_source_of(style), style.generation, rows, gone[style.pk])


def _source_of(row: Style | Engine) -> str:
    return f"engine:{row.name}" if isinstance(row, Engine) else f"style:{row.pk}"
