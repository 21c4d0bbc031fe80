"""Watching a version until it is final: by server-sent events, else by asking again and again."""

from collections.abc import Mapping
from typing import Any

from polyscribe.errors import ApiError, Unreachable
from polyscribe.push.observer import PushObserver
from polyscribe.resources.uploads import Uploads
from polyscribe.transport import RetryPolicy

POLL_S = 2.0


class StepWatcher:
    """Tells an observer each change of a version's steps once."""

    def __init__(self, observer: PushObserver) -> None:
        self._observer = observer
        self._told: dict[str, tuple[Any, Any]] = {}

    def show(self, upload: Mapping[str, Any]) -> None:
        """Tell what has changed since the last time."""
        for step in upload["steps"]:
            state = (step["state"], step["note"])
            if self._told.get(step["label"]) != state:
                self._told[step["label"]] = state
                self._observer.step_changed(step)


def follow_version(
    uploads: Uploads, version_id: str, *, observer: PushObserver, retries: RetryPolicy
) -> dict[str, Any]:
    """Return the upload once its version is final, telling each step on the way."""
    watcher = StepWatcher(observer)
    has_events = True
    while True:
        if has_events:
            has_events = _watch_events(uploads, version_id, watcher)
        upload = uploads.get(version_id)
        watcher.show(upload)
        if upload["is_final"]:
            return upload
        retries.sleep(POLL_S)


def _watch_events(uploads: Uploads, version_id: str, watcher: StepWatcher) -> bool:
    """Show steps as they are told; return whether the stream came to its end."""
    try:
        for upload in uploads.events(version_id):
            watcher.show(upload)
    except (ApiError, Unreachable):
        return False  # a proxy on the way may let no stream through
    return True
