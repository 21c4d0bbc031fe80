"""Where a stack keeps its data: `var/` for a person's demo, a temporary folder for tests."""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

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


# Secrets of one data folder, made once and kept in `secrets.json`, which only its owner may read.


def _secret() -> str:
    return field(default_factory=lambda: secrets.token_hex(32))


@dataclass(frozen=True)
class Credentials:
    """Passwords and keys of one stack, as hex."""

    postgres_password: str = _secret()
    valkey_password: str = _secret()
    s3_access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    s3_secret_key: str = _secret()
    seaweed_signing: str = _secret()
    seaweed_signing_read: str = _secret()
    seaweed_filer_signing: str = _secret()
    seaweed_filer_signing_read: str = _secret()
    django_secret_key: str = _secret()
    api_key_pepper: str = _secret()
    cache_salt: str = _secret()
    watermark_key: str = field(default_factory=lambda: secrets.token_hex(8))
    receipt_key: str = _secret()
    engine_api_key: str = _secret()

    @classmethod
    def of(cls, var: Path) -> Self:
        """Return the folder's secrets; those it lacks are made and written down first."""
        file = var / "secrets.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        names = {one.name for one in fields(cls)}
        made = cls(**{name: value for name, value in known.items() if name in names})
        if names - known.keys():
            _write(file, json.dumps(known | asdict(made), indent=2))
        return made


def _write(file: Path, text: str) -> None:
    """Write a private file in one move, so that a crash leaves the old one or the new one."""
    new = file.with_suffix(".new")
    with open(new, "w", opener=private) as out:
        out.write(text)
    new.replace(file)
