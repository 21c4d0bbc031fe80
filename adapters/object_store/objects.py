"""Whole objects of the bucket, read and written as their bytes come."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from adapters.object_store.client import reach_storage

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

READ_BYTES = 4 * 1024 * 1024  # what a backup holds in memory of an object
UPLOAD_PART_BYTES = 5 * 1024 * 1024  # S3 takes no smaller part, the last one excepted


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket."""

    key: str
    size_bytes: int


def list_objects(prefix: str = "") -> Iterator[StoredObject]:
    """Yield the objects of the bucket whose keys begin so, or all.

    Raises StorageUnavailable, or NotStored where there is no bucket.
    """
    with reach_storage(settings.S3_BUCKET) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=settings.S3_BUCKET, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", []):
                yield StoredObject(found["Key"], found["Size"])


def read_object(key: str) -> Iterator[bytes]:
    """Yield an object's bytes. Raises StorageUnavailable, or NotStored for one that is gone."""
    with reach_storage(key) as client:
        body = client.get_object(Bucket=settings.S3_BUCKET, Key=key)["Body"]
        yield from body.iter_chunks(READ_BYTES)


def put_object(key: str, file: Path) -> None:
    """Store a file under a key. Raises StorageUnavailable."""
    with reach_storage(key) as client:
        client.upload_file(str(file), settings.S3_BUCKET, key)


def write_object(key: str, chunks: Iterable[bytes]) -> None:
    """Write all of an object, or nothing; what was there is replaced. Raises StorageUnavailable."""
    bucket = settings.S3_BUCKET
    with reach_storage(key) as client:
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        try:
            parts: list[CompletedPartTypeDef] = []
            for number, part in enumerate(_split_parts(chunks), start=1):
                sent = client.upload_part(
                    Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
                )
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            # Also when a task's time is over: parts of an open upload cost money, and no listing shows them.
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
            raise


def _split_parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts as S3 takes them: one at least."""
    part = bytearray()
    for chunk in chunks:
        part += chunk
        while len(part) >= UPLOAD_PART_BYTES:
            yield bytes(memoryview(part)[:UPLOAD_PART_BYTES])
            del part[:UPLOAD_PART_BYTES]
    yield bytes(part)
