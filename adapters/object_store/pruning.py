"""Pruning: delete what is no longer needed, and find what was left behind."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from adapters.object_store.client import (
    POSTED,
    SEALED,
    delete_keys,
    head,
    list_keys,
    list_objects,
    reach_storage,
    sealed_key,
    upload_key,
)
from adapters.object_store.uploads import LIST_LIMIT, abort_upload, list_open_uploads

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import LifecycleRuleTypeDef

# For what the pruner does not get to. An upload that waits for its check longer than that is uploaded again.
RULES: "list[LifecycleRuleTypeDef]" = [
    {
        "ID": "polyscribe-posted-files",
        "Filter": {"Prefix": POSTED},
        "Status": "Enabled",
        "Expiration": {"Days": 7},
    },
    {
        "ID": "polyscribe-unfinished-posted-parts",
        "Filter": {"Prefix": POSTED},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
    {
        "ID": "polyscribe-unfinished-parts",
        "Filter": {"Prefix": SEALED},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
]


def discard_uploads(version_id: UUID, files: Iterable[str]) -> None:
    """Delete what was posted for a version. Raises StorageUnavailable."""
    delete_keys(upload_key(version_id, file) for file in files)


def discard_sealed(version_id: UUID, files: Iterable[str]) -> None:
    """Delete sealed files that are no longer needed. Raises StorageUnavailable."""
    delete_keys(sealed_key(version_id, file) for file in files)


def discard_all(prefix: str, version_id: UUID) -> int:
    """Delete all POSTED or SEALED files of a version; return how many. Raises StorageUnavailable."""
    # The slash matters: without it a prefix would also match longer names.
    keys = list_keys(f"{prefix}{version_id}/")
    delete_keys(keys)
    return len(keys)


def erase(version_id: UUID) -> None:
    """Delete all that was posted or sealed for a version, half-sent parts too. Raises StorageUnavailable."""
    for prefix in (upload_key(version_id, ""), sealed_key(version_id, "")):
        delete_keys(list_keys(prefix))
        for upload in list_open_uploads(prefix):
            abort_upload(upload["Key"], upload["UploadId"])


def erase_folder(prefix: str) -> int:
    """Delete all objects whose keys begin so; return how many. Raises StorageUnavailable."""
    keys = list_folder(prefix)
    delete_keys(keys)
    return len(keys)


def list_folder(prefix: str) -> list[str]:
    """Return all keys that begin so. Raises StorageUnavailable."""
    return [found.key for found in list_objects(prefix)]


def abort_old_parts(before: datetime, *, page_size: int = LIST_LIMIT) -> int:
    """Abort what began to be written in parts before a moment; return how many. Raises StorageUnavailable."""
    aborted = 0
    for upload in list_open_uploads("", page_size=page_size):
        if upload["Initiated"] < before:
            abort_upload(upload["Key"], upload["UploadId"])
            aborted += 1
    return aborted


def remaining(version_id: UUID, files: Iterable[str]) -> list[str]:
    """Return the keys of a version that the storage still has: it lists them, or answers to a HEAD of them.

    Raises StorageUnavailable.
    """
    found = {*list_keys(upload_key(version_id, "")), *list_keys(sealed_key(version_id, ""))}
    for file in files:
        for key in (upload_key(version_id, file), sealed_key(version_id, file)):
            if head(key):
                found.add(key)
    return sorted(found)


def versions(prefix: str, *, start: str, limit: int) -> dict[UUID, datetime]:
    """Return versions that have something POSTED or SEALED, with when the newest of that was written.

    Looks at up to `limit` files: from a name on, then from the first. A file that is not named like a
    version's is left out: it is none of ours. Raises StorageUnavailable.
    """
    listed = _list_files(prefix, start, limit)
    # Begins again at the first name, so that runs of this task see all files in turn.
    if len(listed) < limit:
        wrapped = _list_files(prefix, "", limit - len(listed))
        listed += [(name, written_at) for name, written_at in wrapped if name < start]
    newest: dict[UUID, datetime] = {}
    for name, written_at in listed:
        folder, slash, _ = name.partition("/")
        if slash and _is_uuid(folder):
            version_id = UUID(folder)
            newest[version_id] = max(written_at, newest.get(version_id, written_at))
    return newest


def _list_files(prefix: str, start: str, limit: int) -> list[tuple[str, datetime]]:
    """Return (name behind the prefix, when it was written) of the files from a name on."""
    with reach_storage(prefix) as client:
        found = client.list_objects_v2(
            Bucket=settings.S3_BUCKET, Prefix=prefix, StartAfter=f"{prefix}{start}", MaxKeys=limit
        )
    return [(entry["Key"].removeprefix(prefix), entry["LastModified"]) for entry in found.get("Contents", [])]


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def keep_rules() -> bool:
    """Have the bucket itself expire leftovers; return whether it does. Rules of others stay.

    Not every S3 server knows such rules, nor may every key set them. Raises StorageUnavailable.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415

    bucket = settings.S3_BUCKET
    our_ids = {rule["ID"] for rule in RULES}
    with reach_storage("lifecycle") as client:
        try:
            rules = client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", [])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                return False
            rules = []
        if our_ids <= {rule.get("ID") for rule in rules}:
            return True
        others = [rule for rule in rules if rule.get("ID") not in our_ids]
        try:
            client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": [*others, *RULES]}
            )
        except ClientError:
            return False
    return True
