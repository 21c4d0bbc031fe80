"""Whether each part that the site needs answers: what `/readyz` says."""

from collections.abc import Callable, Mapping

import redis
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from psycopg_pool import PoolTimeout

from adapters.object_store import is_storage_answering
from core import valkey
from core.cached_result import CachedResult
from core.errors import Unavailable
from operations.monitoring.broker import ping_broker

OK = "ok"
AWAY = "away"
BEHIND = "behind"
MAX_AGE_S = 2.0  # a load balancer may ask often, and strangers as often as they like
NEEDED = ("postgresql", "valkey", "migrations")  # without them no page and no request can be answered
FAULTS = (redis.RedisError, DatabaseError, InterfaceError, PoolTimeout, OSError, Unavailable)


def is_ready(parts: Mapping[str, str]) -> bool:
    """Return whether requests can be answered; without storage or the broker they can."""
    return all(parts[part] == OK for part in NEEDED)


def check_parts() -> dict[str, str]:
    """Return the state of each part just now: OK, AWAY or, for migrations, BEHIND."""
    checks: dict[str, Callable[[], str]] = {
        "postgresql": _check_postgresql,
        "migrations": _check_migrations,
        "valkey": _check_valkey,
        "broker": _check_broker,
        "storage": _check_storage,
    }
    return {part: _state_of(check) for part, check in checks.items()}


def _state_of(check: Callable[[], str]) -> str:
    try:
        return check()
    except FAULTS:
        return AWAY


def _check_postgresql() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _check_migrations() -> str:
    return BEHIND if missing_migrations() else OK


def missing_migrations() -> list[str]:
    """Return the migrations that this code has and the database lacks. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _check_valkey() -> str:
    valkey.client().ping()
    return OK


def _check_broker() -> str:
    ping_broker()
    return OK


def _check_storage() -> str:
    return OK if is_storage_answering() else AWAY


readiness = CachedResult(check_parts, max_age_s=MAX_AGE_S)
