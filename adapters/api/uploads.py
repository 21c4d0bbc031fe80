"""Uploads: begin, look what is there, finish, cancel, and watch the steps until the version serves."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID, uuid4

import redis
from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleApiViewSet, only_allowed
from adapters.api.upload_object import SentFile, UploadObject, present_upload
from adapters.models import AdapterVersion, Status
from adapters.object_store import MAX_PARTS
from adapters.uploads import parts, sessions
from core import valkey
from core.errors import TooManyRequests
from core.rest.bodies import StrictSerializer, TextField
from tenants.models import Scope
from tenants.rest import described, get, post

# An upload's steps as server-sent events, bounded in time, and in number for each workspace.
#
# A stream looks at the row once a second. While it sleeps it holds no connection to the database.

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


RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class UploadQuery(StrictSerializer):
    """Of which parts the answer has URLs."""

    parts = TextField(
        required=False,
        max_length=11,
        help_text="Part numbers, such as `1-50` or `7`, to get URLs for if missing. At most 100 per file.",
    )

    def validate_parts(self, written: str) -> range:
        """Return the numbers that are asked for."""
        found = RANGE.fullmatch(written)
        first = int(found.group(1)) if found else 0
        last = int(found.group(2) or first) if found else 0
        if not 1 <= first <= last <= MAX_PARTS:
            raise serializers.ValidationError(f"Use numbers from 1 to {MAX_PARTS}, such as 1-50 or 7.")
        return range(first, last + 1)


class EventStreamRenderer(JSONRenderer):
    """Lets a request ask for server-sent events. The view writes them; only errors come here, as JSON."""

    media_type = EVENT_STREAM
    format = "events"
    charset = None


class UploadViewSet(StyleApiViewSet):
    """Uploads of versions."""

    tag = "uploads"
    serializer_class = UploadObject
    lookup_url_kwarg = "version_id"
    stream_limits: ClassVar[StreamLimits] = StreamLimits()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Give URLs to write to only to keys that may write."""
        super().initial(request, *args, **kwargs)
        if "parts" in request.query_params:
            self.access.require(Scope.STYLES_WRITE)

    def get_object(self, *, is_locked: bool = False) -> AdapterVersion:
        """Return the version whose upload it is, one of the workspace's. Raises Http404."""
        versions = AdapterVersion.objects.select_related("style__owner")
        allowed = only_allowed(self.access, versions, style="style")
        return get_object_or_404(allowed, pk=self.kwargs["version_id"], style__owner=self.access.tenant)

    def present(self, row: AdapterVersion) -> dict[str, Any]:
        return present_upload(row)

    @described(summary="Get an upload", query=UploadQuery)
    def retrieve(self, version: AdapterVersion, query: dict[str, Any]) -> Response:
        """Return an upload's progress, with URLs for the missing parts. URLs require the scope `styles:write`
        and are included until it is completed."""
        sent = _look_at_files(version, query.get("parts", range(0)))
        return self.answer_object(present_upload(version, sent))

    @described(
        name="cancel",
        summary="Cancel an upload and delete its data",
        answer=UploadObject,
        is_repeatable=True,
        example={
            "status": "rejected",
            "is_final": True,
            "findings": [
                {
                    "code": "cancelled",
                    "sentence": "The upload was cancelled before it was complete.",
                    "fix": "Upload the adapter again.",
                }
            ],
        },
    )
    def destroy(self, version: AdapterVersion) -> AdapterVersion:
        """Cancel an upload that is not completed. Repeating the call has no effect."""
        actions.cancel_upload(self.access, version)
        return version

    @post("Complete an upload", is_repeatable=True, example={"status": "uploaded"})
    def finish(self, version: AdapterVersion) -> AdapterVersion:
        """Assemble the files and start the check, once all of them have arrived. Repeating the call has no
        effect. Returns 409 `upload_ended` if it was cancelled or deleted in the meantime; start a new one."""
        actions.finish_upload(self.access, version)
        return version

    @get(
        "Stream an upload's progress",
        answer=None,
        others={EVENT_STREAM: OpenApiTypes.STR},
        says="Events `step` and `end`. Each event's `data:` is an `UploadObject` as JSON, on one line.",
        example='event: step\ndata: {"status": "uploaded", …}\n\n'
        'event: end\ndata: {"status": "serving", …}\n\n',
        # A HEAD would wait for the end.
        view_options={"renderer_classes": [EventStreamRenderer], "http_method_names": ["get", "options"]},
    )
    def events(self, version: AdapterVersion) -> StreamingHttpResponse:
        """Stream server-sent events: a `step` event immediately and at each change, and `end` once the
        version is serving or rejected. Each event's data is the upload. A stream ends after 15 minutes;
        reconnect to continue."""
        place = take_place(self.access.tenant.pk, self.stream_limits)
        answer = StreamingHttpResponse(
            stream_upload(version.pk, place, self.stream_limits),
            content_type=f"{EVENT_STREAM}; charset=utf-8",
        )
        answer["X-Accel-Buffering"] = "no"  # nginx would collect events
        return answer


def _look_at_files(version: AdapterVersion, numbers: range) -> dict[str, SentFile] | None:
    """Return what the storage has of an upload that is not finished, by file; None for any other.

    Raises StorageUnavailable.
    """
    if version.status != Status.UPLOADING or version.handed_in_at:
        return None
    if not version.multipart:
        missing = sessions.missing_files(version)
        return {file: SentFile(is_there=file not in missing) for file in version.files}
    sent = {}
    for one in parts.look_at_parts(version):
        urls = parts.presign_missing(version, one, numbers)
        there = [one.there[number] for number in sorted(one.there)]
        sent[one.file] = SentFile(is_there=not one.missing, parts=there, urls=urls)
    return sent
