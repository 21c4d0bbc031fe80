"""What bench/pages.py shows: 10,000 styles, 200 keys and 50 members, and millions of requests.

The requests are made inside PostgreSQL, in a database of their own: the product's checks are left out.
"""

import os
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Value  # noqa: E402
from django.db.models.functions import Concat  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.subscriptions import subscribe_tenant  # noqa: E402
from accounts.workspaces import create_tenant  # noqa: E402
from adapters.models import (  # noqa: E402
    AdapterVersion,
    BaseModel,
    Probe,
    Selection,
    Status,
    Style,
)
from core import months  # noqa: E402
from metering import partitions  # noqa: E402
from metering.models import RefusedRequest, UsageDaily, UsageEvent  # noqa: E402
from metering.plans import newest_plan_version  # noqa: E402
from tenants.models import ApiKey, Membership, Tenant, User  # noqa: E402

WORKSPACE = "large-0"
TENANTS = 4  # with as many requests each
EVENTS = int(os.environ.get("EVENTS", "1000000"))
STYLES = 10_000
OTHERS = 1_000  # public ones of another workspace, of which a hundred are selected
KEYS = 200
MEMBERS = 50
REFUSED = 5000
OWNER = "bench-pages@example.org"
WORDS = ("brand", "voice", "letters", "news", "support", "legal", "poetry", "noir", "plain", "formal")


def seed() -> tuple[Tenant, User]:
    """Return the workspace and its owner; made once a database."""
    owner = User.objects.filter(email=OWNER).first()
    if owner:
        return Tenant.objects.get(slug=WORKSPACE), owner
    create_tables(TENANTS, EVENTS)
    tenant = Tenant.objects.get(slug=WORKSPACE)
    subscribe_tenant(tenant, newest_plan_version("studio"))
    base_model, _ = BaseModel.objects.get_or_create(
        name=settings.BASE_MODEL, defaults={"config": {}, "modules": {}}
    )
    make_styles(tenant, base_model, STYLES)
    UsageDaily.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    UsageEvent.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    others = create_tenant(User.objects.create_user("bench-others@example.org"), name="Bench others")
    public = make_styles(others, base_model, OTHERS)
    Style.objects.filter(owner=others).update(is_public=True)
    for style in public:
        style.approved_version, style.approved_name = style.live_version, style.name
    Style.objects.bulk_update(public, ["approved_version", "approved_name"], 500)
    Selection.objects.bulk_create([Selection(style=style, tenant=tenant) for style in public[:100]])
    _make_keys(tenant)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    people = [User.objects.create_user(f"bench-{number}@example.org") for number in range(MEMBERS - 1)]
    Membership.objects.bulk_create([Membership(user=person, tenant=tenant) for person in people])
    owner = User.objects.create_user(OWNER)  # the last row: without it the seed was broken off
    Membership.objects.create(user=owner, tenant=tenant, role=Membership.Role.OWNER)
    return tenant, owner


def _prefixed(column: str) -> Any:
    return Concat(Value(f"{WORKSPACE}/"), column)


def _make_keys(tenant: Tenant) -> None:
    now = timezone.now()
    keys = [ApiKey(tenant=tenant, name=f"program {n}", digest=uuid4().hex, last4="abcd") for n in range(KEYS)]
    ApiKey.objects.bulk_create(keys)
    # No more than 200 are made in a day, and the bench makes one of its own.
    ApiKey.objects.filter(tenant=tenant).update(created_at=now - timedelta(days=2))
    rows = []
    for number in range(REFUSED):
        at = now - timedelta(seconds=20 * number)
        rows.append(
            RefusedRequest(
                request_id=f"req_{uuid4().hex}",
                tenant=tenant,
                key=keys[number % KEYS],
                at=at,
                model_name=f"{WORKSPACE}/style-{number % 50}",
                status=429,
                code=f"code_{number % 8}",
                reason="Too fast.",
            )
        )
    RefusedRequest.objects.bulk_create(rows, 1000)


def make_styles(tenant: Tenant, base_model: BaseModel, count: int) -> list[Style]:
    """Return styles with two versions each, measured ones, of which the first is live."""
    shuffled = random.Random(1)
    styles = []
    for number in range(count):
        name = f"{shuffled.choice(WORDS).title()} {shuffled.choice(WORDS)} {number}"
        about = "How we write to readers who have little time. " * 4
        styles.append(
            Style(
                owner=tenant,
                slug=f"style-{number}",
                name=name,
                description=about,
                sample_prompt="Announce a sale.",
                sample="Good news travels fast, and so do our prices. " * 5,
                base_model=base_model,
            )
        )
    Style.objects.bulk_create(styles, 1000)
    now = timezone.now()
    for age, style in enumerate(styles):
        style.created_at = now - timedelta(minutes=age)
    versions = []
    for style in styles:
        for number in (1, 2):
            version = AdapterVersion(style=style, number=number, status=Status.SERVING, sha256="a" * 64)
            versions.append(version)
    AdapterVersion.objects.bulk_create(versions, 1000)
    measures = {"style": {"words_a_sentence": 9.0, "reading_ease": 70.0, "phrases": ["good news"] * 5}}
    samples = [{"prompt": "Why?", "base": "So. " * 100, "style": "Thus. " * 100}] * 4
    probes = [
        Probe(version=version, strength=0.7, noise=0.01, measures=measures, samples=samples)
        for version in versions
    ]
    Probe.objects.bulk_create(probes, 1000)
    for place, style in enumerate(styles):
        style.live_version = versions[2 * place]
        if place % 10 == 0:
            style.canary_version = versions[2 * place + 1]
            style.canary_percent = 10
            style.canary_since = now
    fields = ["created_at", "live_version", "canary_version", "canary_percent", "canary_since"]
    Style.objects.bulk_update(styles, fields, 500)
    return styles


KEYS_PER_TENANT = 3
BATCH_SIZE = 500_000
DAYS = 60

# i: the event's number; the newest ones come last. A quarter of all events is of style number 0.
USAGE_EVENTS = f"""
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


def create_tables(tenants: int, events: int) -> None:
    """Create tenants with their keys and usage events, and the tables that are derived from events."""
    _create_tenants(tenants)
    print(f"{tenants:,} tenants")
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
            cursor.execute(USAGE_EVENTS, {"first": first, "last": last, "count": events})
            print(f"{last:,} events")
        for table, statement in zip(TABLES[1:], (LEDGER, DAILY, MINUTES, AUDIT), strict=True):
            cursor.execute(statement % ())
            print(f"{cursor.rowcount:,} rows of {table}")
        for name, definition in indexes:
            cursor.execute(
                definition.replace(" ON ONLY ", " ON ")
            )  # of a partitioned table: on all partitions
            print(f"index {name}")
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
