"""Disks of this machine, and the certificates of the TLS proxy in front."""

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from core.sizes import GIB
from operations.doctor.findings import Finding, fault, note, ok
from operations.doctor.setup import site_hosts

LITTLE_BYTES = 5 * GIB
TOO_LITTLE_BYTES = GIB
RENEW_DAYS = 14
TIMEOUT_S = 5.0


def check_disks() -> Iterator[Finding]:
    """Look at the disks under the folders that this service writes."""
    seen: set[int] = set()
    for folder in (settings.ENGINE_ADAPTERS_DIR, Path("/tmp")):  # noqa: S108 - only looked at
        if folder.exists() and folder.stat().st_dev not in seen:
            seen.add(folder.stat().st_dev)
            yield _judge_disk(folder, shutil.disk_usage(folder).free)


def _judge_disk(folder: Path, free_bytes: int) -> Finding:
    seen = f"{free_bytes / GIB:.1f} GiB free in {folder}"
    fix = "Free up space or use a larger disk. Unused adapters are removed automatically."
    if free_bytes < TOO_LITTLE_BYTES:
        return fault("disk", seen, fix)
    return note("disk", seen, fix) if free_bytes < LITTLE_BYTES else ok("disk", seen)


def check_certificates() -> Iterator[Finding]:
    """Look at the certificate of each public address, as a browser sees it."""
    for host, port in site_hosts():
        try:
            left_days = _days_left(host, port)
        except (OSError, ssl.SSLError) as error:
            yield fault("certificate", f"{host}:{port}: {error}", "Fix the TLS proxy or its DNS name.")
            continue
        seen = f"{host}: expires in {left_days:.0f} days"
        if left_days < RENEW_DAYS:
            yield fault(
                "certificate",
                seen,
                "Renew it. Caddy renews certificates automatically; if it didn't, check its log.",
            )
        else:
            yield ok("certificate", seen)


def _days_left(host: str, port: int) -> float:
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert() or {}
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return (ends_s - time.time()) / 86_400
