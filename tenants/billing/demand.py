"""How much styles are asked for, from the last few usage events of each: quick however long the ledger is."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

WINDOW, REMEMBERED = timedelta(minutes=5), timedelta(days=7)
MOST_READ = 50  # events of a style in the window: its rate is as plain from the time between them

# Descents of the index (style, -admitted_at): the newest events within the window, and one from before it.
NEWEST = f"""
    SELECT asked.style, used.version_number, used.admitted_at
    FROM unnest(%(styles)s::uuid[]) AS asked(style), LATERAL (
        (SELECT version_number, admitted_at FROM tenants_usageevent
         WHERE style = asked.style AND admitted_at >= %(window)s
         ORDER BY admitted_at DESC LIMIT {MOST_READ})
        UNION ALL
        (SELECT version_number, admitted_at FROM tenants_usageevent
         WHERE style = asked.style AND admitted_at < %(window)s AND admitted_at >= %(remembered)s
         ORDER BY admitted_at DESC LIMIT 1)
    ) AS used
    WHERE used.version_number IS NOT NULL
"""


@dataclass(frozen=True)
class Demand:
    """What one version was asked for lately: its last request, and requests a minute over five at most."""

    last_at: datetime
    a_minute: float


def recent_requests(styles: Iterable[UUID]) -> dict[tuple[UUID, int], Demand]:
    """Return (style, version number) → demand.

    Of each style there are the versions of the last minutes, else the one that was used last within a week.
    """
    now = timezone.now()
    window = now - WINDOW
    values: dict[str, Any] = {"styles": list(styles), "window": window, "remembered": now - REMEMBERED}
    of_style: defaultdict[UUID, dict[int, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, values)
        for style, number, at in cursor.fetchall():
            of_style[style][number].append(at)
    return {
        (style, number): Demand(last_at=max(times), a_minute=_rate(times, since, now))
        for style, versions in of_style.items()
        for since in [_whole_since([at for times in versions.values() for at in times], window)]
        for number, times in versions.items()
    }


def _whole_since(times: list[datetime], window: datetime) -> datetime:
    """Return from when on every event of a style was read."""
    recent = [at for at in times if at >= window]
    return min(recent) if len(recent) == MOST_READ else window


def _rate(times: list[datetime], since: datetime, now: datetime) -> float:
    minutes = max((now - since) / timedelta(minutes=1), 1 / 60)
    return sum(at >= since for at in times) / minutes
