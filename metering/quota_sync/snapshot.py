"""The snapshot of a tenant that the data plane reads from Valkey: limits, prices, state and keys.

PostgreSQL is the truth, Valkey has a copy. An action that changes something in the snapshot calls
`mark_changed` in its transaction. If the publishing after the commit fails, a periodic task repeats it: the
tenant's generation stays stale. As in Kubernetes, `generation` counts changes and `observed_generation` is
the last one that was published: a copy is stale while it is lower.

Planned changes (plans, prices, each month's credits) are in Valkey before they are due. Otherwise the limits
of all workspaces would expire in the same moment, when a month or a new price begins, and each first request
would read its workspace from PostgreSQL. Admission puts what came ahead in force, by Valkey's clock.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core import months, valkey
from events.models import EventType, OutboxEvent
from metering import plans, trainings
from metering.plan_limits import PLAN_LIMITS, By
from metering.quota_sync.credit_field import credit_fields
from tenants.models import ApiKey, Scope, Tenant

LIMITS = tuple(limit.name for limit in PLAN_LIMITS if limit.by == By.ADMISSION)
KEY_LIMITS = (
    "monthly_tokens",
    "monthly_nanousd",
    "requests_per_minute",
    "tokens_per_minute",
    "parallel_requests",
)

PUBLISH_SNAPSHOT = (Path(__file__).parent / "publish_snapshot.lua").read_text()
NO_TTL = -1  # Valkey's answer for a key that never expires
SCAN_BATCH_SIZE = 1000
# Longer than any request or late usage may need a month's counters.
ACCOUNTS_KEPT = timedelta(days=92)
# So long before limits change by themselves, a snapshot has what they will be.
COMING_KNOWN_BEFORE = timedelta(hours=3)
DEAD_KEYS_KEPT = timedelta(days=1)  # in Valkey; a request with one that is gone publishes it again
DEAD_KEYS_PRUNED = timedelta(days=30)  # after its end; a daily prune has seen the key many times by then

CHANGE_CREDITS = frozenset(
    {
        EventType.CREDIT_GRANTED,
        EventType.CREDIT_EXPIRED,
        EventType.CREDIT_NOTE_ISSUED,
        EventType.INVOICE_FINALIZED,
        EventType.INVOICE_PAID,
        EventType.INVOICE_VOIDED,
    }
)

type Hash = dict[str, str]


def mark_changed(tenant_id: UUID) -> None:
    """Count a change of a tenant's snapshot, and publish it when the transaction commits."""
    bump_generations([tenant_id])
    # `robust`: the change is saved, and its request must not fail because Valkey is away.
    transaction.on_commit(partial(publish_snapshot, tenant_id), robust=True)


def publish_after(event: OutboxEvent) -> None:
    """Publish a workspace's snapshot after an event that changes what its credits pay."""
    if event.type in CHANGE_CREDITS:
        mark_changed(event.tenant_id)


def publish_snapshot(tenant_id: UUID) -> None:
    """Write one tenant's limits and keys to Valkey, all or nothing, unless Valkey has a later change of them.

    A database that was restored from a backup wins over what Valkey has of the lost time. Safe to repeat, and
    safe from several processes at once. Raises Tenant.DoesNotExist, and redis.RedisError when Valkey does not
    answer.
    """
    newer = _write_snapshot(tenant_id)
    if newer is not None and overtake_generation(tenant_id, newer):
        _write_snapshot(tenant_id)


def _write_snapshot(tenant_id: UUID) -> int | None:
    """Write a tenant as the rows have it; return the newer generation for which Valkey refused it, if any."""
    # The generation is read before limits and keys, and the script refuses an older one than Valkey has. So a
    # slow publisher that read a key before its revoke can't bring it back.
    tenant = Tenant.objects.get(pk=tenant_id)
    now = timezone.now()
    keys = list(ApiKey.objects.published(now).filter(tenant=tenant))
    limits = _limits_hash(tenant, now, wallet_at=valkey_now())
    coming_at, expires_at = _next_changes(tenant, now)
    limits["coming_at"] = _unix_ms_or_empty(coming_at)
    limits["coming"] = _serialize_coming(tenant, limits, coming_at)
    key_names = []
    key_facts = []
    for key in keys:
        key_names.append(valkey.key_key(tenant.pk, key.pk))
        key_facts += [_unix_ms_or_empty(_kept_until(key, now)), json.dumps(_key_hash(key))]
    publish = valkey.client().register_script(PUBLISH_SNAPSHOT)
    newer = publish(
        [valkey.published_key(tenant.pk), valkey.limits_key(tenant.pk), *key_names],
        [tenant.generation, _unix_ms_or_empty(expires_at), json.dumps(limits), *key_facts],
    )
    if newer:
        return int(newer)
    _write_owners(tenant, keys, now)
    return None


