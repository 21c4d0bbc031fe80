"""Files that are sent in parts: which parts are there, where the others go, and the whole file in the end.

A file's multipart upload begins when its parts are first looked at. So making a version sends nothing to the
storage, and a storage that is away leaves nothing half begun.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from django.db import transaction

from adapters import object_store
from adapters.errors import NotStored, VersionMoved
from adapters.models import AdapterVersion, Status
from adapters.object_store import OpenUpload, StoredPart

MAX_URLS = 100  # that are given at once
MAX_TIMES_SENT = 3  # as a broken line may: SeaweedFS keeps each copy of a part until the upload ends
MAX_RANGES = 8  # of missing parts that a sentence names


@dataclass(frozen=True)
class FileParts:
    """A file that is sent in parts, as it stands in the storage."""

    file: str
    size_bytes: int
    part_bytes: int
    upload_id: str
    there: Mapping[int, StoredPart] = field(default_factory=dict)
    is_complete: bool = False  # the parts were put together

    @property
    def count(self) -> int:
        """How many parts the file has."""
        return count_parts(self.size_bytes, self.part_bytes)

    @property
    def missing(self) -> list[int]:
        """The numbers of the parts that are not there, from 1."""
        if self.is_complete:
            return []
        return [number for number in range(1, self.count + 1) if number not in self.there]

    def bytes_of(self, number: int) -> int:
        """Return how many bytes a part has: the last one has the rest."""
        return min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)

    def with_parts(self, stored: Iterable[StoredPart]) -> "FileParts":
        """Return the file with the newest of each part. One with another length is not there."""
        there: dict[int, StoredPart] = {}
        for part in sorted(stored, key=lambda part: part.written_at):
            if 1 <= part.number <= self.count and part.size_bytes == self.bytes_of(part.number):
                there[part.number] = part
        return replace(self, there=there)


@dataclass(frozen=True)
class PartUrl:
    """Where to PUT one part."""

    number: int
    size_bytes: int
    url: str


def count_parts(size_bytes: int, part_bytes: int) -> int:
    """Return how many parts a file has."""
    return -(-size_bytes // part_bytes)


def plan_parts(sizes: Mapping[str, int]) -> dict[str, dict[str, str | int]]:
    """Return `AdapterVersion.multipart` of a new version, from file name → size in bytes."""
    plan: dict[str, dict[str, str | int]] = {}
    for file, size_bytes in sizes.items():
        plan[file] = {"upload_id": "", "part_bytes": object_store.part_bytes_for(size_bytes)}
    return plan


def look_at_parts(version: AdapterVersion) -> list[FileParts]:
    """Return the files of a version that is being uploaded, the smallest first.

    Begins what was not begun yet. Raises StorageUnavailable, or VersionMoved.
    """
    smallest_first = sorted(version.files.items(), key=lambda item: item[1])
    return [_look_at_file(version, file, size_bytes) for file, size_bytes in smallest_first]


def presign_missing(version: AdapterVersion, parts: FileParts, numbers: Iterable[int]) -> list[PartUrl]:
    """Return where to PUT those of these parts that are not there. Sends nothing to the storage.

    A URL is valid for some ten minutes (`object_store.url_valid_s`), and for nothing once the upload ended.
    """
    wanted = set(numbers)
    urls: list[PartUrl] = []
    for number in parts.missing:
        if len(urls) == MAX_URLS:
            break
        if number in wanted:
            size_bytes = parts.bytes_of(number)
            url = object_store.presign_part(
                version.pk, parts.file, parts.upload_id, number=number, size_bytes=size_bytes
            )
            urls.append(PartUrl(number, size_bytes, url))
    return urls


def complete_files(version: AdapterVersion) -> list[str]:
    """Put the parts of each file together; return what is missing, as `file (parts 2, 5-7)`.

    Safe to repeat, also after it was cut off in the middle. Raises StorageUnavailable, or VersionMoved.
    """
    missing = []
    for parts in look_at_parts(version):
        if parts.missing:
            missing.append(f"{parts.file} ({name_parts(parts.missing)})")
        elif not parts.is_complete and not _complete_file(version, parts):
            missing.append(parts.file)
    return missing


def is_sent_too_often(version: AdapterVersion, uploads: Iterable[OpenUpload]) -> bool:
    """Return whether the storage keeps far more parts of a version than its files have bytes.

    Raises StorageUnavailable.
    """
    sent_bytes = 0
    announced_bytes = sum(int(size_bytes) for size_bytes in version.files.values())
    for upload in uploads:
        try:
            stored = object_store.list_parts(version.pk, upload.file, upload.upload_id)
        except NotStored:  # it ended meanwhile
            continue
        sent_bytes += sum(part.size_bytes for part in stored)
    return sent_bytes > MAX_TIMES_SENT * announced_bytes


def _look_at_file(version: AdapterVersion, file: str, size_bytes: int) -> FileParts:
    plan = version.multipart[file]
    sent = FileParts(file, size_bytes, int(plan["part_bytes"]), str(plan["upload_id"]))
    if sent.upload_id:
        try:
            return sent.with_parts(object_store.list_parts(version.pk, file, sent.upload_id))
        except NotStored:  # completed by a call that was cut off, or lost
            if object_store.uploaded_size(version.pk, file) == size_bytes:
                return replace(sent, is_complete=True)
    return replace(sent, upload_id=_begin_file(version, file, instead_of=sent.upload_id))


def _begin_file(version: AdapterVersion, file: str, *, instead_of: str) -> str:
    """Begin a file's multipart upload and note its id; return the id that counts.

    Raises VersionMoved if the version's upload has ended meanwhile.
    """
    upload_id = object_store.begin_parts(version.pk, file)
    with transaction.atomic():
        row = AdapterVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
        is_open = row.status == Status.UPLOADING
        is_first = is_open and row.multipart[file]["upload_id"] == instead_of
        if is_first:
            row.multipart[file]["upload_id"] = upload_id
            AdapterVersion.objects.filter(pk=version.pk).update(multipart=row.multipart)
    version.multipart = row.multipart
    if not is_first:
        object_store.abort_parts(version.pk, file, upload_id)
    if not is_open:
        raise VersionMoved
    return str(row.multipart[file]["upload_id"])


def _complete_file(version: AdapterVersion, parts: FileParts) -> bool:
    """Put a file together; return False, and delete it, if it has not the size that was announced."""
    etags = {number: part.etag for number, part in parts.there.items()}
    with suppress(NotStored):  # another call was first
        object_store.complete_parts(version.pk, parts.file, parts.upload_id, etags)
    if object_store.uploaded_size(version.pk, parts.file) == parts.size_bytes:
        return True
    object_store.discard_uploads(version.pk, [parts.file])
    return False


def name_parts(numbers: list[int]) -> str:
    """Return numbers in ascending order as people write them: `parts 2, 5-7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    names = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:MAX_RANGES]]
    if len(ranges) > MAX_RANGES:
        names.append("…")
    return ("part " if len(numbers) == 1 else "parts ") + ", ".join(names)
