"""Watching a version until it is final: by server-sent events, else by asking again and again."""

from polyscribe.errors import ApiError, NotServingYet, Unreachable
from polyscribe.objects import Object
from polyscribe.push.observer import PushObserver
from polyscribe.resources.uploads import Uploads
from polyscribe.transport import RetryPolicy

POLL_S = 2.0


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
    uploads: Uploads,
    version_id: str,
    *,
    observer: PushObserver,
    retries: RetryPolicy,
    timeout_s: float | None = None,
) -> Object:
    """Return the upload once its version is final, telling each step on the way.

    Raises NotServingYet after `timeout_s`.
    """
    watcher = StepWatcher(observer)
    has_events = timeout_s is None  # a stream may say nothing for long, and would be waited for
    ends_at = retries.clock() + (timeout_s or 0.0)
    while True:
        if has_events:
            has_events = _watch_events(uploads, version_id, watcher)
        upload = uploads.get(version_id)
        watcher.show(upload)
        if upload["is_final"]:
            return upload
        wait_s = POLL_S
        if timeout_s is not None:
            wait_s = min(POLL_S, ends_at - retries.clock())
            if wait_s <= 0:
                raise NotServingYet(_describe_wait(upload, timeout_s), version=upload)
        retries.sleep(wait_s)


def _describe_wait(upload: Object, timeout_s: float) -> str:
    """Return what a version that does not serve yet is at, and how to go on."""
    current = next((step for step in upload["steps"] if step["state"] == "current"), None)
    at = f" Current step: “{current['label']}”." if current else ""
    note = f" {current['note']}" if current and current["note"] else ""
    return (
        f"{upload['model']} is not serving yet, {timeout_s:g} s after the upload.{at}{note} It continues "
        "in the background. Run the same command again to keep waiting."
    )


def _watch_events(uploads: Uploads, version_id: str, watcher: StepWatcher) -> bool:
    """Show steps as they are told; return whether the stream came to its end."""
    try:
        for upload in uploads.events(version_id):
            watcher.show(upload)
    except (ApiError, Unreachable):
        return False  # a proxy on the way may let no stream through
    return True
