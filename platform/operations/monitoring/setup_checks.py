"""How the installation is set up: settings, machine, databases, storage, engines and what trains.

Each `ask_…` is a row of `health.py`. They take their time: only `manage.py doctor` asks them.
"""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from django.conf import settings
from django.db import connection
from redis.connection import parse_url

from adapters.object_store import put_as_browser, refused_origin
from adapters.public import diagnose_engines
from core import valkey
from core.sizes import GIB
from operations import settings_checks
from operations.monitoring.findings import Finding, Level, fault, judge, note, ok
from tenants.models.keys import peppers_in_use

OLDEST_POSTGRESQL = 150_000
CLOCK_OFF_S = 2.0
MEMORY_SHARE = 0.8
LITTLE_BYTES = 5 * GIB
TOO_LITTLE_BYTES = GIB
RENEW_DAYS = 14
TLS_WITHIN_S = 5.0
TRAINING_QUEUE = "training"
ANSWER_WITHIN_S = 2.0
TRAINING_IMPORTS = "import peft, torch, transformers"
IMPORT_WITHIN_S = 180  # PyTorch from a cold disk


def ask_settings() -> Iterator[Finding]:
    """Compare the settings with each other. A process with weak secrets does not start (secret_checks)."""
    faults = settings_checks.find_faults()
    for one in faults:
        yield fault("settings", one.msg, one.hint or "")
    if not faults:
        yield ok("settings", "consistent")
    for one in (*settings_checks.find_gaps(), *settings_checks.find_remarks()):
        yield note("settings", one.msg, one.hint or "")


def ask_base_model() -> Iterator[Finding]:
    """Look for the base model's tokenizer, which counts prompts, and its config."""
    folder = settings.BASE_MODEL_DIR
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    seen = f"{settings.BASE_MODEL} in {folder}"
    if missing:
        seen = f"{folder} is missing {' and '.join(missing)}"
    fix = "Run engine/prepare.py, or set BASE_MODEL_DIR to the model's folder."
    yield judge("base model", seen, fix, is_bad=bool(missing))


def ask_disks() -> Iterator[Finding]:
    """Look at the disks under the folders that this service writes."""
    asked: set[int] = set()
    for folder in (settings.ENGINE_ADAPTERS_DIR, Path("/tmp")):  # noqa: S108 - only looked at
        if folder.exists() and folder.stat().st_dev not in asked:
            asked.add(folder.stat().st_dev)
            free_bytes = shutil.disk_usage(folder).free
            seen = f"{free_bytes / GIB:.1f} GiB free in {folder}"
            fix = "Free up space or use a larger disk. Unused adapters are removed automatically."
            level = Level.FAULT if free_bytes < TOO_LITTLE_BYTES else Level.NOTE
            yield judge("disk", seen, fix, is_bad=free_bytes < LITTLE_BYTES, level=level)


def ask_certificates() -> Iterator[Finding]:
    """Look at the certificate of each public address that has TLS, as a browser sees it."""
    for address in (settings.SITE_URL, settings.S3_PUBLIC_ENDPOINT_URL or ""):
        parts = urlsplit(address)
        if parts.scheme != "https" or not parts.hostname:
            continue
        host, port = parts.hostname, parts.port or 443
        try:
            left_days = _days_left(host, port)
        except (OSError, ssl.SSLError) as error:
            yield fault("certificate", f"{host}:{port}: {error}", "Fix the TLS proxy or its DNS name.")
            continue
        seen = f"{host}: expires in {left_days:.0f} days"
        fix = "Renew it. Caddy renews certificates automatically; if it didn't, check its log."
        yield judge("certificate", seen, fix, is_bad=left_days < RENEW_DAYS)


def _days_left(host: str, port: int) -> float:
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=TLS_WITHIN_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert() or {}
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return (ends_s - time.time()) / 86_400


def ask_database() -> Iterator[Finding]:
    """Look at PostgreSQL's version and encoding."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
            " current_setting('server_encoding')"
        )
        number, version, encoding = cursor.fetchone()
    seen = f"version {version}, {encoding}"
    if number < OLDEST_POSTGRESQL:
        yield fault("database", seen, "Upgrade it to 15 or newer.")
    else:
        yield judge("database", seen, "Recreate the database with UTF8.", is_bad=encoding != "UTF8")


def ask_peppers() -> Iterator[Finding]:
    """Look for live API keys whose pepper API_KEY_PEPPERS no longer has: they are refused."""
    in_use = peppers_in_use()
    lost = {number: count for number, count in in_use.items() if number not in settings.API_KEY_PEPPERS}
    for number, count in sorted(lost.items()):
        yield fault(
            "peppers",
            f"{count} active API keys use pepper {number}, which is not in API_KEY_PEPPERS, so they "
            "are rejected",
            "Add the old pepper next to the new one, as 1:HEX,2:HEX, until those keys are rotated.",
        )
    if not lost:
        numbers = ", ".join(map(str, sorted(settings.API_KEY_PEPPERS)))
        yield ok("peppers", f"API_KEY_PEPPERS has {numbers}; every active key uses one of them")


def ask_valkey_settings() -> Iterator[Finding]:
    """Look at Valkey's memory, what it does when that is full, and whether it writes to disk."""
    client: Any = valkey.client()
    facts = client.info()
    yield ok("Valkey", f"version {facts.get('valkey_version') or facts['redis_version']}")
    if facts.get("maxmemory_policy") != "noeviction":
        yield fault(
            "Valkey",
            f"when its memory is full, it evicts keys ({facts.get('maxmemory_policy')}), including "
            "holds and counters",
            "Start it with --maxmemory-policy noeviction.",
        )
    if not facts.get("aof_enabled"):
        yield note(
            "Valkey",
            "it doesn't write to disk, so usage not yet drained is lost when it stops",
            "Start it with --appendonly yes.",
        )
    most_bytes = facts.get("maxmemory") or facts.get("total_system_memory") or 0
    if most_bytes and facts["used_memory"] > MEMORY_SHARE * most_bytes:
        yield fault("Valkey", f"{facts['used_memory_human']} of memory in use", "Give it more memory.")
    if facts["role"] != "master":
        yield fault("Valkey", "it is a read-only replica", "Point VALKEY_URL to the primary.")
    if _is_same_database():
        yield fault(
            "Valkey",
            "VALKEY_URL and CELERY_BROKER_URL use the same database",
            "Use another database for the broker, such as …/1. Purging the queues would also delete holds.",
        )


