"""Where a stack keeps its data: `var/` for a person's demo, a temporary folder for tests."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import AlreadyRunning

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "var" / "models"  # a prepared base model is the same for every stack of a checkout
TEMPORARY = ROOT / "var" / "tmp"


@dataclass(frozen=True)
class Folders:
    """The data folder of one stack; `temporary` ones need not survive a power cut."""

    var: Path
    temporary: bool = False

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def pids(self) -> Path:
        return self.var / "run"

    @property
    def adapters(self) -> Path:
        return self.var / "adapters"

    @property
    def mail(self) -> Path:
        return self.var / "mail"

    def make(self) -> None:
        """Make the folders; what lies in them is for their owner alone, as old ones' files were not."""
        self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.pids, self.adapters, self.mail):
            make_private(folder)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that is there becomes so."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def private(path: str, flags: int) -> int:
    """Open a file that, if it is new, only its owner may read: an `opener` for `open`."""
    return os.open(path, flags, 0o600)


def shown(path: Path) -> str:
    """Return the path as a person would type it: relative to the checkout where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


@contextmanager
def held(folders: Folders) -> Iterator[None]:
    """Hold the data folder for this process. Raises AlreadyRunning if another stack has it."""
    folders.make()
    with open(folders.var / "lock", "a+", opener=private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"{shown(folders.var)} is in use by a running stack (process {file.read().strip()}). "
                "Stop it first, or use another folder with VAR=DIR."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def temporary() -> Iterator[Folders]:
    """Yield a fresh data folder and remove it at the end."""
    TEMPORARY.mkdir(parents=True, exist_ok=True)
    var = Path(tempfile.mkdtemp(prefix="stack-", dir=TEMPORARY))
    try:
        yield Folders(var, temporary=True)
    finally:
        shutil.rmtree(var, ignore_errors=True)


def abandoned() -> Iterator[Folders]:
    """Yield temporary folders that no living stack holds: what a crash left."""
    for var in sorted(TEMPORARY.glob("stack-*")):
        folders = Folders(var, temporary=True)
        try:
            with held(folders):
                yield folders
        except (AlreadyRunning, FileNotFoundError):
            continue
