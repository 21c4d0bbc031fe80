"""The coming month's accounts, made before it begins, so that its first requests find them.

Without them each workspace's first request of a month adds up the ledger, all in the same seconds.
"""

import time
from datetime import datetime, timedelta
from itertools import batched
from uuid import UUID

from core import months, valkey
from inference.facts import Store
from inference.quota.ledger_drain import rebuild_counters
from tenants.models import Tenant

OPENS_BEFORE = timedelta(hours=3)
# The drain waits in the same queue. An account takes 10 to 40 ms, so three hours are enough for 20,000.
MAX_RUN_S = 1.5
TENANTS_PER_READ = 1000


def open_next_month(client: Store, now: datetime) -> int:
    """Make the next month's accounts of some workspaces that have one of this month; return how many.

    It does nothing earlier than three hours before that month. Safe to repeat: what is there stays.
    """
    period = months.period_of(now)
    _, ends = months.bounds(period)
    # Earlier it would only keep accounts of workspaces that may not come back.
    if ends - now > OPENS_BEFORE:
        return 0
    coming = months.period_of(ends)
    opened = 0
    until_s = time.monotonic() + MAX_RUN_S
    for tenant_id in find_unopened(client, period, coming):
        rebuild_counters(client, tenant_id, coming)
        opened += 1
        if time.monotonic() >= until_s:
            break
    return opened


def find_unopened(client: Store, period: str, coming: str) -> list[UUID]:
    """Return the workspaces whose account of a period is in Valkey, and that of the coming one is not."""
    found: list[UUID] = []
    for tenant_ids in batched(Tenant.objects.values_list("pk", flat=True).order_by("pk"), TENANTS_PER_READ):
        pipeline = client.pipeline(transaction=False)
        for tenant_id in tenant_ids:
            pipeline.hexists(valkey.account_key(tenant_id, period), "used")
            pipeline.hexists(valkey.account_key(tenant_id, coming), "used")
        known = pipeline.execute()
        for tenant_id, has_now, has_next in zip(tenant_ids, known[::2], known[1::2], strict=True):
            if has_now and not has_next:
                found.append(tenant_id)
    return found
