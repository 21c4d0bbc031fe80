"""A push from its beginning to its end. Each step is safe to repeat, so a push that was killed can go on."""

from contextlib import suppress
from dataclasses import dataclass

import httpx

from polyscribe.errors import (
    Conflict,
    FolderChanged,
    NotFound,
    PolyscribeError,
    VersionFailed,
    VersionRejected,
)
from polyscribe.objects import Object
from polyscribe.push.folder import CONFIG_FILE, WEIGHTS_FILE, AdapterFolder, read_folder
from polyscribe.push.follow import follow_version
from polyscribe.push.memory import RememberedPush, begin_push, recall_push
from polyscribe.push.observer import PushObserver
from polyscribe.push.parts import PartSender, stored_bytes
from polyscribe.push.request import PushRequest
from polyscribe.resources.styles import Releases, Styles, Versions
from polyscribe.resources.uploads import Uploads
from polyscribe.transport import RetryPolicy

UPLOADING = "uploading"
SERVING = "serving"
REJECTED = "rejected"
# Findings of an upload that the service gave up, which says nothing about the files.
ENDED_UPLOAD = ("abandoned", "cancelled", "sent_too_often")


@dataclass(frozen=True)
class Pusher:
    """Sends adapters to one service for one workspace."""

    styles: Styles
    versions: Versions
    releases: Releases
    uploads: Uploads
    base_url: str
    workspace: str
    retries: RetryPolicy
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
        final = follow_version(
            self.uploads,
            push.version_id,
            observer=observer,
            retries=self.retries,
            timeout_s=request.timeout_s,
        )
        version = self.versions.get(request.style, final["number"])
        if final["status"] != SERVING:
            push.forget()
            _raise_failure(final, version)
        _require_sent(adapter, version)
        # The first version of a style answers all requests in any case: there is nothing to compare it with.
        if request.canary_percent is not None and not version["is_live"]:
            self.releases.set_canary(request.style, final["number"], request.canary_percent)
        push.forget()  # only now: what failed before is made up for by the same command
        return version

    def _ensure_style(self, request: PushRequest) -> None:
        """Create the style if there is none by that name. Raises NotFound for a stranger's."""
        try:
            self.styles.get(request.style)
        except NotFound:
            owner, _, slug = request.style.partition("/")
            if owner != self.workspace:
                raise
            name = request.name or slug.replace("-", " ").capitalize()
            texts = {"description": request.description, "sample_prompt": request.sample_prompt}
            given = {field: text for field, text in texts.items() if text}
            self.styles.create(slug, name=name, **given)

    def _begin_or_resume(self, request: PushRequest, adapter: AdapterFolder) -> tuple[RememberedPush, Object]:
        """Return the push of these files that is under way, else a new one; with its upload."""
        push = recall_push(self.base_url, request, adapter)
        if push.version_id:
            upload = self._find_upload(push.version_id)
            if upload:
                return push, upload
            push = begin_push(push.file)
        version = self.versions.create(
            request.style,
            files=adapter.sizes,
            auto_promote=request.auto_promote,
            quantisation=request.quantisation,
            idempotency_key=push.idempotency_key,
        )
        push = push.keep_version(version["id"])
        return push, self.uploads.get(push.version_id)

    def _find_upload(self, version_id: str) -> Object | None:
        """Return an upload that was begun earlier; None: the service has given it up, or forgotten it."""
        try:
            upload = self.uploads.get(version_id)
        except NotFound:
            return None
        codes = [finding["code"] for finding in upload["findings"]]
        return None if any(code in ENDED_UPLOAD for code in codes) else upload

    def _send_files(
        self, push: RememberedPush, adapter: AdapterFolder, upload: Object, observer: PushObserver
    ) -> None:
        """Send what is missing and say that all is there."""
        sender = PartSender(
            self.uploads,
            version_id=push.version_id,
            folder=adapter,
            observer=observer,
            retries=self.retries,
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
            self.uploads.finish(push.version_id)
        except Conflict as error:
            if error.code != "upload_ended":  # then its status tells who ended it
                raise

    def _give_up(self, push: RememberedPush) -> None:
        """Cancel an upload that no longer has a folder; otherwise its parts count for a day."""
        push.forget()
        with suppress(PolyscribeError):  # what was wrong first is told
            self.uploads.abort(push.version_id)


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