def prune_snapshots() -> int:
    """Delete from Valkey the accounts of old months and the minute buckets of dead keys; return how many.

    Safe to repeat. The data plane reads a month's account only while requests of that month run. People read
    the ledger.
    """
    return _expire_old_accounts() + _delete_buckets_of_dead_keys()


def find_owner(digest: str) -> tuple[UUID, UUID] | None:
    """Return (tenant id, key id) of a secret's digest from PostgreSQL; None if no published key has it.

    A key that died not long ago is found, so that its request gets the reason of its refusal.
    """
    published = ApiKey.objects.published(timezone.now())
    return published.filter(digest=digest).values_list("tenant_id", "pk").first()


def is_published(key_id: UUID) -> bool:
    """Return whether a key is among those that its tenant's snapshot has."""
    return ApiKey.objects.published(timezone.now()).filter(pk=key_id).exists()


def _write_owners(tenant: Tenant, keys: Iterable[ApiKey], now: datetime) -> None:
    """Write which tenant and key each digest belongs to. That never changes, so it needs no generation."""
    pipeline = valkey.client().pipeline(transaction=False)
    for key in keys:
        if key.digest:
            kept_until = _kept_until(key, now)
            pipeline.set(valkey.owner_key(key.digest), f"{tenant.pk}:{key.pk}", pxat=kept_until)
    pipeline.execute()


def _kept_until(key: ApiKey, now: datetime) -> datetime | None:
    """Return until when Valkey keeps a key: one that has died, or will, goes a day later by itself."""
    if key.revoked_at:
        return now + DEAD_KEYS_KEPT
    if key.expires_at:
        return max(key.expires_at, now) + DEAD_KEYS_KEPT
    return None


def _expire_old_accounts() -> int:
    expired = 0
    client = valkey.client()
    current_period = months.current()
    # SCAN in batches: KEYS would hold up every request while it runs.
    for name in client.scan_iter(match=valkey.account_key_pattern(), count=SCAN_BATCH_SIZE):
        period = name.rpartition(":")[2]
        if period < current_period and client.ttl(name) == NO_TTL:
            _, end = months.bounds(period)
            expired += int(client.expireat(name, end + ACCOUNTS_KEPT))
    return expired


def _delete_buckets_of_dead_keys() -> int:
    deleted = 0
    client = valkey.client()
    now = timezone.now()
    period = (now - DEAD_KEYS_PRUNED, now - DEAD_KEYS_KEPT)
    dead = ApiKey.objects.filter(Q(revoked_at__range=period) | Q(expires_at__range=period))
    for key_id, tenant_id in dead.values_list("pk", "tenant"):
        fields = [f"{field}:{key_id}" for field in ("open", "requests", "tokens", "at")]
        deleted += bool(client.hdel(valkey.bucket_key(tenant_id), *fields))
    return deleted


