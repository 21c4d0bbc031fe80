"""API keys: `sk-ps-`, 30 random base62 digits, 6 base62 digits of their CRC-32.

The check digits refuse garbage without a look-up and let leak scanners find keys. Only an HMAC-SHA256 of
the secret under a numbered pepper is stored; the secret itself is shown once.
"""

import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenants.models import ApiKey, Tenant, User
from tenants.quota_sync import snapshot

PREFIX = "sk-ps-"
BODY_DIGITS = 30
CHECK_DIGITS = 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{BODY_DIGITS}}})([0-9A-Za-z]{{{CHECK_DIGITS}}})")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
STUDIO = "Studio"


class KeyLimits(TypedDict, total=False):
    """A key's own limits. None, and no styles: only the tenant's limits bound it."""

    styles: Sequence[UUID] | None
    monthly_tokens: int | None
    monthly_nanousd: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel_requests: int | None


def issue_key(
    tenant: Tenant,
    *,
    name: str,
    by: User | None,
    expires_at: datetime | None = None,
    **limits: Unpack[KeyLimits],
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which can't be had again."""
    secret = new_secret()
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            digest=digest_key(secret),
            pepper=_newest_pepper(),
            prefix=secret[: len(PREFIX) + 4],
            last4=secret[-4:],
            expires_at=expires_at,
            created_by=by,
            **limits,
        )
        snapshot.mark_changed(tenant.pk)
    return key, secret


def limit_key(key: ApiKey, **limits: Unpack[KeyLimits]) -> None:
    """Set a key's own limits; those that are not named stay. They hold from the very next request on."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(**limits)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=list(limits))


def verify_key(secret: str, tenant: Tenant) -> bool:
    """Return whether a secret is a live key of a tenant, as PostgreSQL knows it."""
    live = ApiKey.objects.live(timezone.now())
    return (
        is_well_formed(secret) and live.filter(tenant=tenant, digest__in=digest_by_peppers(secret)).exists()
    )


def revoke_key(key: ApiKey) -> bool:
    """End a key for good, from the very next request on; return False if it was revoked before."""
    with transaction.atomic():
        now = timezone.now()
        revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=["revoked_at"])
    return bool(revoked)


def studio_key(tenant: Tenant) -> ApiKey:
    """Return the key that the playground's usage is booked on. It has no secret: nobody can show it."""
    key = ApiKey.objects.filter(tenant=tenant, digest=None).first()
    if key is None:
        with transaction.atomic():
            key, created = ApiKey.objects.get_or_create(tenant=tenant, digest=None, defaults={"name": STUDIO})
            if created:
                snapshot.mark_changed(tenant.pk)
    return key


def new_secret() -> str:
    """Return a new random secret (178 bits)."""
    body = "".join(secrets.choice(BASE62) for _ in range(BODY_DIGITS))
    return PREFIX + body + check_digits(body)


def is_well_formed(secret: str) -> bool:
    """Return whether a text has a key's shape and the right check digits; it need not exist."""
    match = SHAPE.fullmatch(secret)
    return match is not None and check_digits(match[1]) == match[2]


def check_digits(body: str) -> str:
    """Return the CRC-32 of a secret's random part as six base62 digits."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_DIGITS):
        rest, digit = divmod(rest, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def digest_key(secret: str, pepper_number: int | None = None) -> str:
    """Return the HMAC-SHA256 of a secret in hex, under the newest pepper or the given one.

    Raises KeyError for a pepper that API_KEY_PEPPERS no longer holds.
    """
    number = _newest_pepper() if pepper_number is None else pepper_number
    return hmac.digest(settings.API_KEY_PEPPERS[number], secret.encode(), "sha256").hex()


def digest_by_peppers(secret: str) -> list[str]:
    """Return a secret's digests under every pepper, newest first: a key may be older than the newest."""
    return [digest_key(secret, number) for number in sorted(settings.API_KEY_PEPPERS, reverse=True)]


def _newest_pepper() -> int:
    return max(settings.API_KEY_PEPPERS)
