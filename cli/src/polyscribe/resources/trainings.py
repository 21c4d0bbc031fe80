"""Trainings: texts that become a version of a style."""

from collections.abc import Iterator, Mapping

from polyscribe.objects import Object
from polyscribe.transport import MANAGEMENT, Transport

TRAININGS = f"{MANAGEMENT}/trainings"

Documents = list[Object]  # in a class with a method `list`, `list` is that


class Trainings:
    """The workspace's trainings, by their ids."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, status: str = "") -> Iterator[Object]:
        """Yield trainings, newest first."""
        return self._transport.pages(TRAININGS, {"status": status})

    def get(self, training_id: str) -> Object:
        """Return a training with its progress. Raises NotFound."""
        return self._transport.call("GET", _address(training_id))

    def create(self, slug: str, *, name: str) -> Object:
        """Return a new training without texts. `slug` may be an own style's, which gets a new version."""
        return self._transport.call("POST", TRAININGS, body={"slug": slug, "name": name})

    def delete(self, training_id: str) -> None:
        """Delete a training that is not in progress, with its texts. Its version stays."""
        self._transport.call("DELETE", _address(training_id))

    def documents(self, training_id: str) -> Iterator[Object]:
        """Yield the texts of a training, newest first, with what was read of each."""
        return self._transport.pages(_address(training_id, "documents"))

    def add_documents(self, training_id: str, files: Mapping[str, int]) -> Documents:
        """Announce files, name → size in bytes; return a document and an upload form for each."""
        announced = [{"name": name, "size_bytes": size_bytes} for name, size_bytes in files.items()]
        address = _address(training_id, "documents")
        added: Documents = self._transport.call("POST", address, body={"files": announced})["data"]
        return added

    def finish_documents(self, training_id: str) -> Object:
        """Have the files read that have arrived; return the training."""
        return self._transport.call("POST", _address(training_id, "documents/finish"))

    def add_text(self, training_id: str, name: str, text: str) -> Object:
        """Add a text; return its document."""
        return self._transport.call("POST", _address(training_id, "text"), body={"name": name, "text": text})

    def estimate(self, training_id: str) -> Object:
        """Begin to prepare a training. Once its status is `ready`, it says what it costs at most."""
        return self._transport.call("POST", _address(training_id, "estimate"))

    def start(self, training_id: str, *, rights: bool, keep_documents: bool = False) -> Object:
        """Start a training. `rights`: the texts are yours, or you may train on them."""
        body = {"rights": rights, "keep_documents": keep_documents}
        return self._transport.call("POST", _address(training_id, "start"), body=body)

    def pause(self, training_id: str) -> Object:
        """Stop a training after its current step, to be resumed later."""
        return self._transport.call("POST", _address(training_id, "pause"))

    def resume(self, training_id: str) -> Object:
        """Queue a paused training again."""
        return self._transport.call("POST", _address(training_id, "resume"))

    def cancel(self, training_id: str) -> Object:
        """End a training. Completed steps are charged."""
        return self._transport.call("POST", _address(training_id, "cancel"))

    def events(self, training_id: str) -> Iterator[Object]:
        """Yield statuses that a training reached and losses at its steps, newest first."""
        return self._transport.pages(_address(training_id, "events"))


def _address(training_id: str, rest: str = "") -> str:
    address = f"{TRAININGS}/{training_id}"
    return f"{address}/{rest}" if rest else address
