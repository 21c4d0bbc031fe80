"""`make bench NAME=push`: 300 MB sent in parts through presigned URLs, against curl to the same S3, in turn.

`python -m stack run --services -- python -m bench.uploads`. curl sends the file as one plain PUT. The
parts are begun, presigned, sent by the command line's own sender and put together, all within the time that
counts. Prints a table and writes bench/results/push.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import django
import httpx
from django.conf import settings

from adapters import object_store
from adapters.object_store.client import presigning_client
from bench import report
from labs import machine
from polyscribe import PolyscribeError, PushObserver, RetryPolicy
from polyscribe.push.folder import LocalFile
from polyscribe.push.parts import AT_ONCE, PartSender

FILE = "adapter_model.safetensors"
SIZE_MB = 300
BLOCK = 1024 * 1024
ROUNDS = 5
GOAL = 0.8


def push_with_curl(file: Path) -> None:
    """Send a file as one plain PUT. Raises SystemExit."""
    version_id = uuid4()
    key = object_store.upload_key(version_id, FILE)
    url = presigning_client().generate_presigned_url(
        "put_object", Params={"Bucket": settings.S3_BUCKET, "Key": key}, ExpiresIn=600
    )
    command = ["curl", "--silent", "--fail", "--output", "/dev/null", "--upload-file", str(file), url]
    if subprocess.run(command).returncode:
        raise SystemExit("✗ curl could not send the file.")
    _check_and_delete(version_id, file)


class StorageUploads:
    """Tells `PartSender` what the service's `/api/v1/uploads/{id}` would tell of one file.

    Asked of the storage itself: what is measured is the way of the bytes, not the service's answers.
    """

    def __init__(self, file: LocalFile) -> None:
        self.version_id = uuid4()
        self.size_bytes = file.size_bytes
        self.part_bytes = object_store.part_bytes_for(file.size_bytes)
        self.upload_id = object_store.begin_parts(self.version_id, FILE)

    def get(self, parts: str) -> dict[str, Any]:
        """Return which parts are there, and URLs for those of the asked numbers that are not."""
        stored = object_store.list_parts(self.version_id, FILE, self.upload_id)
        there = {part.number for part in stored}
        part_count = -(-self.size_bytes // self.part_bytes)
        first, last = map(int, parts.split("-"))
        urls = []
        for number in range(first, min(last, part_count) + 1):
            if number not in there:
                length = min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)
                url = object_store.presign_part(
                    self.version_id, FILE, self.upload_id, number=number, size_bytes=length
                )
                urls.append({"number": number, "size_bytes": length, "url": url})
        described = {
            "name": FILE,
            "is_there": len(there) == part_count,
            "part_bytes": self.part_bytes,
            "part_count": part_count,
            "parts_there": [{"number": number} for number in sorted(there)],
            "part_urls": urls,
        }
        return {"files": [described]}

    def finish(self) -> None:
        """Put the parts together."""
        stored = object_store.list_parts(self.version_id, FILE, self.upload_id)
        etags = {part.number: part.etag for part in stored}
        object_store.complete_parts(self.version_id, FILE, self.upload_id, etags)


def push_in_parts(file: Path) -> None:
    """Send a file as the command line does, in parts, and put them together. Raises SystemExit."""
    facts = file.stat()
    local = LocalFile(FILE, file, facts.st_size, facts.st_mtime_ns, sha256="")
    uploads = StorageUploads(local)
    sender = PartSender(
        uploads.get,
        files={FILE: local},
        observer=PushObserver(),
        retries=RetryPolicy(),
        storage=httpx.Client(timeout=60),
    )
    try:
        sender.send_missing_parts()
    except PolyscribeError as error:
        raise SystemExit(f"✗ {error.message}") from error
    uploads.finish()
    _check_and_delete(uploads.version_id, file)


def _check_and_delete(version_id: UUID, file: Path) -> None:
    """Raise SystemExit unless the whole file arrived."""
    found = object_store.uploaded_size(version_id, FILE)
    if found != file.stat().st_size:
        raise SystemExit(f"✗ {found} bytes arrived of {file.stat().st_size}.")
    object_store.erase(version_id)


def measure_rate(push: Callable[[Path], None], file: Path) -> float:
    """Return how many megabytes a second arrive."""
    began_at = time.perf_counter()
    push(file)
    return SIZE_MB / (time.perf_counter() - began_at)


def write_random_file(file: Path) -> None:
    """Write a file that nothing compresses."""
    with file.open("wb") as out:
        for _ in range(SIZE_MB):
            out.write(os.urandom(10**6))


def main() -> int:
    """Measure, print, write."""
    report.require_variables("bench NAME=push", "S3_ENDPOINT_URL")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    curl_rates = []
    parts_rates = []
    with tempfile.TemporaryDirectory(prefix="bench-push-") as folder:
        file = Path(folder) / FILE
        write_random_file(file)
        for number in range(ROUNDS + 1):
            curl = measure_rate(push_with_curl, file)
            parts = measure_rate(push_in_parts, file)
            print(f"  curl {curl:.0f} MB/s, parts {parts:.0f} MB/s", flush=True)
            if number:  # the first round makes the storage's volumes
                curl_rates.append(curl)
                parts_rates.append(parts)
    return _report(curl_rates, parts_rates)


def _report(curl_rates: list[float], parts_rates: list[float]) -> int:
    ratios = [parts / curl for curl, parts in zip(curl_rates, parts_rates, strict=True)]
    ratio = median(ratios)
    facts = {
        "mb": SIZE_MB,
        "rounds": ROUNDS,
        "parts_at_once": AT_ONCE,
        "part_mb": round(object_store.PART_BYTES / 10**6, 1),
        "curl_mb_per_s": round(median(curl_rates), 1),
        "parts_mb_per_s": round(median(parts_rates), 1),
        "ratio": round(ratio, 3),
        "ratio_lowest": round(min(ratios), 3),
        "cpu": machine.model(),
    }
    rows = [["300 MB to the embedded S3", "MB/s"]]
    rows.append(["curl, one PUT", f"{facts['curl_mb_per_s']}"])
    rows.append([f"parts, {AT_ONCE} at once", f"{facts['parts_mb_per_s']}"])
    verdict = report.verdict(ratio >= GOAL)
    text = (
        f"Medians of {ROUNDS} rounds in turn ({machine.model()}).\n\n{report.aligned(rows)}\n\n"
        f"Parts reach {ratio:.0%} of curl's rate. Goal: ≥ {GOAL:.0%}, {verdict}."
    )
    print(text)
    report.write_results("push", facts)
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
