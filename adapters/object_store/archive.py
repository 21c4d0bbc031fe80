"""The whole bucket, object by object: what a backup reads and a restore writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from adapters.object_store.client import reach_storage

# What a backup holds in memory of an object.
CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket."""

    key: str
    size_bytes: int


def list_objects() -> Iterator[StoredObject]:
    """Yield every object of the bucket. Raises StorageUnavailable, or NotStored where there is no bucket."""
    with reach_storage(settings.S3_BUCKET) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=settings.S3_BUCKET)
        for page in pages:
            for found in page.get("Contents", []):
                yield StoredObject(found["Key"], found["Size"])


def read_object(key: str) -> Iterator[bytes]:
    """Yield an object's bytes. Raises StorageUnavailable, or NotStored for one that is gone."""
    with reach_storage(key) as client:
        body = client.get_object(Bucket=settings.S3_BUCKET, Key=key)["Body"]
        yield from body.iter_chunks(CHUNK_BYTES)


def put_object(key: str, file: Path) -> None:
    """Store a file under a key. Raises StorageUnavailable."""
    with reach_storage(key) as client:
        client.upload_file(str(file), settings.S3_BUCKET, key)
