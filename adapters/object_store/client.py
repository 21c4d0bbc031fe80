"""The S3 client, the keys of a version's files, and the errors in which the storage's faults are raised.

boto3 is imported where it is needed: a gateway, which meets no upload, saves 25 MiB.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from adapters.errors import NotStored, StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

POSTED = "uploads/"
SEALED = "adapters/"


def upload_key(version_id: UUID, file: str) -> str:
    """Return the key that a browser posts one file to."""
    return f"{POSTED}{version_id}/{file}"


def sealed_key(version_id: UUID, file: str) -> str:
    """Return the key of one file's copy that nobody outside can write."""
    return f"{SEALED}{version_id}/{file}"


@contextmanager
def reach_storage(file: str, client: "S3Client | None" = None) -> Iterator["S3Client"]:
    """Yield the client; what it raises inside becomes NotStored or StorageUnavailable."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield client or internal_client()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
            raise NotStored(file=file) from error
        raise StorageUnavailable from error
    except BotoCoreError as error:
        raise StorageUnavailable from error


@cache
def internal_client() -> "S3Client":
    """Return the client for the address that this service reaches."""
    return connect(settings.S3_ENDPOINT_URL)


@cache
def presigning_client() -> "S3Client":
    """Return a client that only signs, for the address that browsers reach."""
    return connect(settings.S3_PUBLIC_ENDPOINT_URL)


@cache
def status_client() -> "S3Client":
    """Return a client that gives up soon: a page waits for it."""
    return connect(settings.S3_ENDPOINT_URL, read_timeout_s=2, attempts=1)


def connect(endpoint_url: str | None, *, read_timeout_s: int = 30, attempts: int = 2) -> "S3Client":
    """Return a client for an S3 server; it connects with its first request."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=settings.S3_REGION,
        aws_access_key_id=settings.S3_ACCESS_KEY_ID,
        aws_secret_access_key=settings.S3_SECRET_ACCESS_KEY,
        config=Config(
            signature_version="s3v4",
            connect_timeout=2,
            read_timeout=read_timeout_s,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            # SeaweedFS and MinIO have no host name for each bucket.
            s3={"addressing_style": "path"},
            # Since 1.36 boto3 adds checksums that other S3 servers refuse:
            # https://github.com/boto/boto3/issues/4392
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def head(key: str) -> tuple[int, str] | None:
    """Return (size in bytes, ETag) of an object, or None. Raises StorageUnavailable."""
    try:
        with reach_storage(key) as client:
            found = client.head_object(Bucket=settings.S3_BUCKET, Key=key)
    except NotStored:
        return None
    return found["ContentLength"], found["ETag"]


def list_keys(prefix: str) -> list[str]:
    """Return up to 1,000 keys that begin so; a version has a handful. Raises StorageUnavailable."""
    with reach_storage(prefix) as client:
        found = client.list_objects_v2(Bucket=settings.S3_BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def delete_keys(keys: Iterable[str]) -> None:
    """Delete objects; one that is not there is no fault. Raises StorageUnavailable."""
    for key in keys:  # one by one: DeleteObjects wants a checksum that not every S3 server takes
        with reach_storage(key) as client:
            client.delete_object(Bucket=settings.S3_BUCKET, Key=key)
