"""A push from its beginning to its end. Each step is safe to repeat, so a push that was killed can go on.

What is remembered of a push is a small file for each one that is under way, in the folder of the settings. It
is written before the version is made, with the Idempotency-Key: so even a push that was killed in that moment
finds the same version again.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx

from polyscribe.errors import (
    ApiError,
    Conflict,
    FolderChanged,
    NotFound,
    NotServingYet,
    Object,
    PolyscribeError,
    Unreachable,
    VersionFailed,
    VersionRejected,
)
from polyscribe.push.folder import CONFIG_FILE, WEIGHTS_FILE, AdapterFolder, read_folder
from polyscribe.push.parts import PartSender, PushObserver, stored_bytes
from polyscribe.settings import config_folder, write_private
from polyscribe.transport import Transport

UPLOADING = "uploading"
SERVING = "serving"
REJECTED = "rejected"
# Findings of an upload that the service gave up, which says nothing about the files.
ENDED_UPLOAD = ("abandoned", "cancelled", "sent_too_often")
POLL_S = 2.0
FOLDER_NAME = "pushes"
REMEMBERED_S = 24 * 3600  # then the service has given an unfinished upload up


@dataclass(frozen=True)
class PushRequest:
    """A folder, the style that it is a version of, and what happens once the version serves."""

    folder: Path
    style: str  # its full name, or its id
    name: str = ""  # of a style that is new
    description: str = ""
    sample_prompt: str = ""
    quantisation: str = ""  # of the base that it was trained on: none, 4-bit, 8-bit, other; empty: unknown
    promote: bool = True
    canary_percent: int | None = None
    timeout_s: float | None = None  # to wait, once all is sent, until the version serves; None: no limit

    @property
    def path(self) -> str:
        """Return the path of the style."""
        return f"/styles/{quote(self.style)}"

    @property
    def auto_promote(self) -> bool:
        """Return whether the version answers all requests as soon as it serves."""
        return self.promote and self.canary_percent is None


@dataclass(frozen=True)
class RememberedPush:
    """A push that has begun. `version_id` is empty until the service has answered."""

    file: Path
    idempotency_key: str
    version_id: str = ""

    @property
    def path(self) -> str:
        """Return the path of the upload."""
        return f"/uploads/{self.version_id}"

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


@dataclass(frozen=True)
class Pusher:
    """Sends adapters to one service for one workspace."""

    service: Transport
    workspace: str
    storage_transport: httpx.BaseTransport | None = None

    def push(self, request: PushRequest, observer: PushObserver) -> Object:
        """Send an adapter, watch it, and return its version once it serves.

        Raises FolderRejected before anything is sent; FolderChanged; VersionRejected or VersionFailed;
        NotServingYet; ApiError; Unreachable or StorageRefused.
        """
        adapter = read_folder(request.folder)
        self._ensure_style(request)
        push, upload = self._begin_or_resume(request, adapter)
        if upload["status"] == UPLOADING:
            self._send_files(push, adapter, upload, observer)
        final = follow_version(self.service, push.path, observer, timeout_s=request.timeout_s)
        version = self.service.get(f"{request.path}/versions/{final['number']}")
        if final["status"] != SERVING:
            push.forget()
            _raise_failure(final, version)
        _require_sent(adapter, version)
        # The first version of a style answers all requests in any case: there is nothing to compare it with.
        if request.canary_percent is not None and not version["is_live"]:
            share = {"version": final["number"], "percent": request.canary_percent}
            self.service.put(f"{request.path}/canary", share)
        push.forget()  # only now: what failed before is made up for by the same command
        return version

    def _ensure_style(self, request: PushRequest) -> None:
        """Create the style if there is none by that name. Raises NotFound for a stranger's."""
        try:
            self.service.get(request.path)
        except NotFound:
            owner, _, slug = request.style.partition("/")
            if owner != self.workspace:
                raise
            name = request.name or slug.replace("-", " ").capitalize()
            texts = {"description": request.description, "sample_prompt": request.sample_prompt}
            given = {field: text for field, text in texts.items() if text}
            self.service.post("/styles", {"slug": slug, "name": name, **given})

    def _begin_or_resume(self, request: PushRequest, adapter: AdapterFolder) -> tuple[RememberedPush, Object]:
        """Return the push of these files that is under way, else a new one; with its upload."""
        push = recall_push(self.service.settings.base_url, request, adapter)
        if push.version_id:
            upload = self._find_upload(push)
            if upload:
                return push, upload
            push = begin_push(push.file)
        announced = {
            "files": [{"name": name, "size_bytes": size} for name, size in adapter.sizes.items()],
            "auto_promote": request.auto_promote,
            "stated_quantisation": request.quantisation,
            "method": "multipart",
        }
        versions = f"{request.path}/versions"
        version = self.service.post(versions, announced, idempotency_key=push.idempotency_key)
        push = push.keep_version(version["id"])
        return push, self.service.get(push.path)

    def _find_upload(self, push: RememberedPush) -> Object | None:
        """Return an upload that was begun earlier; None: the service has given it up, or forgotten it."""
        try:
            upload = self.service.get(push.path)
        except NotFound:
            return None
        codes = [finding["code"] for finding in upload["findings"]]
        return None if any(code in ENDED_UPLOAD for code in codes) else upload

    def _send_files(
        self, push: RememberedPush, adapter: AdapterFolder, upload: Object, observer: PushObserver
    ) -> None:
        """Send what is missing and say that all is there."""
        sender = PartSender(
            lambda parts: self.service.get(push.path, {"parts": parts}),
            folder=adapter,
            observer=observer,
            retries=self.service.retries,
            http_transport=self.storage_transport,
        )
        observer.upload_began(
            upload["model"],
            total_bytes=sum(adapter.sizes.values()),
            stored_bytes=stored_bytes(upload),
        )
        try:
            sender.send_missing_parts()
        except FolderChanged:
            self._give_up(push)
            raise
        finally:
            observer.upload_ended()
        try:
            self.service.post(f"{push.path}/finish")
        except Conflict as error:
            if error.code != "upload_ended":  # then its status tells who ended it
                raise

    def _give_up(self, push: RememberedPush) -> None:
        """Cancel an upload that no longer has a folder; otherwise its parts count for a day."""
        push.forget()
        with suppress(PolyscribeError):  # what was wrong first is told
            self.service.delete(push.path)


