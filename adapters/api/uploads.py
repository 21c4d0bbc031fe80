"""Uploads: begin, look what is there, finish, cancel, and watch the steps until the version serves."""

import re
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import enqueue
from adapters.api.upload_events import EVENT_STREAM, StreamLimits, stream_upload, take_place
from adapters.api.upload_object import SentFile, UploadObject, present_upload
from adapters.models import AdapterVersion, Status
from adapters.object_store import MAX_PARTS
from adapters.uploads import parts, sessions
from foundation.rest.bodies import StrictSerializer, TextField
from tenants.public import Access, Scope, WorkspaceView, idempotent, operation

RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

UPLOAD_EXAMPLE = {
    "id": "5d0c1f9a-7b1e-4f0e-9d53-2f6a7c8b9e01",
    "object": "upload",
    "style": "0f6a1c1e-52d3-4a8e-9b57-6d8f3f1b2a40",
    "number": 4,
    "model": "acme/brand-voice@4",
    "method": "multipart",
    "status": "uploading",
    "is_final": False,
    "steps": [
        {
            "name": "uploading",
            "label": "Uploading files",
            "state": "current",
            "at": "2026-11-26T09:30:00Z",
            "note": "The files go straight from the browser to the storage.",
        },
        {"name": "uploaded", "label": "Uploaded", "state": "next", "at": None, "note": ""},
        {"name": "checked", "label": "Checked", "state": "next", "at": None, "note": ""},
        {"name": "pushed", "label": "Pushed to the engine", "state": "next", "at": None, "note": ""},
        {"name": "serving", "label": "Serving", "state": "next", "at": None, "note": ""},
    ],
    "files": [
        {
            "name": "adapter_config.json",
            "size_bytes": 712,
            "is_there": True,
            "part_bytes": 8_388_608,
            "part_count": 1,
            "parts_there": [
                {"number": 1, "size_bytes": 712, "etag": '"9e107d9d372bb6826bd81d3542a419d6"'},
            ],
            "part_urls": [],
        },
        {
            "name": "adapter_model.safetensors",
            "size_bytes": 10_485_760,
            "is_there": False,
            "part_bytes": 8_388_608,
            "part_count": 2,
            "parts_there": [
                {"number": 1, "size_bytes": 8_388_608, "etag": '"e4d909c290d0fb1ca068ffaddf22cbd0"'},
            ],
            "part_urls": [{"number": 2, "size_bytes": 2_097_152, "url": "https://storage.example.com/…"}],
        },
    ],
    "urls_valid_s": 620,
    "findings": [],
    "failure": "",
    "created_at": "2026-11-26T09:30:00Z",
    "abandoned_at": "2026-11-27T09:30:00Z",
}
FINISHED_EXAMPLE = {**UPLOAD_EXAMPLE, "status": "uploaded"}
CANCELLED_EXAMPLE = {
    **UPLOAD_EXAMPLE,
    "status": "rejected",
    "is_final": True,
    "findings": [
        {
            "code": "cancelled",
            "sentence": "The upload was cancelled before it was complete.",
            "fix": "Upload the adapter again.",
        }
    ],
}
EVENTS_EXAMPLE = (
    'event: step\ndata: {"status": "uploaded", …}\n\nevent: end\ndata: {"status": "serving", …}\n\n'
)


class UploadQuery(StrictSerializer):
    """Of which parts the answer has URLs."""

    parts = TextField(
        required=False,
        default=None,
        max_length=11,
        help_text="As `1-50` or `7`: URLs of those that are missing, 100 a file at most.",
    )

    def validate_parts(self, written: str | None) -> range:
        """Return the numbers that are asked for."""
        if written is None:
            return range(0)
        found = RANGE.fullmatch(written)
        first = int(found.group(1)) if found else 0
        last = int(found.group(2) or first) if found else 0
        if not 1 <= first <= last <= MAX_PARTS:
            raise serializers.ValidationError(f"Write numbers from 1 to {MAX_PARTS}, as 1-50 or 7.")
        return range(first, last + 1)


