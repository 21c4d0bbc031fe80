"""Uploads: begin, look what is there, finish, cancel, and watch the steps until the version serves."""

import re
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleApiViewSet, only_allowed
from adapters.api.upload_events import EVENT_STREAM, StreamLimits, stream_upload, take_place
from adapters.api.upload_object import SentFile, UploadObject, present_upload
from adapters.models import AdapterVersion, Status
from adapters.object_store import MAX_PARTS
from adapters.uploads import parts, sessions
from core.rest.bodies import StrictSerializer, TextField
from tenants.models import Scope
from tenants.rest import described, get, post

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
