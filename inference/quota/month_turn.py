"""What changes by itself is made ready before: limits that are to come, and the coming month's accounts.

Else all workspaces would be published, or add up the ledger, in the first seconds of a month or a price.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import batched
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError

from core import months, valkey
from inference.facts import Store
from inference.quota.ledger_drain import rebuild_counters
from metering import plans
from metering.quota_sync.snapshot import COMING_KNOWN_BEFORE, publish_snapshot
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# The drain waits in the same queue. A workspace takes 25 to 60 ms, so three hours are enough for 25,000.
MAX_RUN_S = 1.5
TENANTS_PER_READ = 1000


class Unprepared(NamedTuple):
    """A workspace, and what of it is to be made ready."""

    tenant_id: UUID
    needs_limits: bool
    needs_account: bool


def prepare_changes(client: Store, now: datetime) -> int:
    """Make some workspaces ready for what changes within three hours; return how many.

    Earlier it would only keep limits and accounts of workspaces that may not come back. Safe to repeat: what
    is there stays.
    """
    _, month_ends = months.bounds(months.period_of(now))
    planned = plans.next_change_of_any(now)
    if min(planned or month_ends, month_ends) - now > COMING_KNOWN_BEFORE:
        return 0
    prepared = 0
    until_s = time.monotonic() + MAX_RUN_S
    for tenant_id, needs_limits, needs_account in find_unprepared(client, now):
        try:
            if needs_limits:
                publish_snapshot(tenant_id)
            if needs_account:
                rebuild_counters(client, tenant_id, months.period_of(month_ends))
        except (DatabaseError, TimeoutError):  # the next ones have a right to theirs
            logger.exception("workspace %s could not be prepared for what changes soon", tenant_id)
            continue
        prepared += 1
        if time.monotonic() >= until_s:
            break
    return prepared


def find_unprepared(client: Store, now: datetime) -> Iterator[Unprepared]:
    """Yield the workspaces that lack their coming limits or their account of the coming month.

    At a month's end these are all that wrote in it, else those whose limits expire.
    """
    now_ms = int(now.timestamp() * 1000)
    latest_ms = int((now + COMING_KNOWN_BEFORE).timestamp() * 1000)
    period = months.period_of(now)
    _, month_ends = months.bounds(period)
    is_last_hours = month_ends - now <= COMING_KNOWN_BEFORE
    tenant_ids = Tenant.objects.values_list("pk", flat=True).order_by("pk")
    for some_ids in batched(tenant_ids, TENANTS_PER_READ):
        pipeline = client.pipeline(transaction=False)
        for tenant_id in some_ids:
            pipeline.hget(valkey.limits_key(tenant_id), "coming_at")
            pipeline.pexpiretime(valkey.limits_key(tenant_id))
            pipeline.hexists(valkey.account_key(tenant_id, period), "used")
            pipeline.hexists(valkey.account_key(tenant_id, months.period_of(month_ends)), "used")
        found = batched(pipeline.execute(), 4)
        for tenant_id, (coming_at, expires_ms, has_written, has_next) in zip(some_ids, found, strict=True):
            needs_account = is_last_hours and has_written and not has_next
            is_prepared = bool(coming_at) and int(coming_at) > now_ms
            is_published = coming_at is not None
            expires_soon = 0 < expires_ms <= latest_ms
            is_due = expires_soon or (is_last_hours and has_written)
            needs_limits = is_published and not is_prepared and is_due
            if needs_limits or needs_account:
                yield Unprepared(tenant_id, needs_limits, needs_account)
