"""Planned changes of limits are in Valkey before they are due: plans, prices, and each month's credits.

Without it the limits of all workspaces would expire in the same moment, when a month or a new price begins,
and each first request would read its workspace from PostgreSQL. Admission puts what came ahead in force, at
its moment by Valkey's clock.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import batched
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from core import months, valkey
from metering import plans
from metering.quota_sync.snapshot import COMING_KNOWN_BEFORE, publish_snapshot
from tenants.models import Tenant

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

logger = logging.getLogger(__name__)

RUN_S = 1.5  # the drain waits in the same queue
TENANTS_PER_READ = 1000


def publish_planned_changes(client: Store, now: datetime) -> int:
    """Publish some workspaces whose limits change soon and whose snapshot does not say so; return how many.

    Safe to repeat: who is published knows the change, and is left alone.
    """
    _, month_ends = months.bounds(months.period_of(now))
    planned = plans.next_change_of_any(now)
    latest = now + COMING_KNOWN_BEFORE
    if month_ends > latest and (planned is None or planned > latest):
        return 0
    published = 0
    until_s = time.monotonic() + RUN_S
    for tenant_id in find_unprepared(client, now):
        try:
            publish_snapshot(tenant_id)
        except DatabaseError:  # the next ones have a right to theirs
            logger.exception("limits of %s could not be published before they change", tenant_id)
            continue
        published += 1
        if time.monotonic() >= until_s:
            break
    return published


def find_unprepared(client: Store, now: datetime) -> Iterator[UUID]:
    """Yield the workspaces whose limits in Valkey change soon and do not have what they will be.

    At a month's end these are all that wrote in it, else those whose limits expire.
    """
    now_ms = int(now.timestamp() * 1000)
    latest_ms = int((now + COMING_KNOWN_BEFORE).timestamp() * 1000)
    period = months.period_of(now)
    _, month_ends = months.bounds(period)
    is_last_hours = month_ends <= now + COMING_KNOWN_BEFORE
    tenant_ids = Tenant.objects.values_list("pk", flat=True).order_by("pk")
    for some_ids in batched(tenant_ids, TENANTS_PER_READ):
        pipeline = client.pipeline(transaction=False)
        for tenant_id in some_ids:
            pipeline.hget(valkey.limits_key(tenant_id), "coming_at")
            pipeline.pexpiretime(valkey.limits_key(tenant_id))
            pipeline.hexists(valkey.account_key(tenant_id, period), "used")
        found = pipeline.execute()
        for tenant_id, coming_at, expires_ms, has_written in zip(
            some_ids, found[::3], found[1::3], found[2::3], strict=True
        ):
            is_prepared = bool(coming_at) and int(coming_at) > now_ms
            is_published = coming_at is not None
            expires_soon = 0 < expires_ms <= latest_ms
            if is_published and not is_prepared and (expires_soon or (is_last_hours and has_written)):
                yield tenant_id
