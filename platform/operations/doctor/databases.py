"""PostgreSQL and Valkey: whether they answer, fit, and have our clock."""

import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection
from redis.connection import parse_url

from core import valkey
from operations.doctor.findings import Finding, fault, fault_or_ok, note, ok
from operations.monitoring import health
from tenants.key_secrets import peppers_in_use

OLDEST_POSTGRESQL = 150_000
CLOCK_OFF_S = 2.0
CLOCK_FIX = "Sync the clocks of both machines (chrony, systemd-timesyncd). Limits and billing depend on them."
MEMORY_SHARE = 0.8


def check_postgresql() -> Iterator[Finding]:
    """Look at PostgreSQL's version, encoding and clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
            " current_setting('server_encoding'), extract(epoch FROM clock_timestamp())"
        )
        number, version, encoding, clock_s = cursor.fetchone()
    if number < OLDEST_POSTGRESQL:
        yield fault("PostgreSQL", f"version {version}", "Upgrade it to 15 or newer.")
    elif encoding != "UTF8":
        yield fault("PostgreSQL", f"the encoding is {encoding}", "Recreate the database with UTF8.")
    else:
        yield ok("PostgreSQL", f"{version} answers")
    yield from _judge_clock("PostgreSQL", float(clock_s))


def check_migrations() -> Iterator[Finding]:
    """Look for migrations that are not applied."""
    missing = health.missing_migrations()
    yield fault_or_ok(
        "migrations",
        f"{len(missing)} not applied, starting with {missing[0]}" if missing else "",
        "Run `manage.py migrate` (compose: `docker compose run --rm migrate`).",
        well="all are applied",
    )


def check_peppers() -> Iterator[Finding]:
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


def check_valkey() -> Iterator[Finding]:
    """Look at Valkey's memory, what it does when that is full, whether it writes to disk, and its clock."""
    client: Any = valkey.client()
    facts = client.info()
    yield ok("Valkey", f"version {facts.get('valkey_version') or facts['redis_version']} is running")
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
    seconds, microseconds = client.time()
    yield from _judge_clock("Valkey", seconds + microseconds / 1_000_000)
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


def _judge_clock(subject: str, clock_s: float) -> Iterator[Finding]:
    off_s = clock_s - time.time()
    if abs(off_s) > CLOCK_OFF_S:
        yield fault(f"{subject}'s clock", f"it is off by {off_s:+.1f} s", CLOCK_FIX)
    else:
        yield ok(f"{subject}'s clock", f"it is off by {abs(off_s):.1f} s")
