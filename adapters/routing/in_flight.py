"""What the data plane still does with a version: the routes that name it, the requests in flight on it."""

from typing import Any

from django.utils.translation import gettext_noop as _

from adapters.models import AdapterVersion, Style
from core import valkey
from core.messages import Message, MessageCode


class InFlightNote(MessageCode):
    """Why requests may still be in flight on a version."""

    RECOVERING = _("Valkey lost its data. The gateways are restoring the list of requests in flight.")
    ONE_REQUEST = _("1 request is still using it.")
    REQUESTS = _("{count} requests are still using it.")


# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any


def is_routed(version: AdapterVersion) -> bool:
    """Return whether a published route leads to a version. Raises redis.RedisError."""
    if Style.objects.stale().filter(pk=version.style_id).exists():
        return True
    client: Store = valkey.client()
    if client.hexists(valkey.route_versions_key(), str(version.pk)):
        return True
    row = client.hget(valkey.route_styles_key(), version.style.model_name)
    return str(version.pk) in (row or "")


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


def _is_recovered(client: Store) -> bool:
    """Return whether every gateway has put its holds back since Valkey was emptied last."""
    return bool(client.get(valkey.epoch_key()) == "whole")
