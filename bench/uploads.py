"""`make bench-push`: 300 MB sent in parts through presigned URLs, against curl to the same S3, in turn.

`python -m stack run --services -- python -m bench.uploads`. curl sends the file as one plain PUT. The
parts are begun, presigned, sent several at once and put together, all within the time that counts. Writes
bench/results/push.json and a table in docs/performance.md.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import django
from django.conf import settings

from adapters import object_store
from adapters.object_store.client import presigning_client
from bench import report
from labs import machine

FILE = "adapter_model.safetensors"
SIZE_MB = 300
BLOCK = 1024 * 1024
ROUNDS = 5
AT_ONCE = 4  # as the upload page and the command line send
GOAL = 0.8
TIMEOUT_S = 120


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


def push_in_parts(file: Path) -> None:
    """Send a file in parts, several at once, and put them together. Raises SystemExit."""
    version_id = uuid4()
    size_bytes = file.stat().st_size
    part_bytes = object_store.part_bytes_for(size_bytes)
    upload_id = object_store.begin_parts(version_id, FILE)

    def send(number: int) -> None:
        start = (number - 1) * part_bytes
        length = min(part_bytes, size_bytes - start)
        url = object_store.presign_part(version_id, FILE, upload_id, number=number, size_bytes=length)
        with file.open("rb") as source:
            _put(url, os.pread(source.fileno(), length, start))

    numbers = range(1, -(-size_bytes // part_bytes) + 1)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, numbers))
    stored = object_store.list_parts(version_id, FILE, upload_id)
    etags = {part.number: part.etag for part in stored}
    object_store.complete_parts(version_id, FILE, upload_id, etags)
    _check_and_delete(version_id, file)


def _put(url: str, content: bytes) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
    connection.request("PUT", f"{address.path}?{address.query}", content)
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise SystemExit(f"✗ The storage answered {status} to a part.")


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
    if "S3_ENDPOINT_URL" not in os.environ:
        raise SystemExit("✗ S3_ENDPOINT_URL not set: run this through `make bench-push`.")
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
    verdict = "reached" if ratio >= GOAL else "**missed**"
    text = (
        f"Medians of {ROUNDS} rounds in turn ({machine.model()}).\n\n{report.aligned(rows)}\n\n"
        f"Parts reach {ratio:.0%} of curl's rate. Goal: ≥ {GOAL:.0%}, {verdict}."
    )
    print(text)
    report.between_marks("bench-push", text)
    (report.RESULTS / "push.json").write_text(json.dumps(facts, indent=1) + "\n")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
