"""Adapters in S3.

Browsers post files to `uploads/<version>/`. What is checked and served is the sealed copy under
`adapters/<version>/`, so that a presigned POST that is still valid changes nothing.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from adapters.errors import DiskUnavailable, NotStored, NotTheCheckedFile, StorageUnavailable
from adapters.validation.sources import ReadAhead, Source

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef, LifecycleRuleTypeDef

POSTED, SEALED = "uploads/", "adapters/"
# For what the pruner does not get to. An upload that waits for its check longer than that is uploaded again.
RULES: "list[LifecycleRuleTypeDef]" = [
    {
        "ID": "polyscribe-posted-files",
        "Filter": {"Prefix": POSTED},
        "Status": "Enabled",
        "Expiration": {"Days": 7},
    },
    {
        "ID": "polyscribe-unfinished-parts",
        "Filter": {"Prefix": SEALED},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
]
FORM_VALID_S = 600  # and as long as a slow line needs for the file: see form_valid_s
SLOW_LINE_BYTES_S = 400_000
CHUNK_BYTES = 4 * 1024 * 1024
COPIED_BYTES = 64 * 1024 * 1024
PART_BYTES = 5 * 1024 * 1024  # S3 takes no part below this, the last one excepted


@dataclass(frozen=True)
class Upload:
    """Where and how a browser posts one file: the form's fields come before the file itself."""

    file: str
    url: str
    fields: dict[str, str]


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
        with _reaching(self.file) as client:
            found = client.get_object(
                Bucket=settings.S3_BUCKET,
                Key=sealed_key(self.version_id, self.file),
                Range=f"bytes={start}-{last}",
            )
            return found["Body"].read()


def upload_key(version_id: UUID, file: str) -> str:
    """Return the key that a browser posts one file to."""
    return f"{POSTED}{version_id}/{file}"


def sealed_key(version_id: UUID, file: str) -> str:
    """Return the key of one file's copy that nobody outside can write."""
    return f"{SEALED}{version_id}/{file}"


def form_valid_s(size: int) -> int:
    """Return for how many seconds a form for so many bytes is valid.

    SeaweedFS looks at the time once it has the whole file, so a slow line must not make it late.
    """
    return FORM_VALID_S + size // SLOW_LINE_BYTES_S


def presign(version_id: UUID, file: str, size: int) -> Upload:
    """Return a POST form for exactly this key and this many bytes. Asks nobody."""
    form = _presigner().generate_presigned_post(
        settings.S3_BUCKET,
        upload_key(version_id, file),
        Conditions=[["content-length-range", size, size]],
        ExpiresIn=form_valid_s(size),
    )
    return Upload(file=file, url=form["url"], fields=form["fields"])


def uploaded_size(version_id: UUID, file: str) -> int | None:
    """Return how many bytes of a file were posted, or None. Raises StorageUnavailable."""
    found = _head(upload_key(version_id, file))
    return found[0] if found else None


def seal(version_id: UUID, files: dict[str, int]) -> None:
    """Copy the posted files to where nobody outside can write; the first copy stays.

    Raises StorageUnavailable, and NotStored for a file that is missing or has another size.
    """
    for file, size in files.items():
        if _head(sealed_key(version_id, file)) is None:
            _seal(version_id, file, size)


def sealed_sizes(version_id: UUID, files: Iterable[str]) -> dict[str, int]:
    """Return the sizes in bytes of those files that are sealed. Raises StorageUnavailable."""
    found = {file: _head(sealed_key(version_id, file)) for file in files}
    return {file: head[0] for file, head in found.items() if head}


@contextmanager
def reading(version_id: UUID, file: str) -> Iterator[Source]:
    """Yield a sealed file as a source that reads ahead. Raises StorageUnavailable or NotStored."""
    found = _head(sealed_key(version_id, file))
    if found is None:
        raise NotStored(file=file)
    with ReadAhead(SealedFile(version_id, file, size=found[0])) as source:
        yield source


