"""Publishing to Valkey where model names lead, for the data plane. What a route says: see route_table.py.

Each tenant has a hash of the names that it may type. What moves within a style (its live version, its places)
is written into the hashes of all who use it, by one script a shard: 5,000 tenants have it in a fraction of a
second. What changes for a tenant (it selects a style, an engine is new) writes its hash anew.

No lock keeps writers apart. Each notes a hash's revision, then reads the rows, then writes only where the
revision is still the same: so what was read earlier never takes the place of what was read later.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import batched, chain
from pathlib import Path
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, F, Max, PositiveBigIntegerField, QuerySet, When
from django.db.models.functions import Greatest
from redis import WatchError
from redis.client import Pipeline

from adapters.models import Selection, Style
from adapters.routing import route_table
from foundation import valkey
from tenants.public import bump_generations, observe_generation, publish_snapshot, stale_generations

AT_ONCE = 20  # so many tenants are published when a transaction commits; the others when beat sweeps
STYLES_AT_ONCE = 50
UPDATE_ROUTES = (Path(__file__).parent / "update_routes.lua").read_text()
REPLACE_ROUTES = (Path(__file__).parent / "replace_routes.lua").read_text()
ATTEMPTS = 20  # each fails only where another writer's succeeded
NEW_FOR_S = 60  # what a killed writer leaves is gone after that
KEYS_AT_ONCE = 500  # Valkey does nothing else meanwhile
FIELDS_AT_ONCE = 500

# Tenants, the names under which they may know a style, and the fields that they are to have.
type Subscribers = tuple[set[UUID], set[str], route_table.Fields]


def mark_changed(*styles: Style) -> None:
    """Count a change of where some styles' names lead; it is published when the transaction commits."""
    ids = [style.pk for style in styles]
    # Locked in one order, so that two deeds that change several styles never wait for each other.
    locked = Style.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    Style.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(
        generation=F("generation") + 1
    )
    transaction.on_commit(partial(_publish_styles, ids), robust=True)


def mark_tenants_changed(tenant_ids: list[UUID]) -> None:
    """Count a change of what some tenants may use; it is published when the transaction commits."""
    bump_generations(tenant_ids)
    transaction.on_commit(partial(_publish_all, tenant_ids[:AT_ONCE]), robust=True)


def publish_routes(tenant_id: UUID) -> None:
    """Write all routes of one tenant to Valkey, all or nothing. Safe to repeat, and from many at once.

    Raises redis.RedisError when Valkey does not answer.
    """
    for _ in range(ATTEMPTS):
        revision = valkey.client().get(valkey.routes_revision_key(tenant_id)) or ""
        if _replace(tenant_id, route_table.fields_of(tenant_id), seen=str(revision)):
            return
    raise WatchError(f"the routes of {tenant_id} are written all the while")


def republish_stale() -> int:
    """Publish every style and tenant whose changes are not all published; return how many.

    Raises redis.RedisError when Valkey does not answer; the rest waits.
    """
    styles = list(Style.objects.stale().values_list("pk", flat=True))
    _publish_styles(styles)
    stale = stale_generations()
    for tenant_id, generation in stale.items():
        publish_snapshot(tenant_id)
        publish_routes(tenant_id)
        observe_generation(tenant_id, generation)
    return len(styles) + len(stale)


def _publish_all(tenant_ids: Iterable[UUID]) -> None:
    for tenant_id in tenant_ids:
        publish_routes(tenant_id)


def _replace(tenant_id: UUID, fields: route_table.Fields, *, seen: str) -> bool:
    """Put a hash in the place of another in one step, written in portions that hold nobody up.

    Return False, and change nothing, if its revision is not the one that was seen before the rows were read.
    """
    key, revision = valkey.styles_key(tenant_id), uuid4().hex
    new = f"{key}:new:{revision}"
    pipeline = valkey.client().pipeline(transaction=False)
    for portion in batched(fields.items(), FIELDS_AT_ONCE):
        pipeline.hset(new, mapping=dict(portion))
    pipeline.expire(new, NEW_FOR_S)
    names = [new, key, valkey.routes_revision_key(tenant_id)]
    valkey.client().register_script(REPLACE_ROUTES)(names, [seen, revision], client=pipeline)
    return bool(pipeline.execute()[-1])


def _publish_styles(style_ids: list[UUID]) -> None:
    """Write the routes of some styles for everybody who uses them."""
    for ids in batched(style_ids, STYLES_AT_ONCE):
        seen = _revisions(_users(ids))
        styles = list(Style.objects.filter(pk__in=ids).select_related("owner"))
        _publish_all(_reroute_all(styles, seen))
        read = Case(*(When(pk=style.pk, then=style.generation) for style in styles))
        published = Greatest("observed_generation", read, output_field=PositiveBigIntegerField())
        Style.objects.filter(pk__in=ids).update(observed_generation=published)


