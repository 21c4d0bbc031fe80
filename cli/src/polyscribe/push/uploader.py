"""A push from its beginning to its end. Each step is safe to repeat, so a push that was killed can go on.

What is remembered of a push is a small file for each one that is under way, in the folder of the settings. It
is written before the version is made, with the Idempotency-Key: so even a push that was killed in that moment
finds the same version again.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

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
from polyscribe.push.folder import CONFIG_FILE, WEIGHTS_FILE, read_folder
from polyscribe.push.parts import PartSender, PushObserver
from polyscribe.settings import config_folder, write_private
from polyscribe.transport import Transport

# Findings of an upload that the service gave up, which says nothing about the files.
ENDED_UPLOAD = ("abandoned", "cancelled", "sent_too_often")
POLL_S = 2.0
REMEMBERED_S = 24 * 3600  # then the service has given an unfinished upload up


@dataclass
class RememberedPush:
    """A push that has begun. `version_id` is empty until the service has answered."""

    file: Path
    idempotency_key: str = field(default_factory=lambda: str(uuid4()))
    version_id: str = ""

    def save(self) -> None:
        """Write it down. Without a folder to write to, a push can't be resumed, and goes on all the same."""
        with suppress(OSError):
            stored = {"idempotency_key": self.idempotency_key, "version_id": self.version_id}
            write_private(self.file, json.dumps(stored))

    def forget(self) -> None:
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def recall_push(digest: str) -> RememberedPush:
    """Return the push of these very files that is under way, else a new one."""
    folder = config_folder() / "pushes"
    if folder.is_dir():
        for entry in os.scandir(folder):
            with suppress(OSError):  # another push was first
                if entry.stat().st_mtime < time.time() - REMEMBERED_S:
                    Path(entry.path).unlink(missing_ok=True)
    file = folder / f"{digest}.json"
    try:
        return RememberedPush(file, **json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return RememberedPush(file)


@dataclass
class Push:
    """A folder that becomes a version of a style."""

    service: Transport
    folder: Path
    workspace: str
    style: str  # its full name, or its id
    new_style: Mapping[str, str]  # name, description and sample prompt of a style that is new
    quantisation: str
    auto_promote: bool  # whether the version answers all requests as soon as it serves
    observer: PushObserver

    @property
    def upload_path(self) -> str:
        return f"/uploads/{self.remembered.version_id}"

    def run(self, *, canary_percent: int | None = None, timeout_s: float | None = None) -> Object:
        """Send the adapter, watch it, and return its version once it serves.

        Raises FolderRejected before anything is sent; FolderChanged; VersionRejected or VersionFailed;
        NotServingYet; ApiError; Unreachable or StorageRefused.
        """
        self.files = read_folder(self.folder)
        self.style_path = f"/styles/{quote(self.style)}"
        self._ensure_style()
        self.remembered = recall_push(self._digest())
        upload = self._resume_upload() or self._begin_upload()
        if upload["status"] == "uploading":
            self._send_files(upload)
        final = self._follow(timeout_s)
        version = self.service.get(f"{self.style_path}/versions/{final['number']}")
        if final["status"] != "serving":
            self.remembered.forget()
            raise _failure_of(final, version)
        self._require_sent(version)
        # The first version of a style answers all requests in any case: there is nothing to compare it with.
        if canary_percent is not None and not version["is_live"]:
            share = {"version": final["number"], "percent": canary_percent}
            self.service.put(f"{self.style_path}/canary", share)
        self.remembered.forget()  # only now: what failed before is made up for by the same command
        return version

    def _ensure_style(self) -> None:
        """Create the style if there is none by that name. Raises NotFound for a stranger's."""
        try:
            self.service.get(self.style_path)
        except NotFound:
            owner, _, slug = self.style.partition("/")
            if owner != self.workspace:
                raise
            given = {name: text for name, text in self.new_style.items() if text}
            name = slug.replace("-", " ").capitalize()
            self.service.post("/styles", {"slug": slug, "name": name, **given})

    def _digest(self) -> str:
        """Return the name under which the push is remembered: other files or options are another push."""
        files = [[one.name, one.size_bytes, one.modified_ns, one.sha256] for one in self.files.values()]
        address = self.service.settings.base_url
        facts = [address, self.style, self.auto_promote, self.quantisation, files]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def _resume_upload(self) -> Object | None:
        """Return the upload that was begun earlier; None: the service has given it up, or forgotten it."""
        if not self.remembered.version_id:
            return None
        with suppress(NotFound):
            upload = self.service.get(self.upload_path)
            if not any(finding["code"] in ENDED_UPLOAD for finding in upload["findings"]):
                return upload
        self.remembered = RememberedPush(self.remembered.file)
        return None

    def _begin_upload(self) -> Object:
        self.remembered.save()
        announced = {
            "files": [{"name": one.name, "size_bytes": one.size_bytes} for one in self.files.values()],
            "auto_promote": self.auto_promote,
            "stated_quantisation": self.quantisation,
            "method": "multipart",
        }
        key = self.remembered.idempotency_key
        version = self.service.post(f"{self.style_path}/versions", announced, idempotency_key=key)
        self.remembered.version_id = version["id"]
        self.remembered.save()
        return self.service.get(self.upload_path)

    def _send_files(self, upload: Object) -> None:
        """Send what is missing and say that all is there."""
        stored = [part["size_bytes"] for file in upload["files"] for part in file["parts_there"]]
        total_bytes = sum(file.size_bytes for file in self.files.values())
        sender = PartSender(
            lambda parts: self.service.get(self.upload_path, {"parts": parts}),
            files=self.files,
            observer=self.observer,
            retries=self.service.retries,
            storage=self.service.storage,
        )
        self.observer.upload_began(upload["model"], total_bytes=total_bytes, stored_bytes=sum(stored))
        try:
            sender.send_missing_parts()
        except FolderChanged:  # without a folder, the parts would count for a day
            self.remembered.forget()
            with suppress(PolyscribeError):  # what was wrong first is told
                self.service.delete(self.upload_path)
            raise
        finally:
            self.observer.upload_ended()
        try:
            self.service.post(f"{self.upload_path}/finish")
        except Conflict as error:
            if error.code != "upload_ended":  # then its status tells who ended it
                raise

    def _follow(self, timeout_s: float | None) -> Object:
        """Return the upload once its version is final, telling each step on the way.

        Raises NotServingYet after `timeout_s`.
        """
        told: dict[str, tuple[str, str]] = {}
        has_events = timeout_s is None  # a stream may say nothing for long, and would be waited for
        retries = self.service.retries
        ends_at = retries.clock() + (timeout_s or 0.0)
        while True:
            if has_events:
                has_events = self._watch_events(told)
            upload = self.service.get(self.upload_path)
            self._tell_steps(upload, told)
            if upload["is_final"]:
                return upload
            wait_s = POLL_S
            if timeout_s is not None:
                wait_s = min(POLL_S, ends_at - retries.clock())
                if wait_s <= 0:
                    raise NotServingYet(_describe_wait(upload, timeout_s), version=upload)
            retries.sleep(wait_s)

    def _watch_events(self, told: dict[str, tuple[str, str]]) -> bool:
        """Tell steps as their events come; return whether the stream came to its end."""
        try:
            for _, name, data in self.service.events("GET", f"{self.upload_path}/events"):
                self._tell_steps(json.loads(data), told)
                if name == "end":
                    break
        except (ApiError, Unreachable):
            return False  # a proxy on the way may let no stream through
        return True

    def _tell_steps(self, upload: Object, told: dict[str, tuple[str, str]]) -> None:
        for step in upload["steps"]:
            state = (step["state"], step["note"])
            if told.get(step["label"]) != state:
                told[step["label"]] = state
                self.observer.step_changed(step)

    def _require_sent(self, version: Object) -> None:
        """Raise FolderChanged if the service has other files than the folder had when it was checked."""
        for name, hashed in ((CONFIG_FILE, "config_sha256"), (WEIGHTS_FILE, "sha256")):
            if version[hashed] not in ("", self.files[name].sha256):
                raise FolderChanged(
                    f"{version['model']} is serving, but its {name} differs from the one that was checked: "
                    "the folder changed during the upload. Retire that version and push the folder again."
                )


def _failure_of(upload: Object, version: Object) -> VersionRejected | VersionFailed:
    model = upload["model"]
    if upload["status"] == "rejected":
        return VersionRejected(f"{model} was rejected.", version=version, findings=upload["findings"])
    reason = upload["failure"] or f"it is {upload['status']}."
    return VersionFailed(f"{model} is not serving: {reason}", version=version)


def _describe_wait(upload: Object, timeout_s: float) -> str:
    """Return what a version that does not serve yet is at, and how to go on."""
    at = ""
    for step in upload["steps"]:
        if step["state"] == "current":
            at = f" Current step: “{step['label']}”. {step['note'] or ''}".rstrip()
    return (
        f"{upload['model']} is not serving yet, {timeout_s:g} s after the upload.{at} It continues "
        "in the background. Run the same command again to keep waiting."
    )