def write(version_id: UUID, file: str, chunks: Iterable[bytes]) -> None:
    """Write a sealed file in parts as its bytes come, or nothing. Raises StorageUnavailable."""
    bucket, key = settings.S3_BUCKET, sealed_key(version_id, file)
    with _reaching(file) as client:
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        try:
            parts: list[CompletedPartTypeDef] = []
            for number, part in enumerate(_parts(chunks), start=1):
                sent = client.upload_part(
                    Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
                )
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
            raise


def download(version_id: UUID, file: str, to: Path, *, expect_sha256: str = "") -> str:
    """Write a sealed file to a path and return its SHA-256 in hex; it is on the disk when this returns.

    Raises StorageUnavailable, NotStored, DiskUnavailable, and NotTheCheckedFile for another SHA-256.
    """
    try:
        with to.open("wb") as out, _reaching(file) as client:
            body = client.get_object(Bucket=settings.S3_BUCKET, Key=sealed_key(version_id, file))["Body"]
            digest = hashlib.sha256()
            for chunk in body.iter_chunks(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise DiskUnavailable from error
    if expect_sha256 and digest.hexdigest() != expect_sha256:
        raise NotTheCheckedFile(file=file)
    return digest.hexdigest()


def discard_uploads(version_id: UUID, files: Iterable[str]) -> None:
    """Delete what was posted for a version. Raises StorageUnavailable."""
    _delete([upload_key(version_id, file) for file in files])


def discard_sealed(version_id: UUID, files: Iterable[str]) -> None:
    """Delete sealed files that are not needed any more. Raises StorageUnavailable."""
    _delete([sealed_key(version_id, file) for file in files])


def erase(version_id: UUID) -> None:
    """Delete all that was posted or sealed for a version, half-sent parts too. Raises StorageUnavailable."""
    for prefix in (upload_key(version_id, ""), sealed_key(version_id, "")):
        _delete(_keys(prefix))
        with _reaching(prefix) as client:
            begun = client.list_multipart_uploads(Bucket=settings.S3_BUCKET, Prefix=prefix)
            for upload in begun.get("Uploads", []):
                client.abort_multipart_upload(
                    Bucket=settings.S3_BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
                )


def versions(prefix: str, *, start: str, limit: int) -> dict[UUID, datetime]:
    """Return versions that have something POSTED or SEALED, with when the newest of that was written.

    Looks at up to `limit` files: from a name on, then from the first. What is not named like a version's is
    left out: it is none of ours. Raises StorageUnavailable.
    """
    listed = _listed(prefix, start, limit)
    if len(listed) < limit:
        listed += [file for file in _listed(prefix, "", limit - len(listed)) if file[0] < start]
    found: dict[UUID, datetime] = {}
    for name, written_at in listed:
        folder, is_inside, _ = name.partition("/")
        if is_inside and _is_id(folder):
            found[UUID(folder)] = max(written_at, found.get(UUID(folder), written_at))
    return found


def discard_all(prefix: str, version_id: UUID) -> int:
    """Delete all POSTED or SEALED files of a version; return how many. Raises StorageUnavailable."""
    keys = _keys(f"{prefix}{version_id}/")
    _delete(keys)
    return len(keys)


def abort_old_parts(before: datetime, *, limit: int) -> int:
    """Abort what began to be written in parts before a moment; return how many. Raises StorageUnavailable."""
    with _reaching("parts") as client:
        begun = client.list_multipart_uploads(Bucket=settings.S3_BUCKET, MaxUploads=limit).get("Uploads", [])
        old = [upload for upload in begun if upload["Initiated"] < before]
        for upload in old:
            client.abort_multipart_upload(
                Bucket=settings.S3_BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )
    return len(old)


def keep_rules() -> bool:
    """Have the bucket itself expire leftovers; return whether it does. Rules of others stay.

    Not every S3 server knows such rules, nor may every key set them. Raises StorageUnavailable.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415

    with _reaching("lifecycle"):
        client, bucket = _client(), settings.S3_BUCKET
        try:
            rules = client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", [])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                return False
            rules = []
        if {rule.get("ID") for rule in rules} >= {rule["ID"] for rule in RULES}:
            return True
        ours = {rule["ID"] for rule in RULES}
        kept = [rule for rule in rules if rule.get("ID") not in ours]
        try:
            client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": [*kept, *RULES]}
            )
        except ClientError:
            return False
    return True


def remaining(version_id: UUID, files: Iterable[str]) -> list[str]:
    """Return the keys of a version that the storage still has: it lists them, or answers to a HEAD of them.

    Raises StorageUnavailable.
    """
    listed = _keys(upload_key(version_id, "")) + _keys(sealed_key(version_id, ""))
    known = [key(version_id, file) for file in files for key in (upload_key, sealed_key)]
    return sorted({*listed, *(key for key in known if _head(key))})


def _seal(version_id: UUID, file: str, size: int) -> None:
    found = _head(upload_key(version_id, file))
    if found is None or found[0] != size:
        raise NotStored(file=file)
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415

    # In parts, for a gigabyte takes longer than an answer may.
    in_parts = TransferConfig(
        multipart_threshold=COPIED_BYTES, multipart_chunksize=COPIED_BYTES, use_threads=False
    )
    with _reaching(file) as client:  # if another POST comes between, the copy is refused and made later
        client.copy(
            {"Bucket": settings.S3_BUCKET, "Key": upload_key(version_id, file)},
            settings.S3_BUCKET,
            sealed_key(version_id, file),
            ExtraArgs={"CopySourceIfMatch": found[1]},
            Config=in_parts,
        )


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts as S3 takes them: one at least."""
    part = bytearray()
    for chunk in chunks:
        part += chunk
        while len(part) >= PART_BYTES:
            yield bytes(memoryview(part)[:PART_BYTES])
            del part[:PART_BYTES]
    yield bytes(part)


def _head(key: str) -> tuple[int, str] | None:
    """Return (size in bytes, ETag) of an object, or None."""
    try:
        with _reaching(key) as client:
            head = client.head_object(Bucket=settings.S3_BUCKET, Key=key)
    except NotStored:
        return None
    return head["ContentLength"], head["ETag"]


def _keys(prefix: str) -> list[str]:
    """Return up to 1,000 keys that begin so; a version has a handful."""
    with _reaching(prefix) as client:
        found = client.list_objects_v2(Bucket=settings.S3_BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def _listed(prefix: str, start: str, limit: int) -> list[tuple[str, datetime]]:
    """Return (name behind the prefix, when it was written) of the files from a name on."""
    with _reaching(prefix) as client:
        found = client.list_objects_v2(
            Bucket=settings.S3_BUCKET, Prefix=prefix, StartAfter=f"{prefix}{start}", MaxKeys=limit
        )
    return [(entry["Key"].removeprefix(prefix), entry["LastModified"]) for entry in found.get("Contents", [])]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _delete(keys: list[str]) -> None:
    for key in keys:  # one by one: the many-at-once call wants a checksum that not every S3 server takes
        with _reaching(key) as client:
            client.delete_object(Bucket=settings.S3_BUCKET, Key=key)


@contextmanager
def _reaching(file: str) -> Iterator["S3Client"]:
    """Yield the client; what it raises inside becomes NotStored or StorageUnavailable."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield _client()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
            raise NotStored(file=file) from error
        raise StorageUnavailable from error
    except BotoCoreError as error:
        raise StorageUnavailable from error


@cache
def _client() -> "S3Client":
    return _connected(settings.S3_ENDPOINT_URL)


@cache
def _presigner() -> "S3Client":
    """Return a client that only signs, for the address that browsers reach."""
    return _connected(settings.S3_PUBLIC_ENDPOINT_URL)


def _connected(endpoint_url: str | None) -> "S3Client":
    import boto3  # noqa: PLC0415  25 MiB that a gateway, which meets no upload, never needs
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
            read_timeout=30,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
