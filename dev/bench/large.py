"""Create a large service's tables inside PostgreSQL: tenants, keys, and millions of usage events.

For benchmarks, on a database of their own: the product's checks are left out. `bench large` runs it.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import connection
from django.utils import timezone

from core import months
from metering import partitions
from metering.models import UsageEvent
from tenants.models import ApiKey, Tenant

KEYS_PER_TENANT = 3
STYLES = 10_000
BATCH_SIZE = 500_000
DAYS = 60

# i: the event's number; the newest ones come last. A quarter of all events is of style number 0.
EVENTS = f"""
    INSERT INTO metering_usageevent
        (request_id, tenant_id, key_id, style, style_name, version_number, adapter_sha256, base_model, engine,
         period, admitted_at, prompt_tokens, cached_tokens, completion_tokens, finish_reason, outcome,
         input_nanousd, cached_input_nanousd, output_nanousd, cost_nanousd, recorded_at)
    SELECT 'large-' || lpad(i::text, 12, '0'), tenants.id[1 + i %% tenants.amount],
           keys.id[1 + i %% keys.amount], md5('style' || style)::uuid, 'style-' || style, 1 + i %% 2,
           md5(style::text), 'large', 'engine-' || i %% 8, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM'), at,
           40 + i %% 200, i %% 40,
           i %% 300, CASE WHEN i %% 97 = 0 THEN 'empty' ELSE 'stop' END,
           CASE WHEN i %% 100_000 = 1 THEN 'swept' WHEN i %% 500 = 2 THEN 'upstream_error'
                WHEN i %% 50 = 3 THEN 'client_disconnect' ELSE 'complete' END,
           100, 25, 400, (40 + i %% 200 - i %% 40) * 100 + i %% 40 * 25 + i %% 300 * 400, at
    FROM (SELECT array_agg(id ORDER BY id) AS id, count(*) AS amount FROM tenants_tenant
          WHERE slug LIKE 'large-%%') AS tenants,
         (SELECT array_agg(k.id ORDER BY k.name, k.tenant_id) AS id, count(*) AS amount
          FROM tenants_apikey k JOIN tenants_tenant t ON t.id = k.tenant_id
          WHERE t.slug LIKE 'large-%%') AS keys,
         generate_series(%(first)s::bigint, %(last)s::bigint) AS i,
         LATERAL (SELECT CASE WHEN i / 16 %% 4 = 0 THEN 0 ELSE i * 7919 %% {STYLES} END AS style) AS styles,
         LATERAL (SELECT now() - interval '{DAYS} days' * (1 - i::float / %(count)s) AS at) AS moment
"""

LEDGER = """
    INSERT INTO metering_ledgerentry
        (tenant_id, kind, source_id, period, amount_nanousd, tokens, actor, reason, created_at)
    SELECT tenant_id, 'usage', request_id, period, cost_nanousd, prompt_tokens::bigint + completion_tokens,
           '', '', admitted_at
    FROM metering_usageevent
    WHERE request_id LIKE 'large-%%' AND (prompt_tokens > 0 OR completion_tokens > 0)
"""

DAILY = """
    INSERT INTO metering_usagedaily
        (tenant_id, key_id, style_name, day, requests, prompt_tokens, completion_tokens, cost_nanousd)
    SELECT tenant_id, key_id, style_name, (admitted_at AT TIME ZONE 'UTC')::date, count(*),
           sum(prompt_tokens), sum(completion_tokens), sum(cost_nanousd)
    FROM metering_usageevent WHERE request_id LIKE 'large-%%'
    GROUP BY 1, 2, 3, 4
"""

MINUTES = """
    INSERT INTO metering_usageminute
        (style, version_number, minute, requests, errors, empty, completion_tokens)
    SELECT style, version_number, date_trunc('minute', admitted_at, 'UTC'), count(*),
           count(*) FILTER (WHERE outcome = 'upstream_error'),
           count(*) FILTER (WHERE outcome = 'complete' AND finish_reason = 'empty'),
           coalesce(sum(completion_tokens) FILTER (WHERE outcome = 'complete'), 0)
    FROM metering_usageevent
    WHERE request_id LIKE 'large-%%' AND outcome IN ('complete', 'upstream_error')
    GROUP BY 1, 2, 3
"""

# One for every tenth event. The hashes are no chain: nothing verifies a benchmark's log.
AUDIT = """
    INSERT INTO tenants_auditentry
        (at, tenant_id, action, object_type, object_id, object_name, reason, before, after, position,
         previous_hash, hash)
    SELECT admitted_at, tenant_id,
           (ARRAY['api_key.created', 'style.selected', 'version.created'])[1 + id %% 3], 'adapters.style',
           style::text, style_name, 'benchmark ' || id, '{}', '{}', row_number() OVER (ORDER BY id), '', ''
    FROM metering_usageevent WHERE request_id LIKE 'large-%%' AND id %% 10 = 0
"""

TABLES = (
    "metering_usageevent",
    "metering_ledgerentry",
    "metering_usagedaily",
    "metering_usageminute",
    "tenants_auditentry",
)
SECONDARY_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = ANY(%s) AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def create_tables(tenants: int, events: int, say: Callable[[str], None]) -> None:
    """Create tenants with their keys and usage events, and the tables that are derived from events."""
    _create_tenants(tenants)
    say(f"{tenants:,} tenants")
    for period in _periods(timezone.now()):
        partitions.make_partition(period)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no foreign key is checked: the rows fit
        cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute("SET synchronous_commit = off")
        # An index that is built at the end takes a fraction of the time of one that grows row by row.
        cursor.execute(SECONDARY_INDEXES, [list(TABLES)])
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for first in range(1, events + 1, BATCH_SIZE):
            last = min(first + BATCH_SIZE - 1, events)
            cursor.execute(EVENTS, {"first": first, "last": last, "count": events})
            say(f"{last:,} events")
        for table, statement in zip(TABLES[1:], (LEDGER, DAILY, MINUTES, AUDIT), strict=True):
            cursor.execute(statement % ())
            say(f"{cursor.rowcount:,} rows of {table}")
        for name, definition in indexes:
            cursor.execute(
                definition.replace(" ON ONLY ", " ON ")
            )  # of a partitioned table: on all partitions
            say(f"index {name}")
        cursor.execute("SET session_replication_role = origin")
        for table in TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")


def _periods(now: datetime) -> list[str]:
    """Return the months of the events."""
    period = months.period_of(now)
    periods = [period]
    while months.bounds(period)[0] > now - timedelta(days=DAYS):
        period = months.before(period)
        periods.append(period)
    return periods


def _create_tenants(count: int) -> None:
    known = Tenant.objects.filter(slug__startswith="large-").count()
    tenants = [
        Tenant(slug=f"large-{n}", name=f"Large {n}", observed_generation=1) for n in range(known, count)
    ]
    Tenant.objects.bulk_create(tenants)
    keys = []
    for tenant in tenants:
        for n in range(KEYS_PER_TENANT):
            keys.append(ApiKey(tenant=tenant, name=f"key-{n}", digest=uuid4().hex, last4=f"{n:04}"))
    ApiKey.objects.bulk_create(keys)


def main() -> None:
    """Create the rows in an empty database, and print each step."""
    parser = ArgumentParser(description="Create a large service: workspaces and millions of usage events.")
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    if UsageEvent.objects.exists():
        sys.exit("This database has usage events. Use an empty one: `make bench NAME=large`.")
    create_tables(options.tenants, options.events, say=print)


if __name__ == "__main__":
    main()
