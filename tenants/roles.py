"""What each role may do in a workspace: the one table that pages, the API and the buttons go by.

Pages say what they need with `requires`, operations of the API with `operation(needs=…)`. Of keys, a member
limits and revokes those of their own; `MANAGE_KEYS` is about the keys that others run on.
"""

from collections.abc import Callable
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from core.errors import NotAllowed
from core.grammar import join_and
from tenants.models import Membership, Scope, Tenant, User

Role = Membership.Role


class Permission(StrEnum):
    """What a person can do in a workspace. The value continues the sentence "Only … can"."""

    READ = gettext_noop("view the workspace")
    READ_BILLING = gettext_noop("view its invoices")
    READ_WEBHOOKS = gettext_noop("view its webhooks")
    READ_AUDIT_LOG = gettext_noop("view its audit log")
    WRITE_TEXT = gettext_noop("write texts")
    CHANGE_STYLES = gettext_noop("manage its styles")
    MAKE_KEYS = gettext_noop("create API keys")
    MANAGE_KEYS = gettext_noop("manage other members' API keys")
    MANAGE_WEBHOOKS = gettext_noop("manage its webhooks")
    MANAGE_MEMBERS = gettext_noop("manage its members")
    MANAGE_OWNERS = gettext_noop("add or remove owners")
    MANAGE_BILLING = gettext_noop("manage its billing and plan")
    EDIT_WORKSPACE = gettext_noop("change its settings")
    DELETE_WORKSPACE = gettext_noop("delete it")


P = Permission  # in the tables
_VIEWER = frozenset({P.READ})
_BILLING = _VIEWER | {P.READ_BILLING, P.MANAGE_BILLING}
_MEMBER = _VIEWER | {P.READ_BILLING, P.READ_WEBHOOKS, P.WRITE_TEXT, P.CHANGE_STYLES, P.MAKE_KEYS}
_OWNER = frozenset(Permission)
_ADMIN = _OWNER - {P.MANAGE_OWNERS, P.DELETE_WORKSPACE}

ALLOWED: dict[str, frozenset[Permission]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.MEMBER: _MEMBER,
    Role.BILLING: _BILLING,
    Role.VIEWER: _VIEWER,
}

DESCRIPTIONS: dict[str, str | Promise] = {
    Role.OWNER: _("Full access, including ownership and deletion of the workspace."),
    Role.ADMIN: _("Full access, except managing owners and deleting the workspace."),
    Role.MEMBER: _("Can write, manage styles and create API keys."),
    Role.BILLING: _("Can pay, change the plan and view usage. Can't write."),
    Role.VIEWER: _("Can view styles, keys, usage and members. Can't change anything."),
}

# What a person must be allowed to give a scope to a key: nobody makes a key that may do more than they may.
# (A key is no person: one that may manage keys manages those of everybody.)
NEEDED_TO_GRANT: dict[Scope, Permission] = {
    Scope.INFERENCE: P.WRITE_TEXT,
    Scope.STYLES_READ: P.MAKE_KEYS,
    Scope.STYLES_WRITE: P.CHANGE_STYLES,
    Scope.KEYS_WRITE: P.MANAGE_KEYS,
    Scope.USAGE_READ: P.MAKE_KEYS,
    Scope.BILLING_READ: P.MANAGE_BILLING,
    Scope.MEMBERS_WRITE: P.MANAGE_MEMBERS,
    Scope.WEBHOOKS_WRITE: P.MANAGE_WEBHOOKS,
    Scope.DRAFTS_WRITE: P.WRITE_TEXT,
    Scope.ADMIN: P.MANAGE_OWNERS,
}

# What an operation of the API needs of a person where it says nothing else: by its scope.
NEEDED_TO_READ: dict[Scope, Permission] = {
    Scope.BILLING_READ: P.READ_BILLING,
    Scope.WEBHOOKS_WRITE: P.READ_WEBHOOKS,
    Scope.ADMIN: P.READ_AUDIT_LOG,
}
NEEDED_TO_CHANGE: dict[Scope, Permission] = {
    Scope.INFERENCE: P.WRITE_TEXT,
    Scope.STYLES_READ: P.CHANGE_STYLES,
    Scope.STYLES_WRITE: P.CHANGE_STYLES,
    Scope.KEYS_WRITE: P.MAKE_KEYS,
    Scope.BILLING_READ: P.MANAGE_BILLING,
    Scope.MEMBERS_WRITE: P.MANAGE_MEMBERS,
    Scope.WEBHOOKS_WRITE: P.MANAGE_WEBHOOKS,
    Scope.DRAFTS_WRITE: P.WRITE_TEXT,
}


class RoleNotAllowed(NotAllowed):
    """Your role in {workspace} doesn't allow this. Only {who} can {what}. Ask an owner."""


def allows(role: str | None, permission: Permission) -> bool:
    """Return whether a role allows something; no role allows nothing."""
    return role is not None and permission in ALLOWED[role]


def require_role(tenant: Tenant, role: str | None, permission: Permission) -> None:
    """Raise RoleNotAllowed, which says who can, unless a role allows something."""
    if not allows(role, permission):
        raise RoleNotAllowed(
            workspace=tenant.name, who=describe_allowed(permission), what=gettext(permission.value)
        )


def allowed_roles(permission: Permission) -> list[str]:
    """Return the roles that allow something, the mightiest first."""
    return [role for role in ALLOWED if permission in ALLOWED[role]]


def describe_allowed(permission: Permission) -> str:
    """Return who may do something, as "owners and admins"."""
    labels = [str(PLURALS[role]) for role in allowed_roles(permission)]
    return join_and(labels)


PLURALS: dict[str, str | Promise] = {
    Role.OWNER: _("owners"),
    Role.ADMIN: _("admins"),
    Role.MEMBER: _("members"),
    Role.BILLING: _("billing managers"),
    Role.VIEWER: _("viewers"),
}


def requires[View: Callable[..., object]](
    permission: Permission = P.EDIT_WORKSPACE, *, to_read: Permission = P.READ
) -> Callable[[View], View]:
    """Mark what a page needs of a person who sends it a form, and who reads it. `member_required` asks."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        view.permission_to_read = to_read  # type: ignore[attr-defined]
        return view

    return mark


def needed_by_scope(scope: Scope | None, *, is_change: bool) -> Permission:
    """Return what an operation with a scope needs of a person, if it does not say."""
    if scope is None:
        return P.EDIT_WORKSPACE if is_change else P.READ
    if is_change:
        return NEEDED_TO_CHANGE.get(scope, P.EDIT_WORKSPACE)
    return NEEDED_TO_READ.get(scope, P.READ)


def find_role(user: User, tenant: Tenant) -> str | None:
    """Return a person's role in a workspace, or None for a stranger."""
    return Membership.objects.filter(user=user, tenant=tenant).values_list("role", flat=True).first()