def _require_sent(adapter: AdapterFolder, version: Object) -> None:
    """Raise FolderChanged if the service has other files than the folder had when it was checked."""
    for file, field in ((CONFIG_FILE, "config_sha256"), (WEIGHTS_FILE, "sha256")):
        if version[field] not in ("", adapter.file(file).sha256):
            raise FolderChanged(
                f"{version['model']} is serving, but its {file} differs from the one that was checked: "
                "the folder changed during the upload. Retire that version and push the folder again."
            )


def _raise_failure(upload: Object, version: Object) -> None:
    """Raise why a version does not serve."""
    model = upload["model"]
    if upload["status"] == REJECTED:
        raise VersionRejected(f"{model} was rejected.", version=version, findings=upload["findings"])
    reason = upload["failure"] or f"it is {upload['status']}."
    raise VersionFailed(f"{model} is not serving: {reason}", version=version)


class StepWatcher:
    """Tells an observer each change of a version's steps once."""

    def __init__(self, observer: PushObserver) -> None:
        self._observer = observer
        self._told: dict[str, tuple[str, str]] = {}

    def show(self, upload: Object) -> None:
        """Tell what has changed since the last time."""
        for step in upload["steps"]:
            state = (step["state"], step["note"])
            if self._told.get(step["label"]) != state:
                self._told[step["label"]] = state
                self._observer.step_changed(step)


def follow_version(
    service: Transport,
    upload_path: str,
    observer: PushObserver,
    *,
    timeout_s: float | None = None,
) -> Object:
    """Return the upload once its version is final, telling each step on the way.

    Raises NotServingYet after `timeout_s`.
    """
    watcher = StepWatcher(observer)
    has_events = timeout_s is None  # a stream may say nothing for long, and would be waited for
    ends_at = service.retries.clock() + (timeout_s or 0.0)
    while True:
        if has_events:
            has_events = _watch_events(service, upload_path, watcher)
        upload = service.get(upload_path)
        watcher.show(upload)
        if upload["is_final"]:
            return upload
        wait_s = POLL_S
        if timeout_s is not None:
            wait_s = min(POLL_S, ends_at - service.retries.clock())
            if wait_s <= 0:
                raise NotServingYet(_describe_wait(upload, timeout_s), version=upload)
        service.retries.sleep(wait_s)


def _describe_wait(upload: Object, timeout_s: float) -> str:
    """Return what a version that does not serve yet is at, and how to go on."""
    current = next((step for step in upload["steps"] if step["state"] == "current"), None)
    at = f" Current step: “{current['label']}”." if current else ""
    note = f" {current['note']}" if current and current["note"] else ""
    return (
        f"{upload['model']} is not serving yet, {timeout_s:g} s after the upload.{at}{note} It continues "
        "in the background. Run the same command again to keep waiting."
    )


def _watch_events(service: Transport, upload_path: str, watcher: StepWatcher) -> bool:
    """Show steps as they are told; return whether the stream came to its end."""
    try:
        for _, event in service.events("GET", f"{upload_path}/events"):
            watcher.show(json.loads(event.data))
            if event.name == "end":
                break
    except (ApiError, Unreachable):
        return False  # a proxy on the way may let no stream through
    return True
