"""Where each model name of a tenant leads, written to Valkey for the data plane.

A route is JSON. Serving: style, name, version, sha256, base_model, engine, url, lora, max_model_len,
max_num_seqs.
On its way or for a moment on no engine: style, name, "state": "loading". A name without a route is unknown.
"""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from adapters.models import IDENTITY, AdapterVersion, Engine, Placement, Style
from foundation import locks, valkey
from tenants.public import Tenant, gate_publish

BASE = "base"
# So many tenants are published at once when a style changes; the others when beat sweeps.
AT_ONCE = 20

type Hash = dict[str | bytes | bytearray | memoryview[int] | int | float, Any]
type Route = dict[str, str | int | None]


def changed(style: Style) -> None:
    """Count a change for everybody who may use a style, and publish it when the transaction commits."""
    tenants = Tenant.objects.filter(Q(pk=style.owner_id) | Q(selections__style=style)).order_by("pk")
    # Locked in one order, so that two styles that change at once never wait for each other.
    ids = list(
        Tenant.objects.select_for_update(no_key=True)
        .filter(pk__in=tenants.values("pk"))
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    count_change(ids)


def count_change(tenant_ids: list[UUID]) -> None:
    """Count a change for some tenants, and publish it when the transaction commits."""
    Tenant.objects.filter(pk__in=tenant_ids).update(gate_changes=F("gate_changes") + 1)
    transaction.on_commit(partial(_publish_all, tenant_ids[:AT_ONCE]), robust=True)


def all_changed() -> None:
    """Count a change for every tenant, a new engine for instance; beat publishes them."""
    Tenant.objects.update(gate_changes=F("gate_changes") + 1)


def publish(tenant_id: UUID) -> None:
    """Write all routes of one tenant to Valkey, all or nothing. Safe to repeat.

    Raises redis.RedisError when Valkey does not answer.
    """
    with transaction.atomic():
        # Without the lock a slow publisher that read before a change could write what it read after it.
        locks.one_at_a_time(f"routes {tenant_id}")
        routes: Hash = {name: json.dumps(route) for name, route in routes_of(tenant_id).items()}
        pipeline = valkey.client().pipeline(transaction=True)
        pipeline.delete(valkey.styles_key(tenant_id))
        pipeline.hset(valkey.styles_key(tenant_id), mapping=routes)
        pipeline.execute()


def republish_stale() -> int:
    """Publish every tenant whose changes are not all published; return how many.

    Raises redis.RedisError when Valkey does not answer; the rest waits.
    """
    stale = list(Tenant.objects.stale().values_list("pk", "gate_changes"))
    for tenant_id, changes in stale:
        gate_publish(tenant_id)
        publish(tenant_id)
        Tenant.objects.filter(pk=tenant_id, gate_published__lt=changes).update(gate_published=changes)
    return len(stale)


def routes_of(tenant_id: UUID) -> dict[str, Route]:
    """Return model name → route of everything that a tenant may use. Its own short names win."""
    styles = list(Style.objects.usable_by(tenant_id).select_related("live_version", "base_model"))
    found = list(_routes(styles))
    full = {style.model_name: route for style, route in found}
    short = {style.slug: route for style, route in found if style.owner_id == tenant_id}
    return {**full, **short, BASE: _base()}


def _publish_all(tenant_ids: Iterable[UUID]) -> None:
    for tenant_id in tenant_ids:
        publish(tenant_id)


def _routes(styles: list[Style]) -> Iterator[tuple[Style, Route]]:
    """Yield the styles that have a route, three queries for all."""
    live = [style.live_version_id for style in styles if style.live_version_id]
    placed = _placed(live)
    in_work = AdapterVersion.objects.in_work().filter(style__in=styles).values_list("style", flat=True)
    loading = set(in_work.order_by())
    for style in styles:
        placement = placed.get(style.live_version_id) if style.live_version_id else None
        if placement:
            yield style, _serving(style, placement)
        elif style.live_version_id or style.pk in loading:
            yield style, {"style": str(style.pk), "name": style.model_name, "state": "loading"}


def _placed(version_ids: list[UUID]) -> dict[UUID, Placement]:
    """Return one placement a version that is on any engine, on a healthy one if possible."""
    placements = (
        Placement.objects.filter(version__in=version_ids, is_wanted=True, loaded_at__isnull=False)
        .select_related("engine", "version")
        .order_by("engine__is_healthy", "-engine__name")  # the last one wins
    )
    return {placement.version_id: placement for placement in placements}


def _serving(style: Style, placement: Placement) -> Route:
    version, engine = placement.version, placement.engine
    return {
        "style": str(style.pk),
        "name": style.model_name,
        "version": version.number,
        "sha256": version.sha256,
        "base_model": style.base_model.name,
        "engine": engine.pk,
        "url": engine.url,
        "lora": placement.loaded_as,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
    }


def _base() -> Route:
    engines = Engine.objects.filter(base_model__name=settings.BASE_MODEL).select_related("base_model")
    engine = engines.order_by("-is_healthy", "name").first()
    if engine is None:
        return {"style": None, "name": BASE, "state": "loading"}
    on_cpu = engine.device == Engine.Device.CPU
    return {
        "style": None,
        "name": BASE,
        "version": None,
        "sha256": "",
        "base_model": engine.base_model.name,
        "engine": engine.pk,
        "url": engine.url,
        "lora": IDENTITY if on_cpu else engine.base_model.name,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
    }
