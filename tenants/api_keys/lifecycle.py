"""Issue, limit, verify and revoke API keys. A secret is shown once and stored nowhere."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tenants.api_keys.key_format import (
    PREFIX,
    digest_by_peppers,
    digest_key,
    is_well_formed,
    new_secret,
    newest_pepper,
)
from tenants.models import ApiKey, Tenant, User
from tenants.quota_sync import snapshot

STUDIO = "Studio"
SHOWN_DIGITS = 4  # at each end of a secret; people recognise a key by them


class KeyLimits(TypedDict, total=False):
    """A key's own limits. None, and no styles: only the tenant's limits apply."""

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
    """Return a new key and its secret, which nobody can read again."""
    secret = new_secret()
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            digest=digest_key(secret),
            pepper=newest_pepper(),
            prefix=secret[: len(PREFIX) + SHOWN_DIGITS],
            last4=secret[-SHOWN_DIGITS:],
            expires_at=expires_at,
            created_by=by,
            **limits,
        )
        snapshot.mark_changed(tenant.pk)
    return key, secret


def limit_key(key: ApiKey, **limits: Unpack[KeyLimits]) -> None:
    """Set a key's own limits from the next request on. Limits that are not named stay."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(**limits)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=list(limits))


def verify_key(secret: str, tenant: Tenant) -> bool:
    """Return whether a secret is a live key of a tenant, as PostgreSQL knows it."""
    if not is_well_formed(secret):
        return False
    live = ApiKey.objects.live(timezone.now())
    digests = digest_by_peppers(secret)
    return live.filter(tenant=tenant, digest__in=digests).exists()


def revoke_key(key: ApiKey) -> bool:
    """End a key for good from the next request on; return False if it was revoked before."""
    with transaction.atomic():
        now = timezone.now()
        revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
        snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=["revoked_at"])
    return bool(revoked)


def studio_key(tenant: Tenant) -> ApiKey:
    """Return the key that the playground's usage is booked on. It has no secret, so nobody can show it."""
    key = ApiKey.objects.filter(tenant=tenant, digest=None).first()
    if key is not None:
        return key
    with transaction.atomic():
        # Two requests may be first at once; the constraint `one_studio_key` lets one of them create it.
        key, created = ApiKey.objects.get_or_create(tenant=tenant, digest=None, defaults={"name": STUDIO})
        if created:
            snapshot.mark_changed(tenant.pk)
    return key
