"""The child process that trains or evaluates a style: a program of engine/, in the engine's environment.

It has no access to database, Valkey and storage: it reads a folder and prints one JSON object per line. It
runs at the lowest priority, and exits when its standard input is closed: so it ends with its worker.
"""

import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from django.conf import settings

from training.models import MAX_EXAMPLE_TOKENS

# The folder in which one training runs. It has a writer's texts, so none outlives its worker for long.

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


READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 64 * 1024
# The variables that the child inherits: no secret, no address.
PASSED_ON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


class ModelSettings(TypedDict):
    """What every program of engine/ reads of the base model, and how to run it."""

    base: str
    base_name: str
    device: str
    threads: int
    quantisation: str
    max_tokens: int


class JobSettings(ModelSettings):
    """job.json, as engine/train.py reads it."""

    seed: int
    checkpoint_every_s: int
    early_stopping: bool
    recipe: Mapping[str, object]


class ChildEvent(TypedDict):
    """One line of the child's output; its fields depend on `type`."""

    type: str
    step: NotRequired[int]
    steps: NotRequired[int]
    first_step: NotRequired[int]
    loss: NotRequired[float]
    seconds: NotRequired[float]
    tokens: NotRequired[int]
    kept_tokens: NotRequired[int]
    validation_loss: NotRequired[float]
    stopped_early: NotRequired[bool]
    code: NotRequired[str]
    message: NotRequired[str]
    percent: NotRequired[int]
    learned: NotRequired[Mapping[str, Any]]
    repeats: NotRequired[Mapping[str, Any]]
    canaries: NotRequired[list[Mapping[str, Any]]]


class ChildDied(Exception):
    """The child process ended without a result."""


class ChildSilent(Exception):
    """The child process printed nothing for a long time."""


@dataclass(frozen=True)
class ChildLimits:
    """Limits of the child that tests shorten."""

    silent_after_s: float = 900.0  # loading a large base from a slow disk takes minutes
    tick_s: float = 1.0


LIMITS = ChildLimits()


class EngineChild:
    """One running child process. Use it as a context manager: it is always killed at the end."""

    def __init__(self, program: str, folder: Path, limits: ChildLimits = LIMITS) -> None:
        self._limits = limits
        self._log = (folder / "child.log").open("wb")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # All files are local: nothing is looked up on a hub.
        environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [settings.TRAINING_PYTHON, "-u", program, str(folder), "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            cwd=folder,
        )

    def __enter__(self) -> "EngineChild":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._log.close()

    def stop(self) -> None:
        """Have the child write a checkpoint, print `stopped` and exit."""
        self._process.send_signal(signal.SIGTERM)

    def events(self) -> Iterator[ChildEvent | None]:
        """Yield what the child prints, and None after each tick without a line.

        Raises ChildDied if it ends with an error, and ChildSilent.
        """
        printed_at_s = time.monotonic()
        for line in self._lines():
            if line is not None:
                printed_at_s = time.monotonic()
                yield json.loads(line)
            elif time.monotonic() - printed_at_s > self._limits.silent_after_s:
                raise ChildSilent
            else:
                yield None
        status = self._process.wait()
        if status:
            raise ChildDied(f"status {status}")

    def _lines(self) -> Iterator[bytes | None]:
        """Yield whole lines, and None after each tick without one."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while True:
                if not selector.select(self._limits.tick_s):
                    yield None
                    continue
                read = os.read(descriptor, READ_BYTES)
                if not read:
                    return
                *lines, buffer = (buffer + read).split(b"\n")
                if len(buffer) > MAX_LINE_BYTES:
                    raise ChildDied("a line of its output is too long")
                yield from lines


def model_settings() -> ModelSettings:
    """Return the site's settings of the base model."""
    return {
        "base": str(settings.BASE_MODEL_DIR.resolve()),
        "base_name": settings.BASE_MODEL,
        "device": settings.TRAINING_DEVICE,
        "threads": settings.TRAINING_THREADS,
        "quantisation": settings.TRAINING_QUANTISATION,
        "max_tokens": MAX_EXAMPLE_TOKENS,
    }


def write_job(folder: Path, job: JobSettings) -> None:
    """Write a job's settings where the child reads them."""
    (folder / "job.json").write_text(json.dumps(job))
