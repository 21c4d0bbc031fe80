"""Create, edit, rotate and revoke API keys: who may do it, what a key may have, the audit log and the event.

Pages, the API, the log-in of a command line and the console call these actions; each is one transaction.

A secret is returned once and stored nowhere (tenants/models/keys.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.workspaces import require_watermark_choice
from core import locks
from core.errors import Conflict, Invalid, NotAllowed
from core.peppers import current_pepper
from events.models import EventType
from events.outbox import record_event
from metering.quota_sync import snapshot
from tenants.access import Access
from tenants.models import ApiKey, Scope, Tenant, default_scopes
from tenants.models.keys import PREFIX, digest_key, new_secret
from tenants.roles import NEEDED_TO_GRANT, Permission, describe_allowed

# Each change of a key publishes all of them to Valkey, so their number is bounded.
MAX_NEW_KEYS_PER_DAY = 200
MAX_NAME = 60  # characters
MAX_MONTHLY_TOKENS = 10**15  # Valkey's Lua counts exactly up to 2⁵³ only
MAX_PER_MINUTE = 10**9
SHOWN_DIGITS = 4  # at each end of a secret; people recognise a key by them


class KeyNotLive(Conflict):
    """The key “{name}” was revoked or has expired. Create a new one."""


class NameTaken(Invalid):
    """There is already a key named “{name}”. Choose another name."""


class EndIsPast(Invalid):
    """This time is in the past. Choose a later one."""

    code = "invalid"

    for_programs = "This time is in the past. Send null for a key that never expires."


class TooManyKeys(Conflict):
    """A workspace can create at most {limit} API keys per day. Use fewer keys with narrower limits."""


class NotYourKey(NotAllowed):
    """Only the key's creator and the {who} of {tenant} can do this. Ask one of them."""


class ScopeNotYours(NotAllowed):
    """You can't grant the scope `{scope}`, because your own role doesn't include it."""


class KeyIsLimited(NotAllowed):
    """This API key has its own limits, so it can't create or change keys, which could bypass those limits."""


class OutlivesYourKey(NotAllowed):
    """This API key expires at {at}. Keys that it creates, changes or rotates can't expire later."""


class PlaygroundKey(Invalid):
    """This key belongs to the playground. Suspend the workspace instead."""

    code = "invalid"


class KeySettings(TypedDict, total=False):
    """A key's scopes, end and own limits. None, and no styles: only the workspace's limits apply.

    `is_watermarked` turns the watermark off for one key, where the workspace has it on.
    """

    scopes: Sequence[str]
    expires_at: datetime | None
    styles: Sequence[UUID] | None
    monthly_tokens: int | None
    monthly_nanousd: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel_requests: int | None
    is_watermarked: bool


class KeyChanges(KeySettings, total=False):
    """What of a key can be edited."""

    name: str


