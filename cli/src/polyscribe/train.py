"""A style from texts: files are sent and read, a person agrees to an estimate, the training is followed.

What was sent stays with the service, so an interrupted training can go on.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from polyscribe.errors import (
    NoTexts,
    Object,
    StorageRefused,
    TextsRefused,
    TrainingCancelled,
    TrainingFailed,
    TrainingPaused,
)
from polyscribe.transport import Transport, describe

TRAININGS = "/trainings"
POLL_S = 2.0
FILES_AT_ONCE = 100  # announced in one request
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
DRAFT, PREPARING, READY = "draft", "preparing", "ready"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
PAUSED = "paused"
FINAL = (SUCCEEDED, FAILED, CANCELLED, PAUSED)  # nothing follows by itself
OPEN = (DRAFT, PREPARING, READY)
UNREAD = ("uploading", "uploaded")


class TrainingObserver:
    """Is told how far a training is; this one is silent."""

    def files_began(self, *, total_bytes: int) -> None:
        """Files of so many bytes are sent."""

    def bytes_sent(self, count: int) -> None:
        """`count` more bytes were sent."""

    def files_ended(self) -> None:
        """Every file is in the storage, or sending failed."""

    def status_changed(self, training: Object) -> None:
        """The training has another status or note."""

    def progressed(self, training: Object) -> None:
        """The training was looked at again: `percent`, `left_s`, `training_loss` and so on."""

    def ended(self) -> None:
        """Nobody follows it any more."""


@dataclass(frozen=True)
class Texts:
    """What a training is to learn: files by the names that they get there, and texts by theirs."""

    files: Mapping[str, Path] = field(default_factory=dict)
    pasted: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """The files' sizes in bytes."""
        return {name: path.stat().st_size for name, path in self.files.items()}


def gather_texts(paths: Sequence[Path], *, pasted: str = "") -> Texts:
    """Return the texts of files, and one that was piped in. Raises NoTexts for what can't be sent."""
    for path in paths:
        if not path.is_file():
            raise NoTexts(f"{path} is not a file. Name the files, such as chapters/*.docx.")
        if path.stat().st_size == 0:
            raise NoTexts(f"{path} is empty.")
    if not paths and not pasted.strip():
        raise NoTexts
    return Texts(_name_files(paths), {"text.txt": pasted} if pasted.strip() else {})


def _name_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Return each file by its name; those of one name are told apart by their folders."""
    unique = list(dict.fromkeys(paths))
    counts = Counter(path.name for path in unique)
    return {path.name if counts[path.name] == 1 else str(path): path for path in unique}


@dataclass(frozen=True)
class Trainer:
    """Trains styles of one workspace."""

    service: Transport
    storage_transport: httpx.BaseTransport | None = None

    def create(self, slug: str, name: str = "") -> str:
        """Return the id of a new training without texts. An own style gets a new version."""
        body = {"slug": slug, "name": name or slug.replace("-", " ").capitalize()}
        training_id: str = self.service.post(TRAININGS, body)["id"]
        return training_id

    def get(self, training_id: str) -> Object:
        """Return a training with its progress. Raises NotFound."""
        return self.service.get(f"{TRAININGS}/{training_id}")

    def start(self, training_id: str, *, rights: bool, keep_documents: bool = False) -> Object:
        """Start a training. `rights`: the texts are yours, or you may train on them."""
        body = {"rights": rights, "keep_documents": keep_documents}
        return self.service.post(f"{TRAININGS}/{training_id}/start", body)

    def delete(self, training_id: str) -> None:
        """Delete a training that is not in progress, with its texts. Its version stays."""
        self.service.delete(f"{TRAININGS}/{training_id}")

    def documents(self, training_id: str) -> Iterator[Object]:
        """Yield the texts of a training, newest first, with what was read of each."""
        return self.service.pages(f"{TRAININGS}/{training_id}/documents")

    def refused(self, training_id: str) -> list[Object]:
        """Return the texts that can't be used."""
        return [document for document in self.documents(training_id) if document["status"] == "refused"]

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
            self.service.post(f"{TRAININGS}/{training_id}/text", {"name": name, "text": text})
        self.service.post(f"{TRAININGS}/{training_id}/documents/finish")

    def wait_for_estimate(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a training once it is ready to start. Raises TextsRefused if its texts can't be used."""
        while any(document["status"] in UNREAD for document in self.documents(training_id)):
            self.service.retries.sleep(POLL_S)
        training = self.get(training_id)
        if training["status"] == DRAFT:
            self._require_read(training_id)
            training = self.service.post(f"{TRAININGS}/{training_id}/estimate")
        training = self._watch(training, observer, until=lambda now: now["status"] != PREPARING)
        if training["status"] == DRAFT:
            raise TextsRefused(training["note"], documents=self.refused(training_id))
        return training

    def follow(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a started training once it has succeeded.

        Raises TrainingFailed, TrainingCancelled, TrainingPaused.
        """
        training = self.get(training_id)
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
            self.service.retries.sleep(POLL_S)
            training = self.get(training["id"])

    def _require_read(self, training_id: str) -> None:
        documents = list(self.documents(training_id))
        if not any(document["status"] == "read" for document in documents):
            raise TextsRefused(documents=self.refused(training_id))

    def _send_files(
        self, training_id: str, sizes: dict[str, int], texts: Texts, observer: TrainingObserver
    ) -> None:
        announced = [{"name": name, "size_bytes": size} for name, size in sizes.items()]
        added = self.service.post(f"{TRAININGS}/{training_id}/documents", {"files": announced})["data"]
        with httpx.Client(timeout=TIMEOUT, transport=self.storage_transport) as storage:
            for document in added:
                self._send_file(storage, document["upload"], texts.files[document["name"]], observer)

    def _send_file(self, storage: httpx.Client, form: Object, path: Path, observer: TrainingObserver) -> None:
        """Post one file by its form, again where the storage did not get it. Raises StorageRefused."""
        for attempt in range(1, self.service.retries.attempts + 1):
            with path.open("rb") as file:
                try:
                    answer = storage.post(form["url"], data=form["fields"], files={"file": file})
                    fault = "" if answer.is_success else f"status {answer.status_code}"
                except httpx.TransportError as error:
                    fault = describe(error)
            if not fault:
                observer.bytes_sent(path.stat().st_size)
                return
            if attempt < self.service.retries.attempts:
                self.service.retries.sleep(self.service.retries.backoff_s(attempt))
        raise StorageRefused(f"The storage didn't accept {path.name} ({fault}). Run the command again.")
