"""Uploads: the forms with which browsers post files to the storage, past this service."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from adapters.errors import NotStored
from adapters.object_store.client import POSTED, head, presigning_client, reach_storage, upload_key
from core.sizes import MIB

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        ListMultipartUploadsRequestTypeDef,
        MultipartUploadTypeDef,
    )


FORM_VALID_S = 600  # and as long as a slow line needs for the file: see form_valid_s
SLOW_LINE_BYTES_S = 400_000


@dataclass(frozen=True)
class Upload:
    """Where and how a browser posts one file: the form's fields come before the file itself."""

    file: str
    url: str
    fields: dict[str, str]


def form_valid_s(size: int) -> int:
    """Return for how many seconds a form for so many bytes is valid.

    SeaweedFS looks at the time once it has the whole file, so a slow line must not make it late.
    """
    return FORM_VALID_S + size // SLOW_LINE_BYTES_S


def presign(version_id: UUID, file: str, size: int) -> Upload:
    """Return a POST form for exactly this key and this many bytes. Sends nothing to the storage."""
    return presign_post(upload_key(version_id, file), file, size)


def presign_post(key: str, file: str, size: int) -> Upload:
    """Return a POST form for exactly a key and so many bytes. Sends nothing to the storage."""
    form = presigning_client().generate_presigned_post(
        settings.S3_BUCKET,
        key,
        # Exactly the size that was declared: the workspace's storage was checked for that.
        Conditions=[["content-length-range", size, size]],
        ExpiresIn=form_valid_s(size),
    )
    return Upload(file=file, url=form["url"], fields=form["fields"])


def uploaded_size(version_id: UUID, file: str) -> int | None:
    """Return how many bytes of a file were posted, or None. Raises StorageUnavailable."""
    return stored_bytes(upload_key(version_id, file))


def stored_bytes(key: str) -> int | None:
    """Return the size of an object, or None if there is none. Raises StorageUnavailable."""
    found = head(key)
    return found[0] if found else None


# Multipart uploads: clients send a large file in parts, each to a presigned URL of its own.
#
# The parts of a file become one object under the key that a presigned POST would have written, so all that
# follows is the same. What SeaweedFS 4.48 does, measured:
#
# - the length of a part is signed and enforced: a longer, shorter or chunked body is 403;
# - after the upload was completed or aborted, a URL that is still valid is 404, also for a body on its way;
# - a part that is sent again is kept beside the first one until then, so what was sent is summed up;
# - completing a second time is answered like the first time.

PART_BYTES = 8 * MIB  # S3 takes no part below 5 MiB, the last one excepted
MAX_PARTS = 10_000
URL_VALID_S = 600  # and as long as a slow line needs for the part: see url_valid_s
LIST_LIMIT = 1000


@dataclass(frozen=True)
class StoredPart:
    """A part that arrived."""

    number: int
    size_bytes: int
    etag: str
    written_at: datetime


