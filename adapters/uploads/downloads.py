"""Downloads: a version's files for its owner, by addresses that are valid for some minutes."""

from dataclasses import dataclass

from adapters import object_store
from adapters.errors import NothingToDownload
from adapters.models import AdapterVersion
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE


@dataclass(frozen=True)
class DownloadableFile:
    """A file of a version, and where it is read for `object_store.DOWNLOAD_VALID_S` seconds."""

    name: str
    size_bytes: int
    sha256: str
    url: str


def list_files(version: AdapterVersion) -> list[DownloadableFile]:
    """Return the checked files of a version. Raises NothingToDownload, StorageUnavailable."""
    digests = {CONFIG_FILE: version.config_sha256, WEIGHTS_FILE: version.sha256}
    is_kept = all(digests.values()) and version.files_gone_at is None
    sizes = object_store.sealed_sizes(version.pk, digests) if is_kept else {}
    if sizes.keys() != digests.keys():
        raise NothingToDownload(number=version.number)
    return [
        DownloadableFile(name, sizes[name], digest, object_store.presign_download(version.pk, name))
        for name, digest in digests.items()
    ]
