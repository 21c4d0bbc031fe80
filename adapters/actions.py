"""What members and programs change: each action with its line in the workspace's audit log.

Pages and the API call these, so that both do the same and log the same. An action is one transaction: the
change, its line, and the messages to workers, which are sent when it commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.workspaces import create_tenant
from adapters import enqueue, object_store
from adapters.catalog import selection
from adapters.erasure import workflow
from adapters.errors import NeverServed, NothingToConvert, NothingToDownload, PlanFull
from adapters.models import AdapterVersion, Erasure, Status, Style
from adapters.object_store import Upload
from adapters.placement import transitions
from adapters.uploads import sessions, storage_quota
from adapters.uploads.upload_request import StyleDescription
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE
from tenants.access import Access, access_of_person
from tenants.models import Tenant, User


@dataclass(frozen=True)
class DownloadableFile:
    """A file of a version, and where it is read for `object_store.DOWNLOAD_VALID_S` seconds."""

    name: str
    size_bytes: int
    sha256: str
    url: str


@transaction.atomic
def create_style(access: Access, slug: str, words: Mapping[str, Any]) -> Style:
    """Return a new style without files. Raises StyleRefused, SlugTaken or NoBaseModel."""
    style = sessions.create_style(access.tenant, slug, words)
    access.audit("style.created", style, after=words)
    return style


@transaction.atomic
def delete_style(access: Access, style: Style, *, at_once: bool) -> list[Erasure]:
    """Begin to erase all versions of a style; return the erasures. Raises StillUsed."""
    erasures = workflow.erase_style(style, access.user, at_once=at_once)
    for erasure in erasures:
        enqueue.enqueue_erasure(erasure.pk)
    access.audit("style.deleted", style, after={"at_once": at_once, "versions": len(erasures)})
    return erasures


@transaction.atomic
def found_workspace(user: User, *, name: str, slug: str | None = None) -> Tenant:
    """Return a new workspace of a person, with the first party's styles selected.

    Raises ReservedName; and SlugTaken or BadSlug for a given slug.
    """
    tenant = create_tenant(user, name=name, slug=slug)
    selection.select_first_party_styles(access_of_person(user, tenant, address=None))
    return tenant


@transaction.atomic
def retire_version(access: Access, version: AdapterVersion, *, at_once: bool) -> None:
    """Retire a version and keep its files. Doing it twice does nothing.

    Raises StillUsed when other workspaces would lose the style, and NeverServed for one that was rejected.
    """
    # Read before: doing it twice is no fault, and no second line in the log.
    was_retired = version.status == Status.RETIRED
    if version.status == Status.REJECTED:
        raise NeverServed(number=version.number)
    workflow.require_unused(version, at_once=at_once)
    transitions.retire_version(version)
    if not was_retired:
        access.audit("version.retired", version)


def download_version(access: Access, version: AdapterVersion) -> list[DownloadableFile]:
    """Return where a version's checked files are read for some minutes.

    Raises NothingToDownload, StorageUnavailable.
    """
    digests = {CONFIG_FILE: version.config_sha256, WEIGHTS_FILE: version.sha256}
    # The storage is asked here, so no row is locked meanwhile.
    is_kept = all(digests.values()) and version.files_gone_at is None
    sizes = object_store.sealed_sizes(version.pk, digests) if is_kept else {}
    if sizes.keys() != digests.keys():
        raise NothingToDownload(number=version.number)
    files = [
        DownloadableFile(name, sizes[name], digest, object_store.presign_download(version.pk, name))
        for name, digest in digests.items()
    ]
    with transaction.atomic():
        access.audit("version.downloaded", version)
    return files


@transaction.atomic
def delete_version(access: Access, version: AdapterVersion, *, at_once: bool) -> Erasure:
    """Begin to erase a version; return the erasure. Doing it twice does nothing. Raises StillUsed."""
    was_deleted = Erasure.objects.filter(version=version).exists()
    erasure = workflow.erase_version(version, access.user, at_once=at_once)
    enqueue.enqueue_erasure(erasure.pk)
    if not was_deleted:
        access.audit("version.deleted", version, after={"at_once": at_once})
    return erasure


@transaction.atomic
def retry_version(access: Access, version: AdapterVersion) -> None:
    """Push a failed version again. Raises VersionMoved."""
    transitions.retry_version(version)
    enqueue.enqueue_advance(version.pk)
    access.audit("version.retried", version)


@transaction.atomic
def convert_version(access: Access, version: AdapterVersion) -> AdapterVersion:
    """Return the new version that a rejected one is converted into. Doing it twice returns the same one.

    Raises NothingToConvert when no conversion is offered, PlanFull when the plan keeps no more versions.
    """
    owner = version.style.owner
    sessions.lock_uploads(owner.pk)
    converted = AdapterVersion.objects.filter(converted_from=version).first()
    if converted is None:
        faults = [] if owner.is_first_party else storage_quota.storage_of(owner).version_faults()
        if faults:
            raise PlanFull(fault=faults[0])
        rejected = AdapterVersion.objects.filter(pk=version.pk, status=Status.REJECTED, files_gone_at=None)
        if not rejected.exclude(conversions=[]).exists():
            raise NothingToConvert
        converted = sessions.create_next_version(
            version.style,
            access.user,
            converted_from=version,
            size_bytes=version.size_bytes,
            stated_quantisation=version.stated_quantisation,
            auto_promote=version.auto_promote,
            handed_in_at=timezone.now(),
        )
        converted.move(before=Status.UPLOADING, after=Status.UPLOADED)
        access.audit("version.converted", version, after={"version": converted.number})
    enqueue.enqueue_advance(converted.pk)
    return converted


@transaction.atomic
def begin_upload(
    access: Access, about: StyleDescription, files: dict[str, int], *, method: sessions.Method = "post"
) -> tuple[AdapterVersion, list[Upload]]:
    """Return a new version and a POST form for each file. Raises UploadRefused or NoBaseModel.

    With the method "multipart" there are no forms: each part has a URL of its own.
    """
    is_known = Style.objects.filter(owner=access.tenant, slug=about.slug, retired_at=None).exists()
    version, forms = sessions.begin_upload(access.tenant, access.user, about, files, method=method)
    if not is_known:
        access.audit("style.created", version.style)
    access.audit("version.created", version, after={"files": version.files})
    return version, forms


def finish_upload(access: Access, version: AdapterVersion) -> None:
    """Accept a version whose files are uploaded. Raises NotUploaded naming the missing ones, or UploadEnded.

    No transaction: no row may be locked while the storage does not answer.
    """
    # A client that got no answer finishes again.
    was_handed_in = version.handed_in_at is not None or version.status != Status.UPLOADING
    sessions.finish_upload(version)
    enqueue.enqueue_advance(version.pk)
    if not was_handed_in:
        access.audit("upload.finished", version)


def cancel_upload(access: Access, version: AdapterVersion) -> None:
    """Cancel an upload that is not finished, and delete what was sent of it. Raises VersionMoved.

    Doing it twice does nothing. No transaction: it waits for the storage.
    """
    if sessions.cancel_upload(version):
        access.audit("upload.aborted", version)
