"""Publish routes to Valkey: each change is counted with its transaction, and written when that commits.

There are three tables. Names of a tenant lead to versions: what moves for all who use a style (its live
version) is written into the hashes of all, which takes a fraction of a second for 5,000 tenants; what changes
for a tenant (it selects a style) writes its hash anew. Versions lead to engines: one row each. Engines have
facts: one row each. Gateways keep the last two in memory, so an engine's flip writes one row and no hash.

What Valkey missed has a `generation` ahead of its `observed_generation`, until beat's sweep publishes it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import batched
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, PositiveBigIntegerField, Q, QuerySet, When
from django.db.models.functions import Greatest
from django.utils import timezone
from redis import WatchError

from adapters.models import AdapterVersion, Engine, Selection, Status, Style
from adapters.routing import engine_table, hash_writer, route_table, row_writer, version_table
from adapters.routing.row_writer import Source
from core import locks
from tenants.public import bump_generations, observe_generation, publish_snapshot, stale_generations

TENANTS_ON_COMMIT = 20  # a person waits for the commit; beat's sweep publishes the other tenants
STYLES_PER_BATCH = 50
SOURCES_KEPT = timedelta(days=1)
MAX_ATTEMPTS = 20  # each fails only where another writer's succeeded


def mark_changed(*styles: Style) -> None:
    """Count a change of where some styles' names lead; it is published when the transaction commits."""
    ids = _lock_styles(styles)
    Style.objects.filter(pk__in=ids).update(
        generation=F("generation") + 1, versions_generation=F("versions_generation") + 1
    )
    # Robust: if Valkey is away the change is committed all the same, and the sweep publishes it.
    transaction.on_commit(partial(_publish_styles, ids), robust=True)


def mark_placed(*styles: Style) -> None:
    """Count a change of which engines have the versions of some styles; no name leads elsewhere by it."""
    ids = _lock_styles(styles)
    Style.objects.filter(pk__in=ids).update(versions_generation=F("versions_generation") + 1)
    transaction.on_commit(partial(_publish_versions, ids), robust=True)


def mark_repriced(style_ids: Collection[UUID]) -> None:
    """Count a change of the prices of some styles, which their versions' rows have.

    Beat's sweep publishes those beyond the first few.
    """
    styles = Style.objects.filter(pk__in=style_ids, retired_at=None).only("pk")
    ids = _count_versions(styles)
    transaction.on_commit(partial(_publish_versions, ids[:STYLES_PER_BATCH]), robust=True)


def mark_engines_changed(engine_ids: Iterable[int], *, are_places_new: bool = False) -> None:
    """Count a change of some engines: of their health, address or limits.

    `are_places_new`: the rows of the versions on them change, too, since an engine begins or ceases to be
    drained, or has another context. Beat's sweep publishes those: there may be thousands.
    """
    ids = list(Engine.objects.filter(pk__in=engine_ids).values_list("pk", flat=True))
    Engine.objects.filter(pk__in=ids).update(generation=F("generation") + 1)
    if are_places_new:
        styles = Style.objects.filter(versions__placements__engine__in=ids)
        _count_versions(styles.only("pk").distinct())
    transaction.on_commit(partial(_publish_engines, ids), robust=True)


def mark_tenants_changed(tenant_ids: list[UUID]) -> None:
    """Count a change of what some tenants may use; it is published when the transaction commits."""
    bump_generations(tenant_ids)
    transaction.on_commit(partial(_publish_tenants, tenant_ids[:TENANTS_ON_COMMIT]), robust=True)


def publish_routes(tenant_id: UUID) -> None:
    """Write all names of one tenant to Valkey, all or nothing. Safe to repeat, and from many at once.

    Raises redis.RedisError when Valkey does not answer.
    """
    for _ in range(MAX_ATTEMPTS):
        revision = hash_writer.read_revisions([tenant_id])[tenant_id]
        if hash_writer.replace_hash(tenant_id, route_table.build_fields(tenant_id), seen=revision):
            return
    raise WatchError(f"the routes of {tenant_id} are written all the while")


def publish_missing_tables() -> None:
    """Write the rows of all versions and engines, if Valkey was emptied since they were last written.

    Safe to repeat, and from many at once: one process writes them, and the others return at once.
    Raises redis.RedisError when Valkey does not answer.
    """
    if row_writer.has_all_rows():
        return
    with locks.only_one("tables of routes") as mine:
        if mine and not row_writer.has_all_rows():
            token = row_writer.begin_full_write()
            _publish_engines(list(Engine.objects.values_list("pk", flat=True)))
            _publish_versions(list(Style.objects.filter(retired_at=None).values_list("pk", flat=True)))
            row_writer.end_full_write(token)


