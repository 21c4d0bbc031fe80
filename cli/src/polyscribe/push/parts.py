"""Sending the parts that the storage lacks, several at once, straight to presigned addresses."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from polyscribe.errors import FolderChanged, Object, StorageRefused
from polyscribe.push.folder import AdapterFolder, LocalFile
from polyscribe.transport import RetryPolicy, describe

AT_ONCE = 4
# Parts whose addresses are asked for at once: an address is valid for some ten minutes.
BATCH_PARTS = 48
MAX_PARTS = 10_000  # of a file, as S3 counts
CHUNK_BYTES = 256 * 1024
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
GO_ON = "Run the same command again to resume."
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
        """Shorten the addresses of a record; keep the record."""
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
        folder: AdapterFolder,
        observer: PushObserver,
        retries: RetryPolicy,
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._read_upload = read_upload
        self._folder = folder
        self._observer = observer
        self._retries = retries
        self._http_transport = http_transport
        self._is_stopping = threading.Event()
        self._next_number = 1

    def send_missing_parts(self) -> None:
        """Send every part that the storage lacks.

        Raises FolderChanged for a file that has changed since its check, and StorageRefused when round
        after round fails.
        """
        failed_rounds = 0
        with httpx.Client(timeout=TIMEOUT, transport=self._http_transport) as http:
            while parts := self._ask_for_parts():
                faults = self._send_batch(http, parts)
                if not faults:
                    self._next_number = parts[-1].number + 1
                    continue
                failed_rounds = failed_rounds + 1 if len(faults) == len(parts) else 1
                if failed_rounds >= self._retries.attempts:
                    raise StorageRefused(f"The storage rejected a part ({faults[0]}). {GO_ON}")
                self._retries.sleep(self._retries.backoff_s(failed_rounds))

    def _ask_for_parts(self) -> list[Part]:
        """Return the next parts that are missing, with fresh addresses; none: there is nothing to send."""
        while True:
            first = min(self._next_number, MAX_PARTS)
            last = min(first + BATCH_PARTS - 1, MAX_PARTS)
            upload = self._read_upload(f"{first}-{last}")
            parts = addressed_parts(upload, self._folder)
            lowest = lowest_missing(upload)
            # The lowest one without an address: the upload was finished or cancelled, which its status tells.
            if parts or lowest is None or lowest == self._next_number:
                return parts
            self._next_number = lowest

    def _send_batch(self, http: httpx.Client, parts: list[Part]) -> list[str]:
        """Send parts, several at once; return why some did not arrive."""
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push")
        try:
            faults = list(pool.map(lambda part: self._send_part(http, part), parts))
        except BaseException:
            self._is_stopping.set()  # Ctrl-C, or a file that changed: no thread sends its part to the end
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return [fault for fault in faults if fault]

    def _send_part(self, http: httpx.Client, part: Part) -> str:
        """Send one part; return why it did not arrive, or ""."""
        sent = _Counter(self._observer)
        headers = {"Content-Length": str(part.size_bytes)}
        try:
            answer = http.put(part.url, content=self._read_chunks(part, sent), headers=headers)
        except httpx.TransportError as error:
            sent.take_back()
            return describe(error)
        except Interrupted:
            return "interrupted"
        if answer.is_success:
            return ""
        sent.take_back()
        return f"it returned {answer.status_code}"

    def _read_chunks(self, part: Part, sent: "_Counter") -> Iterator[bytes]:
        try:
            opened = part.file.path.open("rb")
        except OSError as error:
            raise FolderChanged(f"{part.file.name} can no longer be read. {PUSH_AGAIN}") from error
        with opened:
            opened.seek(part.start)
            left = part.size_bytes
            while left:
                chunk = opened.read(min(left, CHUNK_BYTES))
                # After the read, and before the storage has the whole part: so no part is a mixture.
                if part.file.is_changed(opened):
                    raise FolderChanged(f"{part.file.name} changed during the upload. {PUSH_AGAIN}")
                if self._is_stopping.is_set():
                    raise Interrupted
                yield chunk
                left -= len(chunk)
                sent.add(len(chunk))


class _Counter:
    """The bytes of one part that went out."""

    def __init__(self, observer: PushObserver) -> None:
        self._observer = observer
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        self._observer.bytes_sent(count)

    def take_back(self) -> None:
        """The part is sent again from its beginning."""
        self._observer.bytes_sent(-self._count)


def addressed_parts(upload: Object, folder: AdapterFolder) -> list[Part]:
    """Return the missing parts of which an upload tells the addresses, in the order of their numbers."""
    parts = []
    for file in upload["files"]:
        for part in file["part_urls"]:
            start = (part["number"] - 1) * file["part_bytes"]
            local = folder.file(file["name"])
            parts.append(Part(local, part["number"], start, part["size_bytes"], part["url"]))
    return sorted(parts, key=lambda part: part.number)


def lowest_missing(upload: Object) -> int | None:
    """Return the lowest number of a part that the storage lacks; None: all files are there."""
    missing: set[int] = set()
    for file in upload["files"]:
        if not file["is_there"]:
            there = {part["number"] for part in file["parts_there"]}
            missing |= set(range(1, file["part_count"] + 1)) - there
    return min(missing, default=None)


def stored_bytes(upload: Object) -> int:
    """Return how many bytes of an upload the storage has."""
    count = 0
    for file in upload["files"]:
        count += sum(part["size_bytes"] for part in file["parts_there"])
    return count
