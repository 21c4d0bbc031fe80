"""What a member of a workspace may do to its API keys: the one table that decides it.

A member issues keys, and limits or revokes those of their own. Only an owner limits or revokes the keys that
others run on. Everybody sees all keys.
"""

from enum import StrEnum
from uuid import UUID

from tenants.models import ApiKey, Membership, Scope, Tenant, User

Role = Membership.Role


class KeyAction(StrEnum):
    """What a person can do to a key."""

    ISSUE = "issue"
    LIMIT = "limit"
    REVOKE = "revoke"


class Ownership(StrEnum):
    """Whose keys a role may do an action to."""

    OWN = "own"
    ANY = "any"


ALLOWED: dict[str, dict[KeyAction, Ownership]] = {
    Role.OWNER: {
        KeyAction.ISSUE: Ownership.ANY,
        KeyAction.LIMIT: Ownership.ANY,
        KeyAction.REVOKE: Ownership.ANY,
    },
    Role.MEMBER: {
        KeyAction.ISSUE: Ownership.OWN,
        KeyAction.LIMIT: Ownership.OWN,
        KeyAction.REVOKE: Ownership.OWN,
    },
}


# A member can't make a key that may do more than the member's role.
# (A key is no person: one that may manage keys manages those of everybody.)
OWNER_SCOPES = frozenset(
    {Scope.KEYS_WRITE, Scope.MEMBERS_WRITE, Scope.WEBHOOKS_WRITE, Scope.BILLING_READ, Scope.ADMIN}
)


def grantable_scopes(user: User, tenant: Tenant) -> list[Scope]:
    """Return the scopes that a person may give to a key."""
    role = _find_role(user, tenant)
    if role is None:
        return []
    return [scope for scope in Scope if role == Role.OWNER or scope not in OWNER_SCOPES]


def is_allowed(user: User, tenant: Tenant, action: KeyAction, key: ApiKey | None = None) -> bool:
    """Return whether a person may do something to a workspace's key; without one, to a key of their own."""
    is_own = key is None or key.created_by_id == user.pk
    return _allows(_find_role(user, tenant), action, is_own=is_own)


def manageable_keys(user: User, tenant: Tenant, keys: list[ApiKey]) -> dict[KeyAction, set[UUID]]:
    """Return, for each action, the ids of the keys that a person may do it to; one query for a page."""
    role = _find_role(user, tenant)
    manageable: dict[KeyAction, set[UUID]] = {action: set() for action in KeyAction}
    for key in keys:
        for action in KeyAction:
            if _allows(role, action, is_own=key.created_by_id == user.pk):
                manageable[action].add(key.pk)
    return manageable


def _find_role(user: User, tenant: Tenant) -> str | None:
    return Membership.objects.filter(user=user, tenant=tenant).values_list("role", flat=True).first()


def _allows(role: str | None, action: KeyAction, *, is_own: bool) -> bool:
    if role is None:
        return False
    ownership = ALLOWED[role][action]
    return is_own or ownership == Ownership.ANY
