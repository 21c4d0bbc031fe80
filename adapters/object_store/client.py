"""The S3 client, the keys of a version's files, and the errors in which the storage's faults are raised.

boto3 is imported where it is needed: a gateway, which meets no upload, saves 25 MiB.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import urllib3
from django.conf import settings

from adapters.errors import NotStored, StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef


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


# Whole objects of the bucket, read and written as their bytes come.

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


# Whether storage is there, for us and for browsers: what the checks of health ask.

CONTENT = b"written by the doctor"
TIMEOUT_S = 5.0
VALID_S = 60


def check_storage() -> None:
    """Return when the bucket answers. Raises StorageUnavailable, or NotStored where there is no bucket."""
    with reach_storage(settings.S3_BUCKET, status_client()) as client:
        client.head_bucket(Bucket=settings.S3_BUCKET)


def put_as_browser() -> str:
    """Put and delete an object by a signed address, as a browser would; return what went wrong, or ""."""
    key = f"{POSTED}doctor/{uuid4()}"
    target = {"Bucket": settings.S3_BUCKET, "Key": key}
    url = presigning_client().generate_presigned_url("put_object", Params=target, ExpiresIn=VALID_S)
    try:
        answer = urllib3.request("PUT", url, body=CONTENT, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        return f"{settings.S3_PUBLIC_ENDPOINT_URL} is unreachable: {type(error).__name__}"
    if answer.status != 200:
        return f"it returns {answer.status} for a signed PUT"
    with reach_storage(key) as client:
        client.delete_object(Bucket=settings.S3_BUCKET, Key=key)
    return ""


def refused_origin(origin: str) -> str:
    """Return why a browser may not put from an origin (CORS), or "". Raises StorageUnavailable."""
    url = f"{browser_url()}/{settings.S3_BUCKET}/{POSTED}doctor"
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        answer = urllib3.request("OPTIONS", url, headers=headers, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise StorageUnavailable from error
    allowed = answer.headers.get("access-control-allow-origin", "")
    if allowed in ("*", origin):
        return ""
    return f"its preflight response allows {allowed or 'no origin'}"


def browser_url() -> str:
    """Return the address that browsers reach."""
    endpoint = settings.S3_PUBLIC_ENDPOINT_URL or internal_client().meta.endpoint_url
    return endpoint.rstrip("/")
