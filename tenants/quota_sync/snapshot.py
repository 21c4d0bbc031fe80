"""The snapshot of a tenant that the data plane reads from Valkey: limits, prices, state and keys.

PostgreSQL is the truth and Valkey the copy. An action that changes something in the snapshot calls
`mark_changed` in its transaction. Beat publishes again what is lost between commit and publishing
(`generations.stale_generations`).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from foundation import months, valkey
from tenants.billing import plans
from tenants.models import ApiKey, Tenant
from tenants.quota_sync.generations import bump_generations

LIMITS = (
    "requests_per_minute",
    "tokens_per_minute",
    "parallel_requests",
    "max_output_tokens",
    "sequences_per_request",
    "monthly_tokens",
    "monthly_nanousd",
    "weight",
    "input_nanousd",
    "cached_input_nanousd",
    "output_nanousd",
)
KEY_LIMITS = (
    "monthly_tokens",
    "monthly_nanousd",
    "requests_per_minute",
    "tokens_per_minute",
    "parallel_requests",
)

PUBLISH_SNAPSHOT = (Path(__file__).parent / "publish_snapshot.lua").read_text()
FOR_EVER = -1  # a TTL, in Valkey's words
SCANNED = 1000
ACCOUNTS_KEPT = timedelta(days=92)
DEAD_KEYS_FOUND = timedelta(days=30)  # after that their buckets were looked at many times
DEAD_KEYS_KEPT = timedelta(days=1)  # in Valkey; whoever tries one later has it published again

type Hash = dict[str, str]


def mark_changed(tenant_id: UUID) -> None:
    """Count a change of a tenant's snapshot, and publish it when the transaction commits."""
    bump_generations([tenant_id])
    transaction.on_commit(partial(publish_snapshot, tenant_id), robust=True)


def publish_snapshot(tenant_id: UUID) -> None:
    """Write one tenant's limits and keys to Valkey, all or nothing. Safe to repeat, and from many at once.

    A slow publisher that read before a revoke writes nothing after it: `generation` is read first, and
    Valkey takes nothing older than what it has. Raises Tenant.DoesNotExist, and redis.RedisError when Valkey
    does not answer.
    """
    _write(Tenant.objects.get(pk=tenant_id))


def prune_snapshots() -> None:
    """Let old months' counters end, and take dead keys out of the minute buckets. Safe to repeat.

    A month's counters are asked for while its requests run; the ledger is what people read.
    """
    client, present = valkey.client(), months.current()
    for name in client.scan_iter(match=valkey.account_key_pattern(), count=SCANNED):
        period = name.rpartition(":")[2]
        if period < present and client.ttl(name) == FOR_EVER:
            client.expireat(name, months.bounds(period)[1] + ACCOUNTS_KEPT)
    now = timezone.now()
    dead = ApiKey.objects.filter(revoked_at__lt=now - DEAD_KEYS_KEPT, revoked_at__gt=now - DEAD_KEYS_FOUND)
    for key_id, tenant_id in dead.values_list("pk", "tenant"):
        fields = [f"{field}:{key_id}" for field in ("open", "requests", "tokens", "at")]
        client.hdel(valkey.bucket_key(tenant_id), *fields)


def find_owner(digest: str) -> tuple[UUID, UUID] | None:
    """Return (tenant id, key id) of a secret's digest from PostgreSQL, also of revoked keys, or None."""
    return ApiKey.objects.filter(digest=digest).values_list("tenant_id", "pk").first()


def _write(tenant: Tenant) -> None:
    now = timezone.now()
    change = plans.next_change(tenant, now)
    # Absent limits are published again before anybody is served: so a change to come is met in time.
    ends = "" if change is None else str(int(change.timestamp() * 1000))
    rows = list(_keys(tenant))
    client = valkey.client()
    names = [valkey.published_key(tenant.pk), valkey.limits_key(tenant.pk)]
    names += [valkey.key_key(tenant.pk, key.pk) for key in rows]
    limits = json.dumps(_limits(tenant, plans.limits_of(tenant, now)))
    keys = [json.dumps(_key(key)) for key in rows]
    kept_ms = int(DEAD_KEYS_KEPT.total_seconds() * 1000)
    if not client.register_script(PUBLISH_SNAPSHOT)(names, [tenant.generation, ends, kept_ms, limits, *keys]):
        return
    pipeline = client.pipeline(transaction=False)
    for key in rows:
        if key.digest:  # whose a secret is never changes, so this needs no order
            kept = DEAD_KEYS_KEPT if key.revoked_at else None
            pipeline.set(valkey.owner_key(key.digest), f"{tenant.pk}:{key.pk}", ex=kept)
    pipeline.execute()


def _keys(tenant: Tenant) -> Iterable[ApiKey]:
    return ApiKey.objects.filter(tenant=tenant).iterator()


def _limits(tenant: Tenant, limits: plans.Limits) -> Hash:
    values = asdict(limits)
    return {
        **{name: _or_empty(values[name]) for name in LIMITS},
        "state": "suspended" if tenant.suspended_at else "live",
        "slug": tenant.slug,
    }


def _key(key: ApiKey) -> Hash:
    return {
        "state": "revoked" if key.revoked_at else "live",
        "expires_at": str(int(key.expires_at.timestamp())) if key.expires_at else "",
        "styles": ",".join(map(str, key.styles or [])),
        **{name: _or_empty(getattr(key, name)) for name in KEY_LIMITS},
    }


def _or_empty(limit: int | None) -> str:
    return "" if limit is None else str(limit)