def republish_stale() -> int:
    """Publish every style, engine and tenant whose changes are not all published; return how many.

    Raises redis.RedisError when Valkey does not answer; the rest waits.
    """
    publish_missing_tables()
    engine_ids = list(Engine.objects.stale().values_list("pk", flat=True))
    _publish_engines(engine_ids)
    version_ids = list(Style.objects.stale_versions().values_list("pk", flat=True))
    _publish_versions(version_ids)
    style_ids = list(Style.objects.stale().values_list("pk", flat=True))
    _publish_styles(style_ids)
    stale = stale_generations()
    for tenant_id, generation in stale.items():
        # The generation was read before the rows: a change meanwhile leaves the tenant stale.
        publish_snapshot(tenant_id)
        publish_routes(tenant_id)
        observe_generation(tenant_id, generation)
    return len(engine_ids) + len({*version_ids, *style_ids}) + len(stale)


def compare_tables() -> int:
    """Write rows that Valkey lost without being emptied, take out what no row of PostgreSQL stands for.

    It compares names, so it is cheap: rows themselves are written again only where one is missing. Returns
    how many rows were missing or too many. Raises redis.RedisError when Valkey does not answer.
    """
    # Valkey first: what it has was in PostgreSQL before.
    sources = row_writer.read_sources()
    engine_fields = row_writer.read_fields("engine")
    version_fields = row_writer.read_fields("version")
    engines = dict(Engine.objects.filter(is_gone=False).values_list("name", "pk"))
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    of_styles = shown.filter(style__retired_at=None, style__suspended_at=None).values_list("pk", "style")
    versions = {str(version_id): style_id for version_id, style_id in of_styles}

    missing_engines = engines.keys() - engine_fields
    missing_versions = versions.keys() - version_fields
    _publish_engines([engines[name] for name in missing_engines])
    _publish_versions(list({versions[version_id] for version_id in missing_versions}))
    unknown_engines = engine_fields - engines.keys()
    unknown_versions = version_fields - versions.keys()
    # Any source will do: that of a lost row is not known. Mostly there is none, and no message goes out.
    if unknown_engines:
        row_writer.write_rows("engine", [Source("unknown", 0, {}, unknown_engines)])
    if unknown_versions:
        row_writer.write_rows("version", [Source("unknown", 0, {}, unknown_versions)])
    _forget_dead_sources(sources)
    return len(missing_engines) + len(missing_versions) + len(unknown_engines) + len(unknown_versions)


def _forget_dead_sources(sources: Iterable[str]) -> None:
    """Forget the generations of engines that are unknown, and of styles that ended more than a day ago.

    They are kept that long against slow writers.
    """
    ended = timezone.now() - SOURCES_KEPT
    living = Style.objects.filter(Q(retired_at=None) | Q(retired_at__gt=ended))
    kept = {f"style:{style_id}" for style_id in living.values_list("pk", flat=True)}
    kept |= {f"engine:{name}" for name in Engine.objects.values_list("name", flat=True)}
    row_writer.forget_sources(set(sources) - kept)


def _lock_styles(styles: Iterable[Style]) -> list[UUID]:
    # Locked in one order, so that two actions that change several styles never wait for each other.
    rows = Style.objects.select_for_update(no_key=True).filter(pk__in=[style.pk for style in styles])
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _count_versions(styles: QuerySet[Style]) -> list[UUID]:
    """Count a change of some styles' rows of versions; return their ids."""
    ids = _lock_styles(styles)
    Style.objects.filter(pk__in=ids).update(versions_generation=F("versions_generation") + 1)
    return ids


def _publish_tenants(tenant_ids: Iterable[UUID]) -> None:
    for tenant_id in tenant_ids:
        publish_routes(tenant_id)


