"""A style from texts: files are sent and read, a person agrees to an estimate, the training is followed.

What was sent stays with the service, so an interrupted training can go on.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
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

POLL_S = 2.0
FILES_AT_ONCE = 100  # announced in one request
FINAL = ("succeeded", "failed", "cancelled", "paused")  # nothing follows by itself


class TrainingObserver:
    """Is told how far a training is; this one is silent."""

    def bytes_sent(self, sent_bytes: int, *, total_bytes: int) -> None:
        """So many bytes of the files were sent."""

    def progressed(self, training: Object) -> None:
        """The training was looked at again: `status`, `note`, `percent`, `left_s` and so on."""

    def ended(self) -> None:
        """All files were sent, or nobody follows the training any more."""


@dataclass(frozen=True)
class Texts:
    """What a training is to learn: files by the names that they get there, and a text that was piped in."""

    files: Mapping[str, Path]
    pasted: str = ""


def gather_texts(paths: Sequence[Path], *, pasted: str = "") -> Texts:
    """Return the texts of files, and one that was piped in. Raises NoTexts for what can't be sent."""
    for path in paths:
        if not path.is_file():
            raise NoTexts(f"{path} is not a file. Name the files, such as chapters/*.docx.")
        if path.stat().st_size == 0:
            raise NoTexts(f"{path} is empty.")
    if not paths and not pasted.strip():
        raise NoTexts
    unique = list(dict.fromkeys(paths))
    counts = Counter(path.name for path in unique)
    # Those of one name are told apart by their folders.
    files = {path.name if counts[path.name] == 1 else str(path): path for path in unique}
    return Texts(files, pasted.strip() and pasted)


@dataclass(frozen=True)
class Trainer:
    """Trains styles of one workspace."""

    service: Transport

    def create(self, slug: str, name: str = "") -> str:
        """Return the id of a new training without texts. An own style gets a new version."""
        body = {"slug": slug, "name": name or slug.replace("-", " ").capitalize()}
        training_id: str = self.service.post("/trainings", body)["id"]
        return training_id

    def get(self, training_id: str) -> Object:
        """Return a training with its progress. Raises NotFound."""
        return self.service.get(f"/trainings/{training_id}")

    def start(self, training_id: str, *, rights: bool, keep_documents: bool = False) -> Object:
        """Start a training. `rights`: the texts are yours, or you may train on them."""
        body = {"rights": rights, "keep_documents": keep_documents}
        return self.service.post(f"/trainings/{training_id}/start", body)

    def delete(self, training_id: str) -> None:
        """Delete a training that is not in progress, with its texts. Its version stays."""
        self.service.delete(f"/trainings/{training_id}")

    def documents(self, training_id: str) -> Iterator[Object]:
        """Yield the texts of a training, newest first, with what was read of each."""
        return self.service.pages(f"/trainings/{training_id}/documents")

    def refused(self, training_id: str) -> list[Object]:
        return [document for document in self.documents(training_id) if document["status"] == "refused"]

    def send_texts(self, training_id: str, texts: Texts, observer: TrainingObserver) -> None:
        """Send texts, and have them read. Raises ApiError, Unreachable, StorageRefused."""
        path = f"/trainings/{training_id}"
        sizes = {name: file.stat().st_size for name, file in texts.files.items()}
        names = iter(sizes)
        sent_bytes = 0
        try:
            while some := list(islice(names, FILES_AT_ONCE)):
                announced = [{"name": name, "size_bytes": sizes[name]} for name in some]
                for added in self.service.post(f"{path}/documents", {"files": announced})["data"]:
                    observer.bytes_sent(sent_bytes, total_bytes=sum(sizes.values()))
                    self._send_file(added["upload"], texts.files[added["name"]])
                    sent_bytes += sizes[added["name"]]
        finally:
            observer.ended()
        if texts.pasted:
            self.service.post(f"{path}/text", {"name": "text.txt", "text": texts.pasted})
        self.service.post(f"{path}/documents/finish")

    def _send_file(self, form: Object, path: Path) -> None:
        """Post one file by its form, again where the storage did not get it. Raises StorageRefused."""
        retries = self.service.retries
        for attempt in range(1, retries.attempts + 1):
            with path.open("rb") as file:
                try:
                    answer = self.service.storage.post(form["url"], data=form["fields"], files={"file": file})
                    fault = f"status {answer.status_code}"
                    if answer.is_success:
                        return
                except httpx.TransportError as error:
                    fault = describe(error)
            if attempt < retries.attempts:
                retries.sleep(retries.backoff_s(attempt))
        raise StorageRefused(f"The storage didn't accept {path.name} ({fault}). Run the command again.")

    def wait_for_estimate(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a training once it is ready to start. Raises TextsRefused if its texts can't be used."""
        while any(one["status"] in ("uploading", "uploaded") for one in self.documents(training_id)):
            self.service.retries.sleep(POLL_S)
        if self.get(training_id)["status"] == "draft":
            if not any(document["status"] == "read" for document in self.documents(training_id)):
                raise TextsRefused(documents=self.refused(training_id))
            self.service.post(f"/trainings/{training_id}/estimate")
        training = self._watch(training_id, observer, until=lambda now: now["status"] != "preparing")
        if training["status"] == "draft":
            raise TextsRefused(training["note"], documents=self.refused(training_id))
        return training

    def follow(self, training_id: str, observer: TrainingObserver) -> Object:
        """Return a started training once it has succeeded.

        Raises TrainingFailed, TrainingCancelled, TrainingPaused.
        """
        try:
            final = self._watch(training_id, observer, until=lambda now: now["status"] in FINAL)
        finally:
            observer.ended()
        if final["status"] == "paused":
            raise TrainingPaused(training=final)
        if final["status"] == "failed":
            raise TrainingFailed(final["failure"], training=final)
        if final["status"] == "cancelled":
            raise TrainingCancelled(final["failure"], training=final)
        return final

    def _watch(
        self, training_id: str, observer: TrainingObserver, *, until: Callable[[Object], bool]
    ) -> Object:
        """Return a training once it is as it should be, telling its progress on the way."""
        while True:
            training = self.get(training_id)
            observer.progressed(training)
            if until(training):
                return training
            self.service.retries.sleep(POLL_S)
