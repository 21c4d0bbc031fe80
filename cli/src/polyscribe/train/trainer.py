"""A training from its texts to its version. What was sent stays there, so an interrupted one can go on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from polyscribe.errors import StorageRefused, TextsRefused, TrainingCancelled, TrainingFailed, TrainingPaused
from polyscribe.objects import Object
from polyscribe.resources.trainings import Trainings
from polyscribe.train.observer import TrainingObserver
from polyscribe.train.texts import Texts
from polyscribe.transport import RetryPolicy, describe

POLL_S = 2.0
FILES_AT_ONCE = 100  # announced in one request
CHUNK_BYTES = 256 * 1024
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
DRAFT, PREPARING, READY = "draft", "preparing", "ready"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
PAUSED = "paused"
FINAL = (SUCCEEDED, FAILED, CANCELLED, PAUSED)  # nothing follows by itself
OPEN = (DRAFT, PREPARING, READY)
UNREAD = ("uploading", "uploaded")


@dataclass(frozen=True)
class Trainer:
    """Trains styles of one workspace."""

    trainings: Trainings
    retries: RetryPolicy
    storage_transport: httpx.BaseTransport | None = None

    def send_texts(self, training_id: str, texts: Texts, observer: TrainingObserver) -> None:
        """Send texts, and have them read. Raises ApiError, Unreachable, StorageRefused."""
        sizes = texts.sizes
        observer.files_began(total_bytes=sum(sizes.values()))
        try:
            names = list(sizes)
            for start in range(0, len(names), FILES_AT_ONCE):
                some = {name: sizes[name] for name in names[start : start + FILES_AT_ONCE]}
                self._send_files(training_id, some, texts, observer)
        finally:
            observer.files_ended()
        for name, text in texts.pasted.items():
            self.trainings.add_text(training_id, name, text)
        self.trainings.finish_documents(training_id)

    def wait_for_estimate(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a training once it is ready to start. Raises TextsRefused if its texts can't be used."""
        while any(document["status"] in UNREAD for document in self.trainings.documents(training_id)):
            self.retries.sleep(POLL_S)
        training = self.trainings.get(training_id)
        if training["status"] == DRAFT:
            self._require_read(training_id)
            training = self.trainings.estimate(training_id)
        training = self._watch(training, observer, until=lambda now: now["status"] != PREPARING)
        if training["status"] == DRAFT:
            raise TextsRefused(training["note"], documents=self._refused(training_id))
        return training

    def follow(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a started training once it has succeeded.

        Raises TrainingFailed, TrainingCancelled, TrainingPaused.
        """
        training = self.trainings.get(training_id)
        try:
            final = self._watch(training, observer, until=lambda now: now["status"] in FINAL)
        finally:
            observer.ended()
        if final["status"] == PAUSED:
            raise TrainingPaused(training=final)
        if final["status"] == FAILED:
            raise TrainingFailed(final["failure"], training=final)
        if final["status"] == CANCELLED:
            raise TrainingCancelled(final["failure"], training=final)
        return final

    def _watch(
        self, training: Object, observer: TrainingObserver, *, until: Callable[[Object], bool]
    ) -> Object:
        """Return a training once it is as it should be, telling each change on the way."""
        seen: tuple[str, str] | None = None
        while True:
            state = (training["status"], training["note"])
            if state != seen:
                seen = state
                observer.status_changed(training)
            observer.progressed(training)
            if until(training):
                return training
            self.retries.sleep(POLL_S)
            training = self.trainings.get(training["id"])

    def _require_read(self, training_id: str) -> None:
        documents = list(self.trainings.documents(training_id))
        if not any(document["status"] == "read" for document in documents):
            raise TextsRefused(documents=self._refused(training_id))

    def _refused(self, training_id: str) -> list[Object]:
        documents = self.trainings.documents(training_id)
        return [document for document in documents if document["status"] == "refused"]

    def _send_files(
        self, training_id: str, sizes: dict[str, int], texts: Texts, observer: TrainingObserver
    ) -> None:
        added = self.trainings.add_documents(training_id, sizes)
        with httpx.Client(timeout=TIMEOUT, transport=self.storage_transport) as storage:
            for document in added:
                self._send_file(storage, document["upload"], texts.files[document["name"]], observer)

    def _send_file(self, storage: httpx.Client, form: Object, path: Path, observer: TrainingObserver) -> None:
        """Post one file by its form, again where the storage did not get it. Raises StorageRefused."""
        for attempt in range(1, self.retries.attempts + 1):
            with path.open("rb") as file:
                try:
                    answer = storage.post(form["url"], data=form["fields"], files={"file": file})
                    fault = "" if answer.is_success else f"status {answer.status_code}"
                except httpx.TransportError as error:
                    fault = describe(error)
            if not fault:
                observer.bytes_sent(path.stat().st_size)
                return
            if attempt < self.retries.attempts:
                self.retries.sleep(self.retries.backoff_s(attempt))
        raise StorageRefused(f"The storage didn't accept {path.name} ({fault}). Run the command again.")
