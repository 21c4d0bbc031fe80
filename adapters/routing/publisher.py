"""Publish routes to Valkey: each change is counted with its transaction, and written when that commits.

What moves within a style (its live version, its places) is written for all who use it: 5,000 tenants have it
in a fraction of a second. What changes for a tenant (it selects a style, an engine is new) writes its hash
anew. What Valkey missed has a `generation` ahead of its `observed_generation`, until beat's sweep publishes
it.
"""

from collections.abc import Iterable
from functools import partial
from itertools import batched
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, PositiveBigIntegerField, When
from django.db.models.functions import Greatest
from redis import WatchError

from adapters.models import Selection, Style
from adapters.routing import hash_writer, route_table
from tenants.public import bump_generations, observe_generation, publish_snapshot, stale_generations

TENANTS_ON_COMMIT = 20  # a person waits for the commit; beat's sweep publishes the other tenants
STYLES_PER_BATCH = 50
MAX_ATTEMPTS = 20  # each fails only where another writer's succeeded


def mark_changed(*styles: Style) -> None:
    """Count a change of where some styles' names lead; it is published when the transaction commits."""
    # Locked in one order, so that two actions that change several styles never wait for each other.
    rows = Style.objects.select_for_update(no_key=True).filter(pk__in=[style.pk for style in styles])
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    Style.objects.filter(pk__in=ids).update(generation=F("generation") + 1)
    # Robust: if Valkey is away the change is committed all the same, and the sweep publishes it.
    transaction.on_commit(partial(_publish_styles, ids), robust=True)


def mark_tenants_changed(tenant_ids: list[UUID]) -> None:
    """Count a change of what some tenants may use; it is published when the transaction commits."""
    bump_generations(tenant_ids)
    transaction.on_commit(partial(_publish_tenants, tenant_ids[:TENANTS_ON_COMMIT]), robust=True)


def publish_routes(tenant_id: UUID) -> None:
    """Write all routes of one tenant to Valkey, all or nothing. Safe to repeat, and from many at once.

    Raises redis.RedisError when Valkey does not answer.
    """
    for _ in range(MAX_ATTEMPTS):
        revision = hash_writer.read_revisions([tenant_id])[tenant_id]
        if hash_writer.replace_hash(tenant_id, route_table.fields_of(tenant_id), seen=revision):
            return
    raise WatchError(f"the routes of {tenant_id} are written all the while")


def republish_stale() -> int:
    """Publish every style and tenant whose changes are not all published; return how many.

    Raises redis.RedisError when Valkey does not answer; the rest waits.
    """
    style_ids = list(Style.objects.stale().values_list("pk", flat=True))
    _publish_styles(style_ids)
    stale = stale_generations()
    for tenant_id, generation in stale.items():
        # The generation was read before the rows: a change meanwhile leaves the tenant stale.
        publish_snapshot(tenant_id)
        publish_routes(tenant_id)
        observe_generation(tenant_id, generation)
    return len(style_ids) + len(stale)


def _publish_tenants(tenant_ids: Iterable[UUID]) -> None:
    for tenant_id in tenant_ids:
        publish_routes(tenant_id)


def _publish_styles(style_ids: list[UUID]) -> None:
    """Write the routes of some styles for everybody who uses them."""
    for ids in batched(style_ids, STYLES_PER_BATCH):
        # Before the rows: a hash that is written after this one is read is left to its writer.
        revisions = hash_writer.read_revisions(_users(list(ids)))
        styles = list(Style.objects.filter(pk__in=ids).select_related("owner"))
        _publish_tenants(hash_writer.update_styles(styles, revisions))
        _mark_observed(styles)


def _users(style_ids: list[UUID]) -> list[UUID]:
    """Return the tenants that own some styles, or ever selected one."""
    owners = Style.objects.filter(pk__in=style_ids).values_list("owner", flat=True)
    selections = Selection.objects.filter(style__in=style_ids)
    return list(owners.union(selections.values_list("tenant", flat=True)))


def _mark_observed(styles: list[Style]) -> None:
    """Note which generation of each style is published, unless a later one is noted already."""
    published = Case(*[When(pk=style.pk, then=style.generation) for style in styles])
    latest = Greatest("observed_generation", published, output_field=PositiveBigIntegerField())
    Style.objects.filter(pk__in=[style.pk for style in styles]).update(observed_generation=latest)
