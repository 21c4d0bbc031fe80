"""Issue, edit, rotate, verify and revoke API keys. A secret is shown once and stored nowhere.

It is `sk-ps-`, 30 random base62 digits, 6 base62 digits of their CRC-32. The check digits refuse garbage
without a look-up and let leak scanners recognise keys. Only an HMAC-SHA256 of it under a numbered pepper is
stored.
"""

import hmac
import re
import string
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from secrets import choice
from typing import Any, TypedDict, Unpack, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from core import locks
from core.errors import Conflict, Invalid
from core.peppers import current_pepper
from tenants.events.outbox import record_event
from tenants.models import ApiKey, EventType, Scope, Tenant, User
from tenants.quota_sync import snapshot

# Each change of a key publishes all of them to Valkey, so their number is bounded.
MAX_NEW_KEYS_PER_DAY = 200
PREFIX = "sk-ps-"
BODY_DIGITS = 30
CHECK_DIGITS = 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{BODY_DIGITS}}})([0-9A-Za-z]{{{CHECK_DIGITS}}})")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SHOWN_DIGITS = 4  # at each end of a secret; people recognise a key by them


class DeadKey(Conflict):
    """The key “{name}” was revoked or has expired. Create a new one."""

    code = "key_not_live"


class NameTaken(Invalid):
    """There is already a key named “{name}”. Choose another name."""

    code = "name_taken"


class TooManyKeys(Conflict):
    """A workspace can create at most {limit} API keys per day. Use fewer keys with narrower limits."""

    code = "too_many_keys"


class KeyLimits(TypedDict, total=False):
    """A key's own limits. None, and no styles: only the tenant's limits apply.

    `is_watermarked` turns the watermark off for one key, where the workspace has it on.
    """

    styles: Sequence[UUID] | None
    monthly_tokens: int | None
    monthly_nanousd: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel_requests: int | None
    is_watermarked: bool


def starting_limits(tenant: Tenant) -> KeyLimits:
    """Return the limits that a workspace lets a new key start with, where nothing else is said."""
    return cast("KeyLimits", dict(tenant.key_limits or {}))


def starting_end(tenant: Tenant) -> datetime | None:
    """Return when a key that is made now ends, where nothing else is said; None for never."""
    days = tenant.key_lifetime_days
    return timezone.now() + timedelta(days=days) if days else None


def issue_key(
    tenant: Tenant,
    *,
    name: str,
    by: User | None,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = (Scope.INFERENCE.value,),
    **limits: Unpack[KeyLimits],
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which nobody can read again. Raises TooManyKeys."""
    with transaction.atomic():
        _require_few_keys(tenant)
        key, secret = _create_key(
            tenant, name=name, created_by=by, expires_at=expires_at, scopes=sorted(set(scopes)), **limits
        )
        record_event(tenant.pk, EventType.KEY_CREATED, key)
    return key, secret


def limit_key(key: ApiKey, **limits: Unpack[KeyLimits]) -> None:
    """Set a key's own limits from the next request on. Limits that are not named stay."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(**limits)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=list(limits))


def edit_key(key: ApiKey, **changes: Any) -> None:
    """Change a live key's name, scopes, end or limits from the next request on. What is not named stays.

    Raises DeadKey.
    """
    live = ApiKey.objects.live(timezone.now())
    with transaction.atomic():
        if not live.filter(pk=key.pk).update(**changes):
            raise DeadKey(name=key.name)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=list(changes))


def rotate_key(key: ApiKey, *, by: User | None, old_lives: timedelta) -> tuple[ApiKey, str]:
    """Return a new key with the name, scopes and limits of a live one, and its secret.

    The old one ends after `old_lives`, unless it ends sooner anyway. Raises DeadKey.
    """
    now = timezone.now()
    ends_at = min(key.expires_at or now + old_lives, now + old_lives)
    with transaction.atomic():
        live = ApiKey.objects.live(now).filter(pk=key.pk, replaced_by=None)
        if not live.select_for_update(no_key=True).exists():
            raise DeadKey(name=key.name)
        _require_few_keys(key.tenant)
        new_key, secret = _create_key(
            key.tenant,
            name=key.name,
            created_by=by,
            expires_at=key.expires_at,
            scopes=key.scopes,
            styles=key.styles,
            monthly_tokens=key.monthly_tokens,
            monthly_nanousd=key.monthly_nanousd,
            requests_per_minute=key.requests_per_minute,
            tokens_per_minute=key.tokens_per_minute,
            parallel_requests=key.parallel_requests,
            is_watermarked=key.is_watermarked,
        )
        live.update(expires_at=ends_at, replaced_by=new_key)
        record_event(key.tenant_id, EventType.KEY_ROTATED, new_key, replaces=key.pk, old_secret_until=ends_at)
    key.refresh_from_db(fields=["expires_at", "replaced_by"])
    return new_key, secret