def _publish_styles(style_ids: list[UUID]) -> None:
    """Write the names of some styles for everybody who uses them, and the rows of their versions."""
    for ids in batched(style_ids, STYLES_PER_BATCH):
        # Before the rows: a hash that is written after this one is read is left to its writer.
        revisions = hash_writer.read_revisions(_users(list(ids)))
        styles = list(Style.objects.filter(pk__in=ids).select_related("owner"))
        # A row is there before a name leads to it, and goes after none does.
        written = row_writer.write_rows("version", _read_sources(styles))
        _publish_tenants(hash_writer.update_styles(styles, revisions))
        gone = row_writer.write_rows("version", _gone_sources(styles))
        _mark_observed(Style.objects.all(), styles, "generation", "observed_generation")
        _observe_versions(styles, written.refused | gone.refused)


def _publish_versions(style_ids: list[UUID]) -> None:
    """Write the rows of some styles' versions."""
    for ids in batched(style_ids, STYLES_PER_BATCH):
        # The generations are read here, the rows later.
        styles = list(Style.objects.filter(pk__in=ids).select_related("owner"))
        written = row_writer.write_rows("version", _read_sources(styles))
        _observe_versions(styles, written.refused)


def _publish_engines(engine_ids: list[int]) -> None:
    """Write the rows of some engines."""
    engines = list(engine_table.with_base_models(Engine.objects.filter(pk__in=engine_ids)))
    sources = []
    for engine in engines:
        rows = engine_table.rows_of_engines([engine])
        gone = [] if rows else [engine.name]
        sources.append(Source(_source_of(engine), engine.generation, rows, gone))
    refused = row_writer.write_rows("engine", sources).refused
    _observe(Engine.objects.all(), engines, "generation", "observed_generation", refused=refused)


def _observe_versions(styles: list[Style], refused: dict[str, int]) -> None:
    _observe(
        Style.objects.all(), styles, "versions_generation", "observed_versions_generation", refused=refused
    )


def _observe(
    every: QuerySet[Style] | QuerySet[Engine],
    rows: Sequence[Style | Engine],
    counted: str,
    observed: str,
    *,
    refused: dict[str, int],
) -> None:
    """Note that what some rows stand for is published, but for those that Valkey refused."""
    accepted = []
    for row in rows:
        newer = refused.get(_source_of(row))
        if newer:
            _overtake(every.filter(pk__in=[row.pk]), counted, newer)
        else:
            accepted.append(row)
    _mark_observed(every, accepted, counted, observed)


def _overtake(row: QuerySet[Style] | QuerySet[Engine], counted: str, newer: int) -> None:
    """Count a row up past what Valkey has, if not even now it has been counted so far.

    Usually another writer read a later change and was quicker. A row that is behind Valkey was restored from
    a backup; it stays unpublished until beat's sweep, which is never refused after this.
    """
    row.filter(**{f"{counted}__lt": newer}).update(**{counted: newer + 1})


def _read_sources(styles: list[Style]) -> Iterator[Source]:
    """Yield what is to be written of each style; its versions that are gone stay for now."""
    rows = version_table.rows_of_styles(styles)
    for style in styles:
        yield Source(_source_of(style), style.versions_generation, rows[style.pk])


def _gone_sources(styles: list[Style]) -> Iterator[Source]:
    """Yield the versions of each style that neither serve nor are on their way."""
    shown = route_table.read_versions(styles)
    every = AdapterVersion.objects.filter(style__in=styles)
    gone: dict[UUID, list[str]] = {style.pk: [] for style in styles}
    for style_id, version_id in every.values_list("style", "pk"):
        gone[style_id].append(str(version_id))
    for style in styles:
        kept = {str(version.pk) for version in shown[style.pk]}
        yield Source(_source_of(style), style.versions_generation, {}, set(gone[style.pk]) - kept)


def _source_of(row: Style | Engine) -> str:
    return f"engine:{row.name}" if isinstance(row, Engine) else f"style:{row.pk}"


def _users(style_ids: list[UUID]) -> list[UUID]:
    """Return the tenants that own some styles, or ever selected one."""
    owners = Style.objects.filter(pk__in=style_ids).values_list("owner", flat=True)
    selections = Selection.objects.filter(style__in=style_ids)
    return list(owners.union(selections.values_list("tenant", flat=True)))


def _mark_observed(
    every: QuerySet[Style] | QuerySet[Engine], rows: Sequence[Style | Engine], counted: str, observed: str
) -> None:
    """Note which generation of each row is published, unless a later one is noted already."""
    if not rows:
        return
    published = Case(*[When(pk=row.pk, then=getattr(row, counted)) for row in rows])
    latest = Greatest(observed, published, output_field=PositiveBigIntegerField())
    every.filter(pk__in=[row.pk for row in rows]).update(**{observed: latest})
