"""An upload as the API shows it, and as its events carry it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from adapters import object_store
from adapters.models import AdapterVersion, Status
from adapters.object_store import StoredPart, Upload
from adapters.uploads import sessions
from adapters.uploads.parts import PartUrl, count_parts
from adapters.uploads.sessions import ABANDONED_AFTER
from core.rest.objects import MessageText

METHODS = ("post", "multipart")
STEP_STATES = ("done", "current", "next", "failed")


@dataclass(frozen=True)
class SentFile:
    """The parts of a file that arrived, and the URLs for missing parts."""

    is_there: bool
    parts: Sequence[StoredPart] = ()
    urls: Sequence[PartUrl] = ()


class StepObject(serializers.Serializer[sessions.NamedStep]):
    """One of the five steps in a version's lifecycle."""

    name = serializers.ChoiceField(sessions.STEP_NAMES, initial="uploaded")
    label = serializers.CharField(initial="Uploaded")  # type: ignore[assignment]
    state = serializers.ChoiceField(STEP_STATES, initial="next")
    at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(help_text="What the step is doing or waiting for. May be empty.", initial="")


class PartObject(serializers.Serializer[StoredPart]):
    """A part that arrived."""

    number = serializers.IntegerField(initial=1)
    size_bytes = serializers.IntegerField(initial=8_388_608)
    etag = serializers.CharField(
        help_text="The ETag the storage returned: the part's MD5, in quotes.",
        initial='"e4d909c290d0fb1ca068ffaddf22cbd0"',
    )


class PartUrlObject(serializers.Serializer[PartUrl]):
    """Where to PUT a missing part, with its exact size in bytes."""

    number = serializers.IntegerField(initial=2)
    size_bytes = serializers.IntegerField(initial=2_097_152)
    url = serializers.CharField(initial="https://storage.example.com/…")


class UploadFileObject(serializers.Serializer[Any]):
    """One file of an upload."""

    name = serializers.CharField(
        help_text="For an archive, a name we assign.", initial="adapter_model.safetensors"
    )
    size_bytes = serializers.IntegerField(initial=10_485_760)
    is_there = serializers.BooleanField(help_text="Whether the file has arrived.")
    part_bytes = serializers.IntegerField(
        allow_null=True, help_text="`null` if the file is uploaded in one request.", initial=8_388_608
    )
    part_count = serializers.IntegerField(allow_null=True, initial=2)
    parts_there = PartObject(many=True, help_text="Numbers of the parts that have arrived.")
    part_urls = PartUrlObject(many=True, help_text="URLs for the missing parts requested with `parts`.")


class UploadFindingObject(serializers.Serializer[Any]):
    """Why a version was rejected."""

    code = serializers.CharField()
    sentence = MessageText(source="sentence_message")
    fix = MessageText(source="fix_message")


class UploadObject(serializers.Serializer[Any]):
    """The upload of a version, from its first byte until the version is serving or rejected."""

    example = dict(
        steps=[
            dict(
                name="uploading",
                label="Uploading files",
                state="current",
                at="2026-11-26T09:30:00Z",
                note="Your browser is uploading the files directly to storage.",
            ),
            {},
            dict(name="checked", label="Checked"),
            dict(name="pushed", label="Pushed to the engine"),
            dict(name="serving", label="Serving"),
        ],
        files=[
            dict(
                name="adapter_config.json",
                size_bytes=712,
                is_there=True,
                part_count=1,
                parts_there=[dict(size_bytes=712)],
                part_urls=[],
            ),
            {},
        ],
        findings=[],
        abandoned_at="2026-11-27T09:30:00Z",
    )

    id = serializers.UUIDField(source="version.pk", help_text="The version's id.")
    object = serializers.CharField(default="upload", read_only=True)
    style = serializers.UUIDField(source="version.style_id")  # type: ignore[assignment]
    number = serializers.IntegerField(source="version.number", help_text="The version's number.")
    model = serializers.CharField(
        source="version.model_name",
        help_text="The value for `model` that addresses this version.",
        initial="acme/brand-voice@4",
    )
    method = serializers.ChoiceField(METHODS, initial="multipart")
    status = serializers.ChoiceField(Status.choices, source="version.status", initial="uploading")
    is_final = serializers.BooleanField(source="version.is_final")
    steps = StepObject(many=True)
    files = UploadFileObject(many=True)
    urls_valid_s = serializers.IntegerField(
        help_text="How long the URLs in this response are valid.", initial=620
    )
    findings = UploadFindingObject(many=True, source="version.findings")
    failure = MessageText(
        source="version.failure", help_text="Why an engine failed to load it. Empty if nothing failed."
    )
    created_at = serializers.DateTimeField(source="version.created_at")
    abandoned_at = serializers.DateTimeField(
        help_text="When the upload is deleted unless it is completed first."
    )


class FormObject(serializers.Serializer[Upload]):
    """Where to POST a file: send these fields first, then the file as `file`."""

    url = serializers.CharField()
    fields = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]


class NewUploadFileObject(serializers.Serializer[Any]):
    """A file to upload, with a form or in parts."""

    example = dict(form=None)

    name = serializers.CharField(
        help_text="For an archive, a name we assign.", initial="adapter_model.safetensors"
    )
    size_bytes = serializers.IntegerField(initial=10_485_760)
    form = FormObject(allow_null=True)
    part_bytes = serializers.IntegerField(allow_null=True, initial=8_388_608)
    part_count = serializers.IntegerField(allow_null=True, initial=2)


class NewUploadObject(serializers.Serializer[Any]):
    """What to upload for a new version, and how. Get the URLs of parts from `uploads/{id}`."""

    example = dict(files=[dict(name="adapter_config.json", size_bytes=812, part_count=1), {}])

    id = serializers.UUIDField()
    method = serializers.ChoiceField(METHODS, initial="multipart")
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
        "version": version,
        "method": "multipart" if version.multipart else "post",
        "steps": sessions.steps_of(version, history),
        "files": files,
        "urls_valid_s": object_store.url_valid_s(largest_part),
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
