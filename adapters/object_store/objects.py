"""Write objects in parts as their bytes come."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings

from adapters.object_store.client import reach_storage

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

UPLOAD_PART_BYTES = 5 * 1024 * 1024  # S3 takes no smaller part, the last one excepted


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
