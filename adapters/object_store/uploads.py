"""Uploads: the forms with which browsers post files to the storage, past this service."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from adapters.object_store.client import head, presigning_client, upload_key

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