def _require_few_keys(tenant: Tenant) -> None:
    locks.one_at_a_time(f"new keys of {tenant.pk}")
    day_ago = timezone.now() - timedelta(days=1)
    if ApiKey.objects.filter(tenant=tenant, created_at__gt=day_ago).count() >= MAX_NEW_KEYS_PER_DAY:
        raise TooManyKeys(limit=MAX_NEW_KEYS_PER_DAY)


def require_free_name(tenant: Tenant, name: str, *, key: ApiKey | None = None) -> None:
    """Raise NameTaken for the name of another live key: people tell keys apart by their names."""
    live = ApiKey.objects.shown().live(timezone.now()).filter(tenant=tenant, name=name, replaced_by=None)
    others = live.exclude(pk=key.pk) if key else live
    if others.exists():
        raise NameTaken(name=name, field="name")


def find_live_key(secret: str) -> ApiKey | None:
    """Return the live key of a secret with its tenant, as PostgreSQL knows it; None where there is none."""
    if not is_well_formed(secret):
        return None
    live = ApiKey.objects.live(timezone.now()).select_related("tenant")
    return live.filter(digest__in=digest_by_peppers(secret)).first()


def verify_key(secret: str, tenant: Tenant) -> bool:
    """Return whether a secret is a live key of a tenant."""
    key = find_live_key(secret)
    return key is not None and key.tenant_id == tenant.pk


def revoke_key(key: ApiKey) -> bool:
    """End a key for good from the next request on; return False if it was revoked before."""
    with transaction.atomic():
        now = timezone.now()
        revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
        snapshot.mark_changed(key.tenant_id)
        key.refresh_from_db(fields=["revoked_at"])
        if revoked:
            record_event(key.tenant_id, EventType.KEY_REVOKED, key)
    return bool(revoked)


def _create_key(tenant: Tenant, **facts: Any) -> tuple[ApiKey, str]:
    """Return a new key and its secret, in the caller's transaction."""
    secret = new_secret()
    key = ApiKey.objects.create(
        tenant=tenant,
        digest=digest_key(secret),
        pepper=current_pepper(),
        prefix=secret[: len(PREFIX) + SHOWN_DIGITS],
        last4=secret[-SHOWN_DIGITS:],
        **facts,
    )
    snapshot.mark_changed(tenant.pk)
    return key, secret


def peppers_in_use() -> dict[int, int]:
    """Return pepper's number → how many live keys are stored under it; the playground's have no secret."""
    live = ApiKey.objects.live(timezone.now()).exclude(digest=None)
    return dict(live.order_by().values_list("pepper").annotate(Count("pk")))


def new_secret() -> str:
    """Return a new random secret (178 bits)."""
    body = "".join(choice(BASE62) for _ in range(BODY_DIGITS))
    return PREFIX + body + check_digits(body)


def is_well_formed(secret: str) -> bool:
    """Return whether a text has a key's shape and the right check digits; the key may not exist."""
    match = SHAPE.fullmatch(secret)
    return match is not None and check_digits(match[1]) == match[2]


def check_digits(body: str) -> str:
    """Return the CRC-32 of a secret's random part as six base62 digits."""
    rest = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECK_DIGITS):
        rest, digit = divmod(rest, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def digest_key(secret: str, pepper_number: int | None = None) -> str:
    """Return the HMAC-SHA256 of a secret in hex, under the current pepper or the given one.

    Raises KeyError for a pepper that API_KEY_PEPPERS no longer holds.
    """
    number = current_pepper() if pepper_number is None else pepper_number
    return hmac.digest(settings.API_KEY_PEPPERS[number], secret.encode(), "sha256").hex()


def digest_by_peppers(secret: str) -> list[str]:
    """Return a secret's digests under every pepper, newest first: a key may be older than the newest one."""
    numbers = sorted(settings.API_KEY_PEPPERS, reverse=True)
    return [digest_key(secret, number) for number in numbers]
