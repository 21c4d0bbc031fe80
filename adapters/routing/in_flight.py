"""What the data plane still does with a version: the routes that name it, the requests in flight on it."""

from collections.abc import Iterable
from itertools import batched
from typing import Any

from adapters.models import AdapterVersion, Style
from foundation import valkey
from tenants.public import Tenant

HASHES_AT_ONCE = 100
THAWING = "Valkey was emptied; the gateways are putting back what they know of requests in flight."

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any


def is_routed(version: AdapterVersion) -> bool:
    """Return whether any tenant's published routes name a version. Raises redis.RedisError.

    Whose changes are all published has nothing of a retired version; the others' routes are read.
    """
    if Style.objects.stale().filter(pk=version.style_id).exists():
        return True
    suspects = Tenant.objects.stale() | Tenant.objects.filter(pk=version.style.owner_id)
    keys = [valkey.styles_key(tenant_id) for tenant_id in suspects.values_list("pk", flat=True)]
    return any(str(version.pk) in route for route in _routes_at(keys))


def reason_in_flight(version: AdapterVersion) -> str:
    """Return why requests may be in flight on a version, or "". Raises redis.RedisError.

    Every admitted request has a hold that names its version, from before it reaches an engine until it is
    settled; one whose gateway died is settled by the sweeper when its lease ends. Only after a flush are
    holds missing, until every gateway has put its own back: the shard's epoch tells.
    """
    client: Store = valkey.client()
    count = 0
    for tag in valkey.tags():
        if not _is_whole(client, tag):
            return THAWING
        count += _held(client, tag).count(str(version.pk))
        if not _is_whole(client, tag):  # emptied while we read
            return THAWING
    return f"{count} request{'s are' if count > 1 else ' is'} still in flight on it." if count else ""


def _routes_at(keys: list[str]) -> Iterable[str]:
    for portion in batched(keys, HASHES_AT_ONCE):
        pipeline = valkey.client().pipeline(transaction=False)
        for key in portion:
            pipeline.hvals(key)
        for written in pipeline.execute():
            yield from written


def _is_whole(client: Store, tag: str) -> bool:
    return bool(client.get(valkey.epoch_key(tag)) == "whole")


def _held(client: Store, tag: str) -> list[str | None]:
    """Return the versions that a shard's open requests are answered by."""
    pipeline = client.pipeline(transaction=False)
    for member in client.zrange(valkey.leases_key(tag), 0, -1):
        tenant, request = member.split(" ", 1)
        pipeline.hget(valkey.hold_key(tenant, request), "version")
    return list(pipeline.execute())