def _users(style_ids: Iterable[UUID]) -> list[UUID]:
    """Return the tenants that own some styles, or ever selected one."""
    owners = Style.objects.filter(pk__in=style_ids).values_list("owner")
    return [pk for (pk,) in owners.union(Selection.objects.filter(style__in=style_ids).values_list("tenant"))]


def _revisions(tenant_ids: list[UUID]) -> dict[UUID, str]:
    """Return what some tenants' routes are now; to be noted before the rows are read."""
    pipeline = valkey.client().pipeline(transaction=False)
    portions = list(_batches(tenant_ids))
    for portion in portions:
        pipeline.mget([valkey.routes_revision_key(one) for one in portion])
    found = zip(chain(*portions), chain(*pipeline.execute()), strict=True)
    return {tenant_id: revision or "" for tenant_id, revision in found}


def _reroute_all(styles: list[Style], seen: dict[UUID, str]) -> set[UUID]:
    """Write the routes of some styles; return the tenants that must be written whole."""
    newest, clashes = _newest(styles), _name_clashes(styles)
    selected = Selection.objects.filter(style__in=styles).exclude(tenant=F("style__owner"))
    all_ids, may = _tenants_of(selected), _tenants_of(selected.in_force())
    pipeline = valkey.client().pipeline(transaction=False)
    queued: list[tuple[UUID, ...]] = []
    revision = uuid4().hex
    for names in route_table.names_of(styles):
        pk = names.style.pk
        subscribers = _subscribers(names, may[pk], all_ids[pk] - may[pk])
        for tenants, typed, fields in subscribers:
            gone = {field for name in typed for field in route_table.every_field(name, newest.get(pk, 0))}
            gone -= fields.keys()
            arguments: list[str | int] = [len(gone), *gone, *chain.from_iterable(fields.items())]
            for portion in _batches((tenants - clashes[pk]) & seen.keys()):
                _reroute(pipeline, portion, [revision, *(seen[one] for one in portion), *arguments])
                queued.append(portion)
    written_since = {
        portion[place - 1]
        for portion, places in zip(queued, pipeline.execute(), strict=True)
        for place in places
    }
    new = set().union(*all_ids.values()) - seen.keys()
    return written_since | new | set().union(*clashes.values())


def _tenants_of(selections: QuerySet[Selection]) -> defaultdict[UUID, set[UUID]]:
    """Return style → the tenants of its selections."""
    found: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for style_id, tenant_id in selections.values_list("style", "tenant"):
        found[style_id].add(tenant_id)
    return found


def _newest(styles: list[Style]) -> dict[UUID, int]:
    """Return the number of each style's newest version, whatever became of it."""
    numbered = Style.objects.filter(pk__in=[style.pk for style in styles], versions__isnull=False)
    return dict(numbered.annotate(newest=Max("versions__number")).values_list("pk", "newest"))


def _reroute(pipeline: Pipeline, tenants: Iterable[UUID], arguments: list[str | int]) -> None:
    """Queue the writing of a style's routes for some tenants, and the end of those that lead nowhere."""
    names = [name(one) for one in tenants for name in (valkey.styles_key, valkey.routes_revision_key)]
    valkey.client().register_script(UPDATE_ROUTES)(keys=names, args=arguments, client=pipeline)


def _subscribers(names: route_table.StyleRoutes, may: set[UUID], may_not: set[UUID]) -> Iterator[Subscribers]:
    style, name = names.style, names.style.model_name
    own = names.fields(name, is_own=True) | names.fields(style.slug, is_own=True)
    yield {style.owner_id}, {name, style.slug}, own
    yield may, {name}, names.fields(name, is_own=False)
    yield may_not, {name}, {}


def _name_clashes(styles: list[Style]) -> defaultdict[UUID, set[UUID]]:
    """Return the tenants that know two styles by the same short name: who wins is seen whole."""
    of_first_party = Selection.objects.filter(style__owner__is_first_party=True).exclude(
        tenant__is_first_party=True
    )
    clashes = _tenants_of(of_first_party.filter(style__in=styles, tenant__styles__slug=F("style__slug")))
    slugs, owners = {style.slug for style in styles}, {style.owner_id for style in styles}
    rivals = of_first_party.filter(style__slug__in=slugs, tenant__in=owners)
    doubled = set(rivals.values_list("tenant", "style__slug"))
    for style in styles:
        if (style.owner_id, style.slug) in doubled:
            clashes[style.pk].add(style.owner_id)
    return clashes


def _batches(tenant_ids: Iterable[UUID]) -> Iterator[tuple[UUID, ...]]:
    """Yield tenants of one shard each, so many as Valkey writes at one go."""
    shards = defaultdict(list)
    for tenant_id in tenant_ids:
        shards[valkey.shard(tenant_id)].append(tenant_id)
    for of_shard in shards.values():
        yield from batched(of_shard, KEYS_AT_ONCE)
