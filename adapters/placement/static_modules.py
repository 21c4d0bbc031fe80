"""Static modules: adapters that an engine was started with by its own flags, not loaded by us.

One that has the very files of a version serves that version: loading them again would take a second slot.
"""

import re
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from adapters.models import AdapterVersion
from adapters.placement import local_cache
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE

OUR_NAME = re.compile(r"v_[0-9a-f]{32}")  # of what we load; other names are static modules
NO_DIGESTS = ("", "")

type Present = dict[str, str]  # name in the engine → path
type Modules = dict[str, UUID | None]  # name of a static module → the version whose files it has


def match_versions(present: Present, versions: dict[tuple[str, str], UUID]) -> Modules:
    """Return the static modules of an engine → the version whose files they are, if any.

    `versions` is the SHA-256 of config and weights, in hex → version.
    """
    modules: Modules = {}
    for name, folder in present.items():
        if not OUR_NAME.fullmatch(name):
            modules[name] = versions.get(_read_digests(Path(folder)))
    return modules


def describe(modules: Modules) -> str:
    """Return a note for operators about an engine's static modules, or ""."""
    if not modules:
        return ""
    ids = [version_id for version_id in modules.values() if version_id]
    versions = AdapterVersion.objects.select_related("style__owner").in_bulk(ids)
    described = []
    for name, version_id in modules.items():
        described.append(f"{name} ({versions[version_id] if version_id else 'unknown'})")
    return f"Started with static modules: {', '.join(described)}"[:200]


def _read_digests(folder: Path) -> tuple[str, str]:
    """Return the SHA-256 of a folder's config and weights; files that did not change are read once."""
    try:
        config = (folder / CONFIG_FILE).stat()
        weights = (folder / WEIGHTS_FILE).stat()
        stamps = (config.st_mtime_ns, config.st_size, weights.st_mtime_ns, weights.st_size)
        return _read_digests_at(folder, stamps) or NO_DIGESTS
    except OSError:
        return NO_DIGESTS  # the folder is on another machine: only a name to us


@lru_cache(maxsize=64)
def _read_digests_at(folder: Path, _stamps: tuple[int, ...]) -> tuple[str, str] | None:
    return local_cache.read_digests(folder)