@transaction.atomic
def create_key(
    by: Access, *, name: str, is_numbered: bool = False, **chosen: Unpack[KeySettings]
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which nobody can read again.

    What isn't chosen is as the workspace lets new keys start. With `is_numbered`, a name that is taken gets a
    number. Raises NotAllowed, NameTaken, EndIsPast, WatermarkRequired, TooManyKeys.
    """
    by.require(Scope.KEYS_WRITE)
    by.require_permission(Permission.MAKE_KEYS)
    _require_unlimited(by)
    facts = {**_starting_settings(by), **_normalised(chosen)}
    _require_allowed(by, facts)
    _require_few_keys(by.tenant)
    if is_numbered:
        name = _number_name(by.tenant, name)
    else:
        _require_free_name(by.tenant, name)
    key, secret = _store_key(by, name=name, **facts)
    record_event(by.tenant.pk, EventType.KEY_CREATED, key)
    by.audit("api_key.created", key, after={"scopes": key.scopes})
    return key, secret


@transaction.atomic
def edit_key(key: ApiKey, *, by: Access, **changes: Unpack[KeyChanges]) -> None:
    """Change a live key from the next request on. What isn't named stays.

    An edit that changes nothing is not audited. Raises KeyNotLive and what `create_key` raises, except
    TooManyKeys.
    """
    _require_unlimited(by)
    held = _lock_live(key, by=by)
    before = {}
    after = {}
    for name, value in _normalised(changes).items():
        if value != getattr(held, name):
            before[name], after[name] = getattr(held, name), value
    if not after:
        return
    _require_allowed(by, after, granted=held.scopes)
    if "name" in after:
        _lock_names(by.tenant)
        _require_free_name(by.tenant, after["name"])
    ApiKey.objects.filter(pk=key.pk).update(**after)
    snapshot.mark_changed(key.tenant_id)
    key.refresh_from_db(fields=list(after))
    by.audit("api_key.edited", key, before=before, after=after)


@transaction.atomic
def rotate_key(key: ApiKey, *, by: Access, old_lives: timedelta) -> tuple[ApiKey, str]:
    """Return a new key with the name, scopes, end and limits of a live one, and its secret.

    The old one ends after `old_lives`, unless it ends sooner anyway. Raises NotAllowed, KeyNotLive,
    TooManyKeys.
    """
    _require_unlimited(by)
    held = _lock_live(key, by=by)
    if held.replaced_by_id:
        raise KeyNotLive(name=held.name)
    _require_grantable(by, held.scopes)
    _require_end(by, held.expires_at)
    _require_few_keys(by.tenant)
    new_key, secret = _store_key(by, **{name: getattr(held, name) for name in KeyChanges.__optional_keys__})
    ends_at = timezone.now() + old_lives
    if held.expires_at:
        ends_at = min(ends_at, held.expires_at)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=ends_at, replaced_by=new_key)
    key.refresh_from_db(fields=["expires_at", "replaced_by"])
    record_event(key.tenant_id, EventType.KEY_ROTATED, new_key, replaces=key.pk, old_secret_until=ends_at)
    by.audit("api_key.rotated", key, after={"replaced_by": str(new_key.pk)})
    return new_key, secret


@transaction.atomic
def revoke_key(key: ApiKey, *, by: Access) -> None:
    """End a key for good from the next request on. Doing it twice does nothing. Raises NotAllowed."""
    require_manageable(by, key)
    if _revoke(key):
        by.audit("api_key.revoked", key)


@transaction.atomic
def revoke_by_operator(key: ApiKey) -> None:
    """End a key for good; the console writes the audit log. Raises PlaygroundKey."""
    if key.digest is None:
        raise PlaygroundKey
    _revoke(key)


def grantable_scopes(by: Access) -> list[Scope]:
    """Return the scopes that a caller may give to a key: it can't do more than they can."""
    if by.key is None:
        return [scope for scope in Scope if by.may(NEEDED_TO_GRANT[scope])]
    own = by.key.scopes
    return [scope for scope in Scope if scope in own or Scope.ADMIN in own]


def may_manage(by: Access, key: ApiKey) -> bool:
    """Return whether a person's role lets them edit, rotate and revoke a key of theirs, or of others."""
    is_own = by.user is not None and key.created_by_id == by.user.pk
    return by.may(Permission.MAKE_KEYS if is_own else Permission.MANAGE_KEYS)


def require_manageable(by: Access, key: ApiKey) -> None:
    """Raise NotYourKey for a person who may not manage a key, ScopeNotYours for a key that may do less."""
    by.require(Scope.KEYS_WRITE)
    if not may_manage(by, key):
        raise NotYourKey(who=describe_allowed(Permission.MANAGE_KEYS), tenant=by.tenant.name)
    if by.key:
        _require_grantable(by, key.scopes)


def _starting_settings(by: Access) -> dict[str, Any]:
    """Return what a new key has where nothing else is chosen. It ends with the calling key at the latest."""
    days = by.tenant.key_lifetime_days
    ends = [timezone.now() + timedelta(days=days)] if days else []
    latest = _latest_end(by)
    if latest:
        ends.append(latest)
    limits = by.tenant.key_limits or {}
    return {"scopes": default_scopes(), "expires_at": min(ends, default=None), **limits}


def _normalised(chosen: KeySettings) -> dict[str, Any]:
    """Return settings as they are stored, so that they compare: scopes in order, no styles as None."""
    facts: dict[str, Any] = {**chosen}
    if "scopes" in facts:
        facts["scopes"] = sorted({str(scope) for scope in facts["scopes"]})
    if "styles" in facts:
        facts["styles"] = list(facts["styles"] or ()) or None
    return facts


def _require_allowed(by: Access, facts: Mapping[str, Any], *, granted: Collection[str] = ()) -> None:
    """Raise for what a caller may not choose for a key that has some scopes already."""
    _require_grantable(by, [scope for scope in facts.get("scopes", ()) if scope not in granted])
    if "expires_at" in facts:
        _require_end(by, facts["expires_at"])
    if "is_watermarked" in facts:
        require_watermark_choice(facts["is_watermarked"])


def _require_unlimited(by: Access) -> None:
    """Raise KeyIsLimited for a key that could shed its own limits by another key."""
    if by.key and Scope.ADMIN not in by.key.scopes and by.key.own_limits:
        raise KeyIsLimited


def _require_grantable(by: Access, scopes: Iterable[str]) -> None:
    """Raise ScopeNotYours for a scope that the caller may not give."""
    allowed = grantable_scopes(by)
    for scope in scopes:
        if scope not in allowed:
            raise ScopeNotYours(scope=str(scope), field="scopes")


def _latest_end(by: Access) -> datetime | None:
    """Return the end that keys of the caller's making must have at the latest; None for any."""
    return by.key.expires_at if by.key and Scope.ADMIN not in by.key.scopes else None


def _require_end(by: Access, expires_at: datetime | None) -> None:
    """Raise EndIsPast, and OutlivesYourKey for an end that is later than the calling key's own."""
    if expires_at and expires_at <= timezone.now():
        raise EndIsPast(field="expires_at")
    latest = _latest_end(by)
    if latest and (expires_at is None or expires_at > latest):
        raise OutlivesYourKey(at=f"{latest:%Y-%m-%d %H:%M} UTC")


def _require_few_keys(tenant: Tenant) -> None:
    _lock_names(tenant)
    day_ago = timezone.now() - timedelta(days=1)
    if ApiKey.objects.filter(tenant=tenant, created_at__gt=day_ago).count() >= MAX_NEW_KEYS_PER_DAY:
        raise TooManyKeys(limit=MAX_NEW_KEYS_PER_DAY)


def _lock_names(tenant: Tenant) -> None:
    """Let no other transaction count or name a workspace's keys until this one ends."""
    locks.one_at_a_time(f"new keys of {tenant.pk}")


def _require_free_name(tenant: Tenant, name: str) -> None:
    """Raise NameTaken for the name of a live key: people tell keys apart, and revoke them, by their names."""
    if _named_keys(tenant).filter(name=name).exists():
        raise NameTaken(name=name, field="name")


def _number_name(tenant: Tenant, name: str) -> str:
    """Return a name that no live key has, with a number at its end if need be."""
    taken = set(_named_keys(tenant).values_list("name", flat=True))
    numbered = name
    number = 1
    while numbered in taken:
        number += 1
        ending = f" {number}"
        numbered = f"{name[: MAX_NAME - len(ending)]}{ending}"
    return numbered


def _named_keys(tenant: Tenant) -> QuerySet[ApiKey]:
    """Return the keys whose names are taken: live ones, without those that a rotation replaced."""
    return ApiKey.objects.shown().live(timezone.now()).filter(tenant=tenant, replaced_by=None)


def _lock_live(key: ApiKey, *, by: Access) -> ApiKey:
    """Return a key that the caller may manage, as it is now, and lock it until the transaction ends.

    Raises NotYourKey, ScopeNotYours and KeyNotLive.
    """
    held = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    require_manageable(by, held)
    if not held.is_live:
        raise KeyNotLive(name=held.name)
    return held


def _store_key(by: Access, **facts: Any) -> tuple[ApiKey, str]:
    """Return a new key and its secret, in the caller's transaction."""
    secret = new_secret()
    key = ApiKey.objects.create(
        tenant=by.tenant,
        created_by=by.maker,
        digest=digest_key(secret),
        pepper=current_pepper(),
        prefix=secret[: len(PREFIX) + SHOWN_DIGITS],
        last4=secret[-SHOWN_DIGITS:],
        **facts,
    )
    snapshot.mark_changed(by.tenant.pk)
    return key, secret


def _revoke(key: ApiKey) -> bool:
    """End a key; return False if it was revoked before."""
    revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])
    if revoked:
        snapshot.mark_changed(key.tenant_id)
        record_event(key.tenant_id, EventType.KEY_REVOKED, key)
    return bool(revoked)
