"""How often styles were requested lately, from the newest usage events of each.

The time of the query does not grow with the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from core import months

WINDOW = timedelta(minutes=5)
REMEMBERED = timedelta(days=7)
MAX_EVENTS = 50  # of a style in the window: the time between so many tells its rate well enough
MIN_MINUTES = 1 / 60  # else requests of the same instant would make an endless rate

# Descents of the index (style, -admitted_at): the newest events within the window, and one from before it.
NEWEST = f"""
    SELECT asked.style, used.version_number, used.admitted_at
    FROM unnest(%(styles)s::uuid[]) AS asked(style), LATERAL (
        (SELECT version_number, admitted_at FROM metering_usageevent
         WHERE style = asked.style AND admitted_at >= %(window)s AND period = ANY(%(periods)s)
         ORDER BY admitted_at DESC LIMIT {MAX_EVENTS})
        UNION ALL
        (SELECT version_number, admitted_at FROM metering_usageevent
         WHERE style = asked.style AND admitted_at < %(window)s AND admitted_at >= %(remembered)s
           AND period = ANY(%(periods)s)
         ORDER BY admitted_at DESC LIMIT 1)
    ) AS used
    WHERE used.version_number IS NOT NULL
"""  # noqa: S608 - our own constants

type Times = list[datetime]


@dataclass(frozen=True)
class Demand:
    """The demand for one version: its last request, and requests a minute over five at most."""

    last_at: datetime
    per_minute: float


def recent_requests(styles: Iterable[UUID]) -> dict[tuple[UUID, int], Demand]:
    """Return (style, version number) → demand.

    For each style it holds the versions of the last minutes, else the one that was used last within a week.
    """
    now = timezone.now()
    window = now - WINDOW
    demands: dict[tuple[UUID, int], Demand] = {}
    for style, versions in _newest_requests(styles, window=window, remembered=now - REMEMBERED).items():
        complete_since = _complete_since(versions, window)
        for number, times in versions.items():
            rate = _rate_per_minute(times, since=complete_since, now=now)
            demands[style, number] = Demand(last_at=max(times), per_minute=rate)
    return demands


def _newest_requests(
    styles: Iterable[UUID], *, window: datetime, remembered: datetime
) -> dict[UUID, dict[int, Times]]:
    """Return style → version number → times of admission."""
    present = months.period_of(window + WINDOW)
    parameters: dict[str, Any] = {
        "styles": list(styles),
        "window": window,
        "remembered": remembered,
        "periods": [months.before(present), present],  # else every partition would be read
    }
    requests: defaultdict[UUID, dict[int, Times]] = defaultdict(lambda: defaultdict(list))
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, parameters)
        for style, number, admitted_at in cursor.fetchall():
            requests[style][number].append(admitted_at)
    return requests


def _complete_since(versions: dict[int, Times], window: datetime) -> datetime:
    """Return from when on the query read every event of a style."""
    recent: Times = []
    for times in versions.values():
        recent += [at for at in times if at >= window]
    # Fewer than the limit: the query stopped at the window's begin, not at the limit.
    if len(recent) < MAX_EVENTS:
        return window
    return min(recent)


def _rate_per_minute(times: Times, *, since: datetime, now: datetime) -> float:
    minutes = max((now - since) / timedelta(minutes=1), MIN_MINUTES)
    return sum(at >= since for at in times) / minutes