def _next_changes(tenant: Tenant, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return when limits change by themselves, if that is soon, and when the change after it is due, if ever.

    Credits change with each month. At the second moment the published limits expire: they don't have that
    change, and the data plane publishes absent limits again before it serves anybody. That the budget is
    whole again after a month that was charged for trainings is such a change.
    """
    coming_at = None
    planned = plans.next_change(tenant, now)
    _, month_ends = months.bounds(months.period_of(now))
    next_at = min(planned or month_ends, month_ends)
    if next_at - now <= COMING_KNOWN_BEFORE:
        coming_at = next_at
        planned = plans.next_change(tenant, coming_at)
        _, month_ends = months.bounds(months.period_of(coming_at))
    if trainings.charged_nanousd(tenant.pk, months.period_of(coming_at or now)):
        return coming_at, min(planned or month_ends, month_ends)
    return coming_at, planned


def _serialize_coming(tenant: Tenant, present: Hash, coming_at: datetime | None) -> str:
    """Return the fields that will be others then, as JSON; "" while nothing is to come soon."""
    if coming_at is None:
        return ""
    changes = {}
    for name, value in _limits_hash(tenant, coming_at, wallet_at=coming_at).items():
        if value != present[name]:
            changes[name] = value
    return json.dumps(changes)


def _limits_hash(tenant: Tenant, at: datetime, *, wallet_at: datetime) -> Hash:
    """Return a tenant's limits at a moment. The wallet's moment is by Valkey's clock."""
    version = plans.plan_version_at(tenant, at)
    limits = plans.limits_of(tenant, at, version)
    fields = {name: _number_or_empty(getattr(limits, name)) for name in LIMITS}
    fields |= {name: str(price) for name, price in limits.prices._asdict().items()}
    # Requests and trainings share a budget, and admission counts requests alone.
    period = months.period_of(wallet_at)
    costs = trainings.read_costs(tenant.pk, period, period)
    if limits.monthly_nanousd is not None:
        fields["monthly_nanousd"] = str(max(0, limits.monthly_nanousd - costs.in_month(period)))
    fields |= credit_fields(tenant, version, wallet_at)
    fields["base_prices"] = _serialize_base_prices(limits)
    fields["state"] = "suspended" if tenant.suspended_at else "live"
    fields["slug"] = tenant.slug
    fields["is_watermarked"] = str(int(tenant.is_watermarked))
    fields["responses_kept_days"] = _number_or_empty(tenant.responses_kept_days)
    fields["name"] = tenant.name
    return fields


def _serialize_base_prices(limits: plans.TenantLimits) -> str:
    """Return the base model's own prices, or "", as a style's are in adapters/routing/tables.py."""
    return "/".join(map(str, limits.base_prices)) + "@0" if limits.base_prices else ""


def _key_hash(key: ApiKey) -> Hash:
    fields = {name: _number_or_empty(getattr(key, name)) for name in KEY_LIMITS}
    fields["state"] = _key_state(key)
    fields["is_watermarked"] = str(int(key.is_watermarked))
    fields["expires_at"] = str(int(key.expires_at.timestamp())) if key.expires_at else ""
    fields["name"] = key.name
    fields["hint"] = f"{key.prefix}…{key.last4}"
    fields["scopes"] = ",".join(key.scopes)
    fields["styles"] = ",".join(map(str, key.styles or []))
    return fields


def _key_state(key: ApiKey) -> str:
    """Return `live` for a key that may write text, else why it may not."""
    if key.revoked_at:
        return "revoked"
    if not {Scope.INFERENCE, Scope.ADMIN} & set(key.scopes):
        return "unscoped"
    return "live"


def valkey_now() -> datetime:
    """Return the time by Valkey's clock, which decides the month of a request."""
    seconds, _ = valkey.client().time()
    return datetime.fromtimestamp(seconds, UTC)


def _unix_ms_or_empty(moment: datetime | None) -> str:
    return "" if moment is None else str(int(moment.timestamp() * 1000))


def _number_or_empty(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def bump_generations(tenant_ids: Iterable[UUID]) -> None:
    """Count a change of some tenants that the data plane must see, in the caller's transaction."""
    Tenant.objects.filter(pk__in=list(tenant_ids)).update(generation=F("generation") + 1)


def bump_all_generations() -> None:
    """Count a change of every tenant, such as new prices. A periodic task publishes them."""
    # No publication here: it would be one write to Valkey for each workspace, within this transaction.
    Tenant.objects.update(generation=F("generation") + 1)


def stale_generations() -> dict[UUID, int]:
    """Return tenant → generation of the tenants whose last change is not published yet."""
    return dict(Tenant.objects.stale().values_list("pk", "generation"))


def overtake_generation(tenant_id: UUID, published: int) -> bool:
    """Count a tenant up past what Valkey has, if not even now it has been counted so far; return whether.

    Usually another publisher read a later change and was quicker. A tenant that is behind Valkey was restored
    from a backup.
    """
    behind = Tenant.objects.filter(pk=tenant_id, generation__lt=published)
    return bool(behind.update(generation=published + 1))


def observe_generation(tenant_id: UUID, generation: int) -> None:
    """Record that a tenant's generation is published. An older one than recorded changes nothing."""
    # Two publishers may end in either order; the number only rises.
    behind = Tenant.objects.filter(pk=tenant_id, observed_generation__lt=generation)
    behind.update(observed_generation=generation)
