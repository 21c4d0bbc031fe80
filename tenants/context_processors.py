"""Variables of every template."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants import current
from tenants.models import Membership, Tenant
from tenants.roles import Permission, allows


def tenant(request: HttpRequest) -> dict[str, object]:
    """Return the workspace that is open, what its visitor may do there, and their other workspaces.

    They query the database only when a template shows them: one query for all.
    `may` has a truth for each permission: `{% if may.change_styles %}`.
    """
    return {
        "tenant": SimpleLazyObject(lambda: _find_tenant(request)),
        "may": SimpleLazyObject(lambda: _list_rights(request)),
        "other_workspaces": SimpleLazyObject(lambda: _list_others(request)),
        "impersonation": SimpleLazyObject(lambda: _find_impersonation(request)),
    }


def _find_impersonation(request: HttpRequest) -> current.Impersonation | None:
    """Return the impersonation of an owner by an operator, which each page says; no query."""
    begun = current.read_impersonation(request)
    return None if begun is None or begun.is_over else begun


def _find_membership(request: HttpRequest) -> Membership | None:
    # Some error pages come from before the session was read.
    is_known = hasattr(request, "user") and request.user.is_authenticated
    return current.current_membership(request) if is_known else None


def _find_tenant(request: HttpRequest) -> Tenant | None:
    found: Tenant | None = getattr(request, "tenant", None)  # `member_required` set it
    if found is not None:
        return found
    membership = _find_membership(request)
    return membership.tenant if membership else None


def _list_rights(request: HttpRequest) -> dict[str, bool]:
    role: str | None = getattr(request, "role", None)
    if role is None:
        membership = _find_membership(request)
        role = membership.role if membership else None
    return {permission.name.lower(): allows(role, permission) for permission in Permission}


def _list_others(request: HttpRequest) -> list[Tenant]:
    membership = _find_membership(request)
    if membership is None:
        return []
    memberships = current.list_memberships(request)
    return [one.tenant for one in memberships if one.tenant_id != membership.tenant_id]
