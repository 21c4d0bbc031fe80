"""Checkpoints: copied between a job's folder and the storage, as one file that is replaced each time."""

import tarfile
from pathlib import Path

from adapters.errors import NotStored
from training import storage
from training.models import Training

FOLDER = "checkpoint"  # in the job's folder, as engine/train.py writes it


def save(training: Training, folder: Path) -> bool:
    """Store the checkpoint that a job has written; return False if there is none.

    Raises StorageUnavailable.
    """
    packed = folder / storage.CHECKPOINT
    try:
        with tarfile.open(packed, "w") as archive:
            archive.add(folder / FOLDER, arcname=FOLDER)
    except FileNotFoundError:  # there is none, or the child is just replacing it: the next event follows
        return False
    storage.put_file(training.pk, storage.CHECKPOINT, packed)
    packed.unlink()
    return True


def restore(training: Training, folder: Path) -> bool:
    """Unpack the stored checkpoint into a job's folder; return False if there is none.

    Raises StorageUnavailable.
    """
    packed = folder / storage.CHECKPOINT
    try:
        packed.write_bytes(storage.read_file(training.pk, storage.CHECKPOINT))
    except NotStored:
        return False
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    packed.unlink()
    return True
