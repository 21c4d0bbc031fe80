"""The folder in which one training runs. It has a writer's texts, so none outlives its worker for long."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "polyscribe-training-"
LOCK = "worker.lock"  # held as long as the worker lives, whatever ends it
JUST_MADE_S = 60  # a folder that is so young may not be locked yet


@contextmanager
def job_folder() -> Iterator[Path]:
    """Yield an empty folder, deleted afterwards; first delete those of workers that were killed."""
    _delete_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, (Path(name) / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(name)


def _delete_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime < JUST_MADE_S:
            return False
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # gone meanwhile, or killed before it was locked
        return folder.exists()
    except OSError:  # another worker runs in it, or it belongs to another user
        return False
    return True
