"""Where archives are kept. The bucket belongs to a floor above this one, which registers here on start."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from core.errors import Unavailable


class NoArchiveStore(Unavailable):
    """No storage for archives is registered."""

    code = "no_archive_store"


@dataclass(frozen=True)
class ArchiveStore:
    """Files by their keys. `write` writes all of a file or nothing; a second one replaces the first.

    Both raise an Unavailable while the storage is away, `read` a NotFound for a file that is not there.
    """

    write: Callable[[str, Iterable[bytes]], None]
    read: Callable[[str], Iterator[bytes]]


_registered: list[ArchiveStore] = []


def register_archive_store(store: ArchiveStore) -> None:
    """Have archives kept by a floor that has a storage."""
    if store not in _registered:
        _registered.append(store)


def archive_store() -> ArchiveStore:
    """Return the storage. Raises NoArchiveStore."""
    if not _registered:
        raise NoArchiveStore
    return _registered[0]
