"""What the data plane still does with a version: the routes that name it, the requests in flight on it."""

from collections.abc import Iterator
from itertools import batched
from typing import Any

from django.utils.translation import gettext_noop as _

from adapters.models import AdapterVersion, Style
from core import valkey
from core.messages import Message, MessageCode
from tenants.models import Tenant

HASHES_PER_BATCH = 100


class InFlightNote(MessageCode):
    """Why requests may still be in flight on a version."""

    RECOVERING = _("Valkey was emptied; the gateways are putting back what they know of requests in flight.")
    ONE_REQUEST = _("1 request is still in flight on it.")
    REQUESTS = _("{count} requests are still in flight on it.")


# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any


def is_routed(version: AdapterVersion) -> bool:
    """Return whether any published route leads to a version. Raises redis.RedisError.

    No name of a tenant whose changes are all published leads to a retired version; only the others' are read.
    """
    stale = Style.objects.stale() | Style.objects.stale_versions()
    if stale.filter(pk=version.style_id).exists():
        return True
    if valkey.client().hexists(valkey.route_versions_key(), str(version.pk)):
        return True
    tenants = Tenant.objects.stale() | Tenant.objects.filter(pk=version.style.owner_id)
    keys = [valkey.styles_key(tenant_id) for tenant_id in tenants.values_list("pk", flat=True)]
    return any(str(version.pk) in target for target in _read_targets(keys))


def reason_in_flight(version: AdapterVersion) -> Message:
    """Return why requests may be in flight on a version, or nothing. Raises redis.RedisError.

    Every admitted request has a hold that names its version, from before it reaches an engine until it is
    settled; the sweeper settles one whose gateway died when its lease ends. Only after a flush are holds
    missing, until every gateway has put its own back: the epoch says whether that is so.
    """
    client: Store = valkey.client()
    if not _is_recovered(client):
        return InFlightNote.RECOVERING()
    count = valkey.read_open_holds(client, "version").count(str(version.pk))
    if not _is_recovered(client):  # it was emptied while we read
        return InFlightNote.RECOVERING()
    if count == 0:
        return Message()
    return InFlightNote.ONE_REQUEST() if count == 1 else InFlightNote.REQUESTS(count=count)


def _read_targets(keys: list[str]) -> Iterator[str]:
    """Yield where all names of some hashes lead."""
    for batch in batched(keys, HASHES_PER_BATCH):
        pipeline = valkey.client().pipeline(transaction=False)
        for key in batch:
            pipeline.hvals(key)
        for targets in pipeline.execute():
            yield from targets


def _is_recovered(client: Store) -> bool:
    """Return whether every gateway has put its holds back since Valkey was emptied last."""
    return bool(client.get(valkey.epoch_key()) == "whole")
