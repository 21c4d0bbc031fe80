"""The table of health checks. Each is asked in one place, with its measure, its bound and how it is mended.

`/readyz`, the status page, `manage.py doctor`, the console and `/metrics` show what it finds, and ask nothing
by themselves.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import redis
from django.db import DatabaseError, InterfaceError
from kombu.exceptions import OperationalError
from psycopg_pool import PoolTimeout

from core.errors import Unavailable
from operations.monitoring import running_checks as running
from operations.monitoring import setup_checks as setup
from operations.monitoring.findings import Finding, Level

# A result that is cached for some seconds, because it is read often and computing it is dear.


class CachedResult[Result]:
    """The latest result of `compute`, computed anew once older than `max_age_s`, by one thread at a time."""

    def __init__(
        self, compute: Callable[[], Result], *, max_age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._compute = compute
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._results: list[Result] = []  # none before the first read, then one
        self._known_until_s = 0.0

    def read(self) -> Result:
        """Return a result that is `max_age_s` old at most. Raises what `compute` raises."""
        with self._lock:
            if not self._results or self._clock() >= self._known_until_s:
                self._results = [self._compute()]
                self._known_until_s = self._clock() + self._max_age_s
            return self._results[0]


MAX_AGE_S = 2.0  # a load balancer may ask often, and strangers as often as they like
OUTAGES = (
    redis.RedisError,
    DatabaseError,
    InterfaceError,
    PoolTimeout,
    OSError,
    OperationalError,
    Unavailable,
)
OK = "ok"
AWAY = "away"
POSTGRESQL_FIX = "Start PostgreSQL or fix DATABASE_URL. Check with `docker compose ps postgres`."
VALKEY_FIX = "Start Valkey or fix VALKEY_URL and CELERY_BROKER_URL. Check with `docker compose ps valkey`."
STORAGE_FIX = "Start the S3 server or fix S3_ENDPOINT_URL, S3_BUCKET and the AWS_ credentials."


@dataclass(frozen=True)
class Check:
    """One question about the installation."""

    name: str
    ask: Callable[[], Iterable[Finding]]
    mend: str = ""  # where what it asks does not answer
    part: str = ""  # its name in `/readyz` and `polyscribe_up`
    is_needed: bool = False  # no page and no request can be answered without this part
    part_fault: str = AWAY  # what `/readyz` says where the part answers and is not as it must be
    is_watched: bool = False  # `/metrics` has its level: each scrape asks it, from where only databases are

    def run(self) -> list[Finding]:
        """Return what is found. That something doesn't answer is a finding, too."""
        found: list[Finding] = []
        try:
            found.extend(self.ask())
        except OUTAGES as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            seen = f"not responding: {reason[:200]}"
            found.append(Finding(self.name, Level.FAULT, seen, self.mend, is_away=True))
        return found


# The nearest first, so that the first fault is the likeliest cause of the others.
_ROWS = (
    Check("settings", setup.ask_settings),
    Check("base model", setup.ask_base_model),
    Check("disks", setup.ask_disks),
    Check("certificates", setup.ask_certificates),
    Check(
        "PostgreSQL",
        running.ask_postgresql,
        POSTGRESQL_FIX,
        part="postgresql",
        is_needed=True,
        is_watched=True,
    ),
    Check("database", setup.ask_database, POSTGRESQL_FIX),
    Check(
        "migrations",
        running.ask_migrations,
        POSTGRESQL_FIX,
        part="migrations",
        is_needed=True,
        part_fault="behind",
        is_watched=True,
    ),
    Check("peppers", setup.ask_peppers, POSTGRESQL_FIX),
    Check("Valkey", running.ask_valkey, VALKEY_FIX, part="valkey", is_needed=True, is_watched=True),
    Check("Valkey's settings", setup.ask_valkey_settings, VALKEY_FIX),
    Check("clocks", setup.ask_clocks, "Start PostgreSQL and Valkey."),
    Check("broker", running.ask_broker, VALKEY_FIX, part="broker", is_watched=True),
    Check("queues", running.ask_queues, VALKEY_FIX, is_watched=True),
    Check("schedule", running.ask_schedule, VALKEY_FIX, is_watched=True),
    Check("failed tasks", running.ask_failed_tasks, POSTGRESQL_FIX, is_watched=True),
    Check("stuck", running.ask_stuck, POSTGRESQL_FIX, is_watched=True),
    Check("training", setup.ask_training, VALKEY_FIX),
    Check("ledger", running.ask_ledger, VALKEY_FIX, is_watched=True),
    Check("refused usage", running.ask_refused_usage, VALKEY_FIX, is_watched=True),
    Check("holds", running.ask_holds, VALKEY_FIX, is_watched=True),
    Check("storage", running.ask_storage, STORAGE_FIX, part="storage"),
    Check("uploads", setup.ask_uploads, STORAGE_FIX),
    Check("watermark", running.ask_watermark, POSTGRESQL_FIX),
    Check("engines", running.ask_engines, POSTGRESQL_FIX, is_watched=True),
    Check("engine limits", setup.ask_engine_limits, POSTGRESQL_FIX),
    Check("placements", running.ask_placements, POSTGRESQL_FIX, is_watched=True),
    Check("gateways", running.ask_gateways, VALKEY_FIX, is_watched=True),
)
CHECKS: dict[str, Check] = {check.name: check for check in _ROWS}


def read(name: str) -> list[Finding]:
    """Return what a check found at most `MAX_AGE_S` ago."""
    return kept(name).read()


@cache
def kept(name: str) -> CachedResult[list[Finding]]:
    """Return the process's latest findings of one check."""
    return CachedResult(CHECKS[name].run, max_age_s=MAX_AGE_S)


def read_parts() -> dict[str, str]:
    """Return the state of each part, as `/readyz` says it: `ok`, `away` or, for migrations, `behind`."""
    return {check.part: part_state(check, read(check.name)) for check in CHECKS.values() if check.part}


def part_state(check: Check, found: Iterable[Finding]) -> str:
    """Return the state of a part after what its check found."""
    bad = [finding for finding in found if not finding.is_ok]
    if any(finding.is_away for finding in bad):
        return AWAY
    return check.part_fault if bad else OK


def is_ready(parts: Mapping[str, str]) -> bool:
    """Return whether requests can be answered; without storage or the broker they can."""
    return all(parts[check.part] == OK for check in CHECKS.values() if check.is_needed)
