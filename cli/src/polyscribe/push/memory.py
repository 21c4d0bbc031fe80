"""What is remembered of a push, so that one that was killed goes on where it stopped.

A small file for each push that is under way, in the folder of the settings. It is written before the version
is made, with the Idempotency-Key: so even a push that was killed in that moment finds the same version again.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from polyscribe.push.folder import AdapterFolder
from polyscribe.push.request import PushRequest
from polyscribe.settings import config_folder, write_private

FOLDER_NAME = "pushes"
REMEMBERED_S = 24 * 3600  # then the service has given an unfinished upload up


@dataclass(frozen=True)
class RememberedPush:
    """A push that has begun. `version_id` is empty until the service has answered."""

    file: Path
    idempotency_key: str
    version_id: str = ""

    def keep_version(self, version_id: str) -> "RememberedPush":
        """Return the push with its version, which is remembered from now on."""
        push = replace(self, version_id=version_id)
        push.save()
        return push

    def save(self) -> None:
        """Write it down."""
        stored = asdict(self)
        del stored["file"]
        # Without a folder to write to, a push can't be resumed, and goes on all the same.
        with suppress(OSError):
            write_private(self.file, json.dumps(stored))

    def forget(self) -> None:
        """Forget it: it has ended."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def recall_push(base_url: str, request: PushRequest, adapter: AdapterFolder) -> RememberedPush:
    """Return the push of these very files that is under way, else a new one."""
    folder = config_folder() / FOLDER_NAME
    _prune(folder)
    file = folder / f"{_digest_push(base_url, request, adapter)}.json"
    try:
        stored = json.loads(file.read_bytes())
        return RememberedPush(file, stored["idempotency_key"], stored["version_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return begin_push(file)


def begin_push(file: Path) -> RememberedPush:
    """Return a new push, and remember it."""
    push = RememberedPush(file, str(uuid4()))
    push.save()
    return push


def _digest_push(base_url: str, request: PushRequest, adapter: AdapterFolder) -> str:
    """Return the name under which a push is remembered: other files or other options are another push."""
    files = [[file.name, file.size_bytes, file.modified_ns, file.sha256] for file in adapter.files]
    facts = [base_url, request.style, request.auto_promote, request.quantisation, files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _prune(folder: Path) -> None:
    """Delete what is remembered of pushes that nobody went on with for a day."""
    if not folder.is_dir():
        return
    oldest = time.time() - REMEMBERED_S
    for entry in os.scandir(folder):
        with suppress(OSError):  # another push was first
            if entry.stat().st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)
