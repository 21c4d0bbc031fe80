"""The local cache: a version's files on the disk beside an engine, both of them or none."""

import hashlib
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from uuid import UUID

from django.conf import settings

from adapters import object_store
from adapters.errors import DiskUnavailable
from adapters.models import AdapterVersion
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE

logger = logging.getLogger(__name__)

# No download takes that long, so nobody writes into a folder of this age.
LEFTOVER_AFTER_S = 3600


def folder_of(version_id: UUID) -> str:
    """Return the absolute folder of a version's files on this worker's disk, as its engine lists it."""
    return os.path.join(settings.ENGINE_ADAPTERS_DIR, str(version_id))


def path_of(version: AdapterVersion) -> Path:
    """Return the same folder as a path."""
    return Path(folder_of(version.pk))


def is_cached(version: AdapterVersion) -> bool:
    """Return whether a version's files lie beside the engine, without reading them."""
    return path_of(version).is_dir()


def ensure_local(version: AdapterVersion) -> Path:
    """Return the folder with a version's two files, checked by their SHA-256 and now in the page cache.

    Files that are there already stay: an engine may read them again. Only erasure/engine_purge deletes any.
    Raises StorageUnavailable, NotStored, NotTheCheckedFile or DiskUnavailable.
    """
    path = path_of(version)
    try:
        # Files that are there are read as well: a damaged one must not reach the engine.
        if read_digests(path) == (version.config_sha256, version.sha256):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        # Beside its place, on the same disk: only there is a rename one step.
        new = Path(tempfile.mkdtemp(prefix=f"{path.name}.tmp-", dir=path.parent))
        try:
            _download(version, new)
            _install(new, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise DiskUnavailable from error
    return path


def read_digests(path: Path) -> tuple[str, str] | None:
    """Return the SHA-256 of a folder's config and weights in hex, or None if they are not there."""
    try:
        return _hash(path / CONFIG_FILE), _hash(path / WEIGHTS_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _download(version: AdapterVersion, folder: Path) -> None:
    folder.chmod(0o755)  # the engine may run as another user
    object_store.download(version.pk, CONFIG_FILE, folder / CONFIG_FILE, expect_sha256=version.config_sha256)
    object_store.download(version.pk, WEIGHTS_FILE, folder / WEIGHTS_FILE, expect_sha256=version.sha256)
    _sync_folder(folder)


def _install(new: Path, path: Path) -> None:
    """Move a complete folder to its place. Damaged files are replaced one by one: none is ever missing."""
    if path.is_dir():
        logger.warning("%s is damaged and will be repaired", path)
        # A folder with files can't be replaced in one step, a file can.
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            os.replace(new / file, path / file)
        _sync_folder(path)
    else:
        os.rename(new, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk: fsync of a file alone does not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_leftovers(path: Path) -> None:
    """Remove unfinished folders that a killed worker left; no engine ever knew them."""
    for leftover in path.parent.glob(f"{path.name}.tmp-*"):
        if leftover.stat().st_mtime < time.time() - LEFTOVER_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)