def _is_same_database() -> bool:
    own = parse_url(settings.VALKEY_URL)  # type: ignore[no-untyped-call]
    broker = parse_url(settings.CELERY_BROKER_URL)  # type: ignore[no-untyped-call]
    names = ("host", "port", "path")
    is_same_server: bool = [own.get(name) for name in names] == [broker.get(name) for name in names]
    return is_same_server and bool(own.get("db", 0) == broker.get("db", 0))


def ask_clocks() -> Iterator[Finding]:
    """Compare the clocks of PostgreSQL and Valkey with ours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        yield _judge_clock("PostgreSQL", float(cursor.fetchone()[0]))
    client: Any = valkey.client()
    seconds, microseconds = client.time()
    yield _judge_clock("Valkey", seconds + microseconds / 1_000_000)


def _judge_clock(whose: str, clock_s: float) -> Finding:
    off_s = clock_s - time.time()
    fix = "Sync the clocks of both machines (chrony, systemd-timesyncd). Limits and billing depend on them."
    is_bad = abs(off_s) > CLOCK_OFF_S
    return judge(f"{whose}'s clock", f"it is off by {off_s:+.1f} s", fix, is_bad=is_bad)


def ask_uploads() -> Iterator[Finding]:
    """Put an object as a browser would, and ask whether pages may."""
    wrong = put_as_browser()
    fix = "S3_PUBLIC_ENDPOINT_URL must be the URL browsers use. A proxy there must forward the Host header."
    seen = wrong or f"a signed PUT to {settings.S3_PUBLIC_ENDPOINT_URL} works"
    yield judge("uploads", seen, fix, is_bad=bool(wrong))
    wrong = refused_origin(settings.SITE_URL)
    fix = f"Add a CORS rule to the bucket that allows PUT and POST from {settings.SITE_URL}."
    yield judge("uploads", wrong or f"pages on {settings.SITE_URL} can upload", fix, is_bad=bool(wrong))


def ask_engine_limits() -> Iterator[Finding]:
    """Ask every engine for its base model, context and slots, and compare them with its row."""
    fix = "Start it with its registered flags, or update the registration with `manage.py registerengine`."
    for name, differences in diagnose_engines().items():
        for difference in differences:
            yield fault(f"engine {name}", difference, fix)
        if not differences:
            yield ok(f"engine {name}", "running with its registered limits")


def ask_training() -> Iterator[Finding]:
    """Look for a worker that trains, and at the Python that it trains with where that is here."""
    if not settings.TRAINING:
        yield ok("training", "off: no styles are trained from texts")
        return
    workers = find_workers(TRAINING_QUEUE)
    if workers:
        yield ok("training", f"served by {', '.join(workers)}")
    else:
        fix = (
            "Start one: `docker compose --profile training up -d`, or `celery -A config worker -Q training`. "
            "TRAINING=off hides trainings instead."
        )
        yield note("training", "TRAINING is on, and no worker serves its queue", fix)
    is_here = any(worker.endswith(f"@{socket.gethostname()}") for worker in workers)
    if is_here or Path(settings.TRAINING_PYTHON).exists():
        yield _judge_python()


def find_workers(queue: str) -> list[str]:
    """Return the names of workers that serve a queue, `worker@host`, busy ones too.

    Raises kombu.exceptions.OperationalError.
    """
    app = Celery("doctor", set_as_current=False, config_source="django.conf:settings", namespace="CELERY")
    replies = app.control.inspect(timeout=ANSWER_WITHIN_S).active_queues() or {}
    found = []
    for worker, queues in replies.items():
        if any(one["name"] == queue for one in queues):
            found.append(worker)
    return sorted(found)


def _judge_python() -> Finding:
    """Import what the child imports. Workers themselves never do."""
    python = settings.TRAINING_PYTHON
    fix = "Set TRAINING_PYTHON to the engine's Python, with the packages that engine/requirements-*.txt name."
    command = [python, "-c", TRAINING_IMPORTS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return fault("training", f"{python} doesn't start: {error}", fix)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return fault("training", f"{python} can't train: {last[:200]}", fix)
    return ok("training", f"{python} has PyTorch and PEFT")
