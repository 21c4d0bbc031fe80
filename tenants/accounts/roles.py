"""What a person of a workspace may do to its API keys: the one table that decides it.

A member makes keys and looks after those of their own; what others run on is an owner's to stop or to
change. Everybody sees all of them.
"""

from enum import StrEnum

from tenants.models import ApiKey, Membership, Tenant, User

Role = Membership.Role


class KeyAction(StrEnum):
    """What can be done to a key."""

    ISSUE = "issue"
    LIMIT = "limit"
    REVOKE = "revoke"


class Ownership(StrEnum):
    """Whose keys an action is allowed on."""

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


def is_allowed(user: User, tenant: Tenant, action: KeyAction, key: ApiKey | None = None) -> bool:
    """Return whether a person may do something to a workspace's key; without one, to a key of their own."""
    role = Membership.objects.filter(user=user, tenant=tenant).values_list("role", flat=True).first()
    return _allows(role, action, is_own=key is None or key.created_by_id == user.pk)


def manageable(user: User, tenant: Tenant, keys: list[ApiKey]) -> dict[KeyAction, set[object]]:
    """Return, for each action, the ids of the keys that a person may do it to; one query for a page."""
    role = Membership.objects.filter(user=user, tenant=tenant).values_list("role", flat=True).first()
    return {
        action: {key.pk for key in keys if _allows(role, action, is_own=key.created_by_id == user.pk)}
        for action in KeyAction
    }


def _allows(role: str | None, action: KeyAction, *, is_own: bool) -> bool:
    whose = ALLOWED.get(role or "", {}).get(action)
    return whose == Ownership.ANY or (whose == Ownership.OWN and is_own)
