"""How much styles are asked for, from the last few usage events of each: quick however long the ledger is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

WINDOW = timedelta(minutes=5)
REMEMBERED = timedelta(days=7)
EVENTS_READ = 50  # of each style: more would tell the rate no better than that which versions are placed by

# One descent of the index (style, -admitted_at) for each style, and then its newest events only.
NEWEST = f"""
    SELECT asked.style, newest.version_number, newest.admitted_at
    FROM unnest(%s::uuid[]) AS asked(style), LATERAL (
        SELECT version_number, admitted_at FROM tenants_usageevent
        WHERE style = asked.style AND admitted_at > %s
        ORDER BY admitted_at DESC LIMIT {EVENTS_READ}
    ) AS newest
    WHERE newest.version_number IS NOT NULL
"""


@dataclass(frozen=True)
class Demand:
    """What one version was asked for lately: its last request, and requests a minute, over five at most."""

    last_at: datetime
    a_minute: float


def recent_requests(styles: Iterable[UUID]) -> dict[tuple[UUID, int], Demand]:
    """Return (style, version number) → demand, of the versions that were used within a week."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, [list(styles), now - REMEMBERED])
        rows = cursor.fetchall()
    times: dict[UUID, list[datetime]] = {}
    by_version: dict[tuple[UUID, int], list[datetime]] = {}
    for style, number, at in rows:
        times.setdefault(style, []).append(at)
        by_version.setdefault((style, number), []).append(at)
    begins = {style: _seen_since(seen, now) for style, seen in times.items()}
    return {key: _demand(seen, begins[key[0]], now) for key, seen in by_version.items()}


def _seen_since(seen: list[datetime], now: datetime) -> datetime:
    """Return from when on every event of a style is among those that were read, within the window."""
    since = now - WINDOW
    return max(since, min(seen)) if len(seen) == EVENTS_READ else since


def _demand(seen: list[datetime], since: datetime, now: datetime) -> Demand:
    minutes = max((now - since) / timedelta(minutes=1), 1 / 60)
    return Demand(last_at=max(seen), a_minute=sum(at >= since for at in seen) / minutes)
