"""An upload as the API shows it, and as its events carry it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rest_framework import serializers

from adapters import object_store
from adapters.models import AdapterVersion, Status
from adapters.object_store import StoredPart, Upload
from adapters.uploads import progress
from adapters.uploads.parts import PartUrl, count_parts
from adapters.uploads.sessions import ABANDONED_AFTER
from core.rest.messages import MessageText

METHODS = ("post", "multipart")
STEP_STATES = ("done", "current", "next", "failed")


@dataclass(frozen=True)
class SentFile:
    """The parts of a file that arrived, and the URLs for missing parts."""

    is_there: bool
    parts: Sequence[StoredPart] = ()
    urls: Sequence[PartUrl] = ()


class StepObject(serializers.Serializer[progress.Step]):
    """One of the five steps in a version's lifecycle."""

    name = serializers.ChoiceField(progress.STEP_NAMES)
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.ChoiceField(STEP_STATES)
    at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(help_text="What the step is doing or waiting for. May be empty.")


class PartObject(serializers.Serializer[StoredPart]):
    """A part that arrived."""

    number = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    etag = serializers.CharField(help_text="The ETag the storage returned: the part's MD5, in quotes.")


class PartUrlObject(serializers.Serializer[PartUrl]):
    """Where to PUT a missing part, with its exact size in bytes."""

    number = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    url = serializers.CharField()


class UploadFileObject(serializers.Serializer[Any]):
    """One file of an upload."""

    name = serializers.CharField(help_text="For an archive, a name we assign.")
    size_bytes = serializers.IntegerField()
    is_there = serializers.BooleanField()
    part_bytes = serializers.IntegerField(
        allow_null=True, help_text="`null` if the file is uploaded in one request."
    )
    part_count = serializers.IntegerField(allow_null=True)
    parts_there = PartObject(many=True)
    part_urls = PartUrlObject(many=True, help_text="URLs for the missing parts requested with `parts`.")


class UploadFindingObject(serializers.Serializer[Any]):
    """Why a version was rejected."""

    code = serializers.CharField()
    sentence = MessageText(source="sentence_message")
    fix = MessageText(source="fix_message")


class UploadObject(serializers.Serializer[Any]):
    """The upload of a version, from its first byte until the version is serving or rejected."""

    example: ClassVar[dict[str, Any]] = {
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
                "note": "Your browser is uploading the files directly to storage.",
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

    id = serializers.UUIDField(help_text="The version's id.")
    object = serializers.CharField(default="upload", read_only=True)
    style = serializers.UUIDField()  # type: ignore[assignment]
    number = serializers.IntegerField(help_text="The version's number.")
    model = serializers.CharField(help_text="The value for `model` that addresses this version.")
    method = serializers.ChoiceField(METHODS)
    status = serializers.ChoiceField(Status.choices)
    is_final = serializers.BooleanField()
    steps = StepObject(many=True)
    files = UploadFileObject(many=True)
    urls_valid_s = serializers.IntegerField(help_text="How long the URLs in this response are valid.")
    findings = UploadFindingObject(many=True)
    failure = MessageText(help_text="Why an engine failed to load it. Empty if nothing failed.")
    created_at = serializers.DateTimeField()
    abandoned_at = serializers.DateTimeField(
        help_text="When the upload is deleted unless it is completed first."
    )


class FormObject(serializers.Serializer[Upload]):
    """Where to POST a file: send these fields first, then the file as `file`."""

    url = serializers.CharField()
    fields = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]


class NewUploadFileObject(serializers.Serializer[Any]):
    """A file to upload, with a form or in parts."""

    name = serializers.CharField(help_text="For an archive, a name we assign.")
    size_bytes = serializers.IntegerField()
    form = FormObject(allow_null=True)
    part_bytes = serializers.IntegerField(allow_null=True)
    part_count = serializers.IntegerField(allow_null=True)


class NewUploadObject(serializers.Serializer[Any]):
    """What to upload for a new version, and how. Get the URLs of parts from `uploads/{id}`."""

    id = serializers.UUIDField()
    method = serializers.ChoiceField(METHODS)
    files = NewUploadFileObject(many=True)


def present_upload(version: AdapterVersion, sent: Mapping[str, SentFile] | None = None) -> dict[str, Any]:
    """Return an upload as the API shows it. `sent` says what the storage has of one that is not finished."""
    history = list(version.history.all())
    was_uploaded = any(step.status == Status.UPLOADED for step in history)
    files = []
    for file in _smallest_first(version):
        one = (sent or {}).get(file, SentFile(is_there=was_uploaded))
        shown = _present_plan(version, file)
        shown["is_there"] = one.is_there
        shown["parts_there"] = one.parts
        shown["part_urls"] = one.urls
        files.append(shown)
    largest_part = max((entry["part_bytes"] for entry in version.multipart.values()), default=0)
    data = {
        "id": version.pk,
        "style": version.style_id,
        "number": version.number,
        "model": version.model_name,
        "method": "multipart" if version.multipart else "post",
        "status": version.status,
        "is_final": version.is_final,
        "steps": progress.steps_of(version, history),
        "files": files,
        "urls_valid_s": object_store.url_valid_s(largest_part),
        "findings": version.findings,
        "failure": version.failure,
        "created_at": version.created_at,
        "abandoned_at": version.created_at + ABANDONED_AFTER,
    }
    return dict(UploadObject(data).data)


def present_new_upload(version: AdapterVersion, forms: Iterable[Upload]) -> dict[str, Any]:
    """Return what is to be sent of a new version."""
    forms_by_file = {form.file: form for form in forms}
    files = []
    for file in _smallest_first(version):
        form = forms_by_file.get(file)
        shown = _present_plan(version, file)
        shown["form"] = {"url": form.url, "fields": form.fields} if form else None
        files.append(shown)
    method = "multipart" if version.multipart else "post"
    return dict(NewUploadObject({"id": version.pk, "method": method, "files": files}).data)


def _smallest_first(version: AdapterVersion) -> list[str]:
    return sorted(version.files, key=version.files.__getitem__)


def _present_plan(version: AdapterVersion, file: str) -> dict[str, Any]:
    """Return a file's name and sizes."""
    size_bytes = version.files[file]
    plan = version.multipart.get(file)
    part_bytes = plan["part_bytes"] if plan else None
    return {
        "name": file,
        "size_bytes": size_bytes,
        "part_bytes": part_bytes,
        "part_count": count_parts(size_bytes, part_bytes) if part_bytes else None,
    }
