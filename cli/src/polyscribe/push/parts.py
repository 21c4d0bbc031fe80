"""Sending the parts that the storage lacks, several at once, straight to presigned addresses."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from polyscribe.errors import FolderChanged, Object, StorageRefused
from polyscribe.push.folder import LocalFile
from polyscribe.transport import RetryPolicy, describe

AT_ONCE = 4
# Parts whose addresses are asked for at once: an address is valid for some ten minutes.
BATCH_PARTS = 48
MAX_PARTS = 10_000  # of a file, as S3 counts
CHUNK_BYTES = 256 * 1024
PUSH_AGAIN = "The upload was discarded. Push the folder again when it is complete."


class PushObserver:
    """Is told what a push does; this one is silent. Several threads send files, and all call `bytes_sent`."""

    def upload_began(self, version: str, *, total_bytes: int, stored_bytes: int) -> None:
        """Files of `total_bytes` are sent as `version`; of these the storage has `stored_bytes` already."""

    def bytes_sent(self, count: int) -> None:
        """`count` more bytes were sent; a negative count: a part is sent again from its beginning."""

    def upload_ended(self) -> None:
        """Every part is in the storage, or the upload failed."""

    def step_changed(self, step: Object) -> None:
        """A step of the version has another state or note: `label`, `state`, `note`."""


@dataclass(frozen=True)
class Part:
    """A part of a file that the storage lacks, and the address to PUT it to."""

    file: LocalFile
    number: int
    start: int
    size_bytes: int
    url: str


class WithoutSignatures(logging.Filter):
    """Takes presigned addresses out of httpx's log: who reads one could send a part in our place."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_signature(fact) for fact in record.args)
        return True


def _without_signature(fact: object) -> object:
    is_signed = isinstance(fact, httpx.URL) and "X-Amz-Signature" in fact.params
    return str(fact).partition("?")[0] if is_signed else fact


logging.getLogger("httpx").addFilter(WithoutSignatures())


class Interrupted(Exception):
    """Another thread was interrupted, so this one stops as well."""


class PartSender:
    """Sends the files of one upload. Each round sends what the service says is missing.

    `read_upload` returns the upload with the addresses of the missing parts of some numbers, such as `1-48`.
    """

    def __init__(
        self,
        read_upload: Callable[[str], Object],
        *,
        files: Mapping[str, LocalFile],
        observer: PushObserver,
        retries: RetryPolicy,
        storage: httpx.Client,
    ) -> None:
        self._read_upload = read_upload
        self._files = files
        self._observer = observer
        self._retries = retries
        self._storage = storage
        self._is_stopping = threading.Event()

    def send_missing_parts(self) -> None:
        """Send every part that the storage lacks.

        Raises FolderChanged for a file that has changed since its check, and StorageRefused when round
        after round fails.
        """
        failed_rounds = 0
        first_number = 1
        while parts := self._ask_for_parts(first_number):
            faults = self._send_batch(parts)
            first_number = parts[0].number if faults else parts[-1].number + 1
            if not faults:
                continue
            failed_rounds = failed_rounds + 1 if len(faults) == len(parts) else 1
            if failed_rounds >= self._retries.attempts:
                raise StorageRefused(
                    f"The storage rejected a part ({faults[0]}). Run the same command again to resume."
                )
            self._retries.sleep(self._retries.backoff_s(failed_rounds))

    def _ask_for_parts(self, first_number: int) -> list[Part]:
        """Return the next parts that are missing, with fresh addresses; none: there is nothing to send."""
        while True:
            first = min(first_number, MAX_PARTS)
            upload = self._read_upload(f"{first}-{min(first + BATCH_PARTS - 1, MAX_PARTS)}")
            parts = self._addressed_parts(upload)
            lowest = _lowest_missing(upload)
            # The lowest one without an address: the upload was finished or cancelled, which its status tells.
            if parts or lowest is None or lowest == first_number:
                return parts
            first_number = lowest

    def _addressed_parts(self, upload: Object) -> list[Part]:
        """Return the missing parts of which an upload tells the addresses, in the order of their numbers."""
        parts = []
        for file in upload["files"]:
            for part in file["part_urls"]:
                start = (part["number"] - 1) * file["part_bytes"]
                local = self._files[file["name"]]
                parts.append(Part(local, part["number"], start, part["size_bytes"], part["url"]))
        return sorted(parts, key=lambda part: part.number)

    def _send_batch(self, parts: list[Part]) -> list[str]:
        """Send parts, several at once; return why some did not arrive."""
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push")
        try:
            return list(filter(None, pool.map(self._send_part, parts)))
        except BaseException:
            self._is_stopping.set()  # Ctrl-C, or a file that changed: no thread sends its part to the end
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _send_part(self, part: Part) -> str:
        """Send one part; return why it did not arrive, or ""."""
        sent: list[int] = []
        headers = {"Content-Length": str(part.size_bytes)}
        try:
            answer = self._storage.put(part.url, content=self._read_chunks(part, sent), headers=headers)
            fault = "" if answer.is_success else f"it returned {answer.status_code}"
        except httpx.TransportError as error:
            fault = describe(error)
        except Interrupted:
            fault = "interrupted"
        if fault:
            self._observer.bytes_sent(-sum(sent))
        return fault

    def _read_chunks(self, part: Part, sent: list[int]) -> Iterator[bytes]:
        """Yield a part's bytes, and count those that went out."""
        try:
            opened = part.file.path.open("rb")
        except OSError as error:
            raise FolderChanged(f"{part.file.name} can no longer be read. {PUSH_AGAIN}") from error
        with opened:
            opened.seek(part.start)
            while left := part.size_bytes - sum(sent):
                chunk = opened.read(min(left, CHUNK_BYTES))
                # After the read, and before the storage has the whole part: so no part is a mixture.
                if part.file.is_changed(opened):
                    raise FolderChanged(f"{part.file.name} changed during the upload. {PUSH_AGAIN}")
                if self._is_stopping.is_set():
                    raise Interrupted
                yield chunk
                sent.append(len(chunk))
                self._observer.bytes_sent(len(chunk))


def _lowest_missing(upload: Object) -> int | None:
    """Return the lowest number of a part that the storage lacks; None: all files are there."""
    missing: set[int] = set()
    for file in upload["files"]:
        if not file["is_there"]:
            there = {part["number"] for part in file["parts_there"]}
            missing |= set(range(1, file["part_count"] + 1)) - there
    return min(missing, default=None)
