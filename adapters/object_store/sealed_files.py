"""Sealed files: copies of what was posted, which nobody outside can write. They are checked and served."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

from adapters.errors import DiskUnavailable, NotStored, NotTheCheckedFile
from adapters.object_store.client import (
    head,
    presigning_client,
    reach_storage,
    sealed_key,
    upload_key,
    write_object,
)
from adapters.validation.sources import ReadAhead, Source

DOWNLOAD_CHUNK_BYTES = 4 * 1024 * 1024
DOWNLOAD_VALID_S = 600
COPY_PART_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class SealedFile:
    """A source over a sealed file: each read is one request for a range."""

    version_id: UUID
    file: str
    size: int

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes from `start`. Raises StorageUnavailable or NotStored."""
        last = min(start + length, self.size) - 1
        if last < start:
            return b""
        with reach_storage(self.file) as client:
            found = client.get_object(
                Bucket=settings.S3_BUCKET,
                Key=sealed_key(self.version_id, self.file),
                Range=f"bytes={start}-{last}",
            )
            return found["Body"].read()


def seal(version_id: UUID, files: dict[str, int]) -> None:
    """Copy the posted files to where nobody outside can write; the first copy stays.

    Raises StorageUnavailable, and NotStored for a file that is missing or has another size.
    """
    for file, size in files.items():
        # The first copy may be checked already: a repeated step must not put other bytes under it.
        if head(sealed_key(version_id, file)) is None:
            _seal_file(version_id, file, size)


def _seal_file(version_id: UUID, file: str, size: int) -> None:
    found = head(upload_key(version_id, file))
    if found is None or found[0] != size:
        raise NotStored(file=file)
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415

    # In parts, for a gigabyte takes longer than an answer may.
    in_parts = TransferConfig(
        multipart_threshold=COPY_PART_BYTES, multipart_chunksize=COPY_PART_BYTES, use_threads=False
    )
    with reach_storage(file) as client:
        client.copy(
            {"Bucket": settings.S3_BUCKET, "Key": upload_key(version_id, file)},
            settings.S3_BUCKET,
            sealed_key(version_id, file),
            # If another POST comes between, the copy is refused, and made by the next attempt.
            ExtraArgs={"CopySourceIfMatch": found[1]},
            Config=in_parts,
        )


def sealed_sizes(version_id: UUID, files: Iterable[str]) -> dict[str, int]:
    """Return the sizes in bytes of those files that are sealed. Raises StorageUnavailable."""
    sizes = {}
    for file in files:
        found = head(sealed_key(version_id, file))
        if found:
            sizes[file] = found[0]
    return sizes


@contextmanager
def reading(version_id: UUID, file: str) -> Iterator[Source]:
    """Yield a sealed file as a source that reads ahead. Raises StorageUnavailable or NotStored."""
    found = head(sealed_key(version_id, file))
    if found is None:
        raise NotStored(file=file)
    with ReadAhead(SealedFile(version_id, file, size=found[0])) as source:
        yield source


def presign_download(version_id: UUID, file: str) -> str:
    """Return a URL to GET a sealed file from for DOWNLOAD_VALID_S seconds. Sends nothing to the storage."""
    return presigning_client().generate_presigned_url(
        "get_object",
        Params={"Bucket": settings.S3_BUCKET, "Key": sealed_key(version_id, file)},
        ExpiresIn=DOWNLOAD_VALID_S,
    )


def write(version_id: UUID, file: str, chunks: Iterable[bytes]) -> None:
    """Write a sealed file in parts as its bytes come, or nothing. Raises StorageUnavailable."""
    write_object(sealed_key(version_id, file), chunks)


def download(version_id: UUID, file: str, to: Path, *, expect_sha256: str = "") -> str:
    """Write a sealed file to a path and return its SHA-256 in hex; it is on the disk when this returns.

    Raises StorageUnavailable, NotStored, DiskUnavailable, and NotTheCheckedFile for another SHA-256.
    """
    digest = hashlib.sha256()
    try:
        with to.open("wb") as out, reach_storage(file) as client:
            body = client.get_object(Bucket=settings.S3_BUCKET, Key=sealed_key(version_id, file))["Body"]
            for chunk in body.iter_chunks(DOWNLOAD_CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            # Else a power cut could leave an empty file that counts as downloaded.
            os.fsync(out.fileno())
    except OSError as error:
        raise DiskUnavailable from error
    if expect_sha256 and digest.hexdigest() != expect_sha256:
        raise NotTheCheckedFile(file=file)
    return digest.hexdigest()