class EventStreamRenderer(JSONRenderer):
    """Lets a request ask for server-sent events. The view writes them; only errors come here, as JSON."""

    media_type = EVENT_STREAM
    format = "events"
    charset = None


class UploadView(WorkspaceView):
    """One upload."""

    read_scope = Scope.STYLES_READ
    write_scope = Scope.STYLES_WRITE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Give URLs to write to only to keys that may write."""
        super().initial(request, *args, **kwargs)
        if "parts" in request.query_params:
            self.access.require(Scope.STYLES_WRITE)

    @operation(
        "uploads.get",
        "See what of an upload is there, and get URLs for the parts that are missing",
        scope=read_scope,
        query=UploadQuery,
        answer=UploadObject,
        example=UPLOAD_EXAMPLE,
    )
    def get(self, request: Request, version_id: UUID) -> Response:
        """Return an upload. URLs need the scope `styles:write`, and are given until it is finished."""
        numbers = self.read_query(UploadQuery)["parts"]
        version = find_upload(self.access, version_id)
        return self.answer_object(present_upload(version, _look_at_files(version, numbers)))

    @operation(
        "uploads.cancel",
        "Cancel an upload and delete what was sent of it",
        scope=write_scope,
        answer=UploadObject,
        is_edit=True,
        example=CANCELLED_EXAMPLE,
    )
    @transaction.atomic
    def delete(self, request: Request, version_id: UUID) -> Response:
        """Cancel an upload that is not finished. Cancelling it twice does nothing."""
        version = find_upload(self.access, version_id)
        self.require_match(present_upload(version))
        if not sessions.is_cancelled(version):
            sessions.cancel_upload(version)
            self.access.audit("version.upload_cancelled", version)
        return self.answer_object(present_upload(version))


class FinishUploadView(WorkspaceView):
    """The end of an upload."""

    read_scope = Scope.STYLES_WRITE
    write_scope = Scope.STYLES_WRITE

    @operation(
        "uploads.finish",
        "Finish an upload: its parts are put together, and its files are checked",
        scope=write_scope,
        answer=UploadObject,
        is_post=True,
        example=FINISHED_EXAMPLE,
    )
    @idempotent
    def post(self, request: Request, version_id: UUID) -> Response:
        """Accept an upload whose files are all there. Finishing it twice does nothing."""
        version = find_upload(self.access, version_id)
        is_open = version.status == Status.UPLOADING
        sessions.finish_upload(version)
        if is_open:
            self.access.audit("version.uploaded", version)
            enqueue.enqueue_advance(version.pk)
        return self.answer_object(present_upload(version))


class UploadEventsView(WorkspaceView):
    """An upload's steps as they happen."""

    read_scope = Scope.STYLES_READ
    write_scope = Scope.STYLES_READ
    renderer_classes = [EventStreamRenderer]
    http_method_names = ["get", "options"]  # a HEAD would wait for the end
    limits: ClassVar[StreamLimits] = StreamLimits()

    @operation(
        "uploads.events",
        "Watch an upload's steps as server-sent events",
        scope=read_scope,
        answer=OpenApiTypes.STR,
        example=EVENTS_EXAMPLE,
    )
    def get(self, request: Request, version_id: UUID) -> StreamingHttpResponse:
        """Send a `step` event now and at each change, and `end` once the version serves or was rejected.

        The data of each is the upload. A stream ends after 15 minutes; then connect again.
        """
        version = find_upload(self.access, version_id)
        place = take_place(self.access.tenant.pk, self.limits)
        answer = StreamingHttpResponse(
            stream_upload(version.pk, place, self.limits), content_type=f"{EVENT_STREAM}; charset=utf-8"
        )
        answer["X-Accel-Buffering"] = "no"  # nginx would collect events
        return answer


def find_upload(access: Access, version_id: UUID) -> AdapterVersion:
    """Return one of the workspace's versions. Raises Http404."""
    versions = AdapterVersion.objects.select_related("style__owner")
    return get_object_or_404(versions, pk=version_id, style__owner=access.tenant)


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
