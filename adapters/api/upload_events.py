"""An upload's steps as server-sent events, bounded in time, and in number for each workspace.

A stream looks at the row once a second. While it sleeps it holds no connection to the database.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import redis
from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection
from rest_framework.renderers import JSONRenderer

from adapters.api.upload_object import present_upload
from adapters.models import AdapterVersion
from core import valkey
from core.errors import TooManyRequests

EVENT_STREAM = "text/event-stream"
HEARTBEAT = ": still here\n\n"  # a comment: clients skip it, proxies see that the stream lives
OUTAGES = (OperationalError, InterfaceError)


class TooManyStreams(TooManyRequests):
    """This workspace already has {limit} open streams, which is the maximum. Close one and try again."""


@dataclass(frozen=True)
class StreamLimits:
    """Bounds of the streams."""

    poll_s: float = 1.0
    heartbeat_s: float = 15.0
    max_stream_s: float = 15 * 60
    per_workspace: int = 20
    place_valid_s: int = 60  # a place that is not renewed, as its process was killed, is free again


@dataclass(frozen=True)
class StreamPlace:
    """One of a workspace's places for streams: a member of a sorted set in Valkey, by when it expires."""

    key: str
    name: str
    valid_s: int

    def renew(self) -> None:
        """Keep the place. Raises redis.RedisError."""
        pipeline = valkey.client().pipeline(transaction=True)
        pipeline.zadd(self.key, {self.name: time.time() + self.valid_s})
        pipeline.expire(self.key, self.valid_s)
        pipeline.execute()

    def leave(self) -> None:
        """Free the place; one that can't be freed now expires."""
        try:
            valkey.client().zrem(self.key, self.name)
        except redis.RedisError:
            return


@dataclass(frozen=True)
class UploadSnapshot:
    """An upload as JSON."""

    data: str
    is_final: bool


def take_place(tenant_id: UUID, limits: StreamLimits) -> StreamPlace:
    """Take one of a workspace's places. Raises TooManyStreams, or redis.RedisError."""
    place = StreamPlace(f"streams:{tenant_id}", uuid4().hex, limits.place_valid_s)
    place.renew()
    pipeline = valkey.client().pipeline(transaction=True)
    pipeline.zremrangebyscore(place.key, 0, time.time())
    pipeline.zcard(place.key)
    _, taken = pipeline.execute()
    if taken > limits.per_workspace:
        place.leave()
        raise TooManyStreams(limit=limits.per_workspace, retry_s=limits.place_valid_s)
    return place


async def stream_upload(version_id: UUID, place: StreamPlace, limits: StreamLimits) -> AsyncIterator[str]:
    """Yield the upload now and at each change, heartbeats between, and its end."""
    ends_at = time.monotonic() + limits.max_stream_s
    spoke_at = time.monotonic()
    last: UploadSnapshot | None = None
    try:
        while time.monotonic() < ends_at:
            snapshot = await sync_to_async(_read_snapshot)(version_id, last)
            if snapshot is None:
                return
            if snapshot != last:
                yield f"event: step\ndata: {snapshot.data}\n\n"
                spoke_at = time.monotonic()
            if snapshot.is_final:
                yield f"event: end\ndata: {snapshot.data}\n\n"
                return
            last = snapshot
            if time.monotonic() - spoke_at >= limits.heartbeat_s:
                await sync_to_async(_renew)(place)
                yield HEARTBEAT
                spoke_at = time.monotonic()
            await asyncio.sleep(limits.poll_s)
    finally:
        await sync_to_async(place.leave)()


def _read_snapshot(version_id: UUID, last: UploadSnapshot | None) -> UploadSnapshot | None:
    """Return an upload as it is now; while the database is away, as it was. None: the version is gone."""
    try:
        version = AdapterVersion.objects.select_related("style__owner").filter(pk=version_id).first()
        if version is None:
            return None
        data = JSONRenderer().render(present_upload(version)).decode()
        return UploadSnapshot(data, version.is_final)
    except OUTAGES:
        return last
    finally:
        connection.close()  # else it is held until the next look


def _renew(place: StreamPlace) -> None:
    try:
        place.renew()
    except redis.RedisError:  # the place may be lost to another stream; this one goes on
        return