@dataclass(frozen=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted."""

    version_id: UUID
    file: str
    upload_id: str


def part_bytes_for(size_bytes: int) -> int:
    """Return how large the parts of a file are, in bytes: 8 MiB, and more where that makes too many parts."""
    smallest = -(-size_bytes // MAX_PARTS)
    whole_mib = -(-smallest // MIB) * MIB
    return max(PART_BYTES, whole_mib)


def url_valid_s(part_bytes: int) -> int:
    """Return for how many seconds a presigned URL of a part is valid: some ten minutes."""
    return URL_VALID_S + part_bytes // SLOW_LINE_BYTES_S


def begin_parts(version_id: UUID, file: str) -> str:
    """Begin a multipart upload of a file; return its id. Raises StorageUnavailable."""
    with reach_storage(file) as client:
        begun = client.create_multipart_upload(Bucket=settings.S3_BUCKET, Key=upload_key(version_id, file))
    return begun["UploadId"]


def presign_part(version_id: UUID, file: str, upload_id: str, *, number: int, size_bytes: int) -> str:
    """Return a URL to PUT exactly this part with so many bytes to. Sends nothing to the storage."""
    return presigning_client().generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": settings.S3_BUCKET,
            "Key": upload_key(version_id, file),
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size_bytes,
        },
        ExpiresIn=url_valid_s(size_bytes),
    )


def list_parts(version_id: UUID, file: str, upload_id: str) -> list[StoredPart]:
    """Return the parts that are there; SeaweedFS lists a part that was sent again twice.

    Raises StorageUnavailable, and NotStored once the upload was completed or aborted.
    """
    parts = []
    marker = 0
    while True:
        with reach_storage(file) as client:
            page = client.list_parts(
                Bucket=settings.S3_BUCKET,
                Key=upload_key(version_id, file),
                UploadId=upload_id,
                PartNumberMarker=marker,
                MaxParts=LIST_LIMIT,
            )
        for part in page.get("Parts", []):
            parts.append(StoredPart(part["PartNumber"], part["Size"], part["ETag"], part["LastModified"]))
        # Else a server whose marker stands still would make this loop endless.
        if not page.get("IsTruncated") or page["NextPartNumberMarker"] <= marker:
            return parts
        marker = page["NextPartNumberMarker"]


def complete_parts(version_id: UUID, file: str, upload_id: str, etags: Mapping[int, str]) -> None:
    """Put the parts together, by number → ETag. Raises StorageUnavailable, or NotStored as `list_parts`."""
    parts: list[CompletedPartTypeDef] = []
    for number in sorted(etags):
        parts.append({"PartNumber": number, "ETag": etags[number]})
    with reach_storage(file) as client:
        client.complete_multipart_upload(
            Bucket=settings.S3_BUCKET,
            Key=upload_key(version_id, file),
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
        )


def abort_parts(version_id: UUID, file: str, upload_id: str) -> None:
    """Abort a multipart upload and delete its parts; one that has ended is no fault.

    Raises StorageUnavailable.
    """
    abort_upload(upload_key(version_id, file), upload_id)


def abort_upload(key: str, upload_id: str) -> None:
    """Do the same to any object's."""
    with suppress(NotStored), reach_storage(key) as client:
        client.abort_multipart_upload(Bucket=settings.S3_BUCKET, Key=key, UploadId=upload_id)


def open_uploads(*, page_size: int = LIST_LIMIT) -> list[OpenUpload]:
    """Return multipart uploads of versions' files that have not ended. Raises StorageUnavailable."""
    found = []
    for upload in list_open_uploads(POSTED, page_size=page_size):
        folder, _, file = upload["Key"].removeprefix(POSTED).partition("/")
        try:
            version_id = UUID(folder)
        except ValueError:  # none of ours
            continue
        found.append(OpenUpload(version_id, file, upload["UploadId"]))
    return found


def list_open_uploads(prefix: str, *, page_size: int = LIST_LIMIT) -> Iterator["MultipartUploadTypeDef"]:
    """Yield every multipart upload below a prefix that has not ended, page after page.

    They may be aborted meanwhile: a page goes on behind the last upload of the one before. Raises
    StorageUnavailable.
    """
    request: ListMultipartUploadsRequestTypeDef = {
        "Bucket": settings.S3_BUCKET,
        "Prefix": prefix,
        "MaxUploads": page_size,
    }
    while True:
        with reach_storage(prefix) as client:
            page = client.list_multipart_uploads(**request)
        yield from page.get("Uploads", [])
        key_marker = page.get("NextKeyMarker", "")
        upload_marker = page.get("NextUploadIdMarker", "")
        before = (request.get("KeyMarker", ""), request.get("UploadIdMarker", ""))
        if not page.get("IsTruncated") or (key_marker, upload_marker) == before:
            return
        # SeaweedFS goes on by the upload's id alone, and takes a key marker for the only key to list.
        if key_marker:
            request["KeyMarker"] = key_marker
        if upload_marker:
            request["UploadIdMarker"] = upload_marker
