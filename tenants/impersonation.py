"""An operator looks at a workspace as its owner sees it: for half an hour, and without changing it.

The session holds the workspace. While it does, that one is open instead of the operator's own; config's
middleware refuses whatever would change something.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest

from core.errors import NotFound
from tenants.audit import record_audit
from tenants.models import Tenant, User

SESSION_KEY = "impersonation"  # of the session: {"tenant": its id, "until": seconds since the epoch}
IMPERSONATION_LASTS_S = 30 * 60
PERMISSION = "tenants.change_tenant"


class NothingToSee(NotFound):
    """This workspace was deleted and can't be opened."""


@dataclass(frozen=True)
class Impersonation:
    """An impersonation that was begun, whether or not its time is over."""

    tenant_id: UUID
    until: datetime

    @property
    def is_over(self) -> bool:
        return self.until.timestamp() <= time.time()


def begin_impersonation(request: HttpRequest, tenant: Tenant) -> Impersonation:
    """Open a workspace in this session, to read. Raises NothingToSee for a deleted one."""
    if tenant.deleted_at:
        raise NothingToSee
    until_s = int(time.time()) + IMPERSONATION_LASTS_S
    request.session[SESSION_KEY] = {"tenant": str(tenant.pk), "until": until_s}
    forget_memberships(request)
    return Impersonation(tenant.pk, datetime.fromtimestamp(until_s, UTC))


def end_impersonation(request: HttpRequest, *, reason: str = "") -> Tenant | None:
    """Close what is open, and write that into the audit log; return the workspace, None where none was."""
    begun = read_impersonation(request)
    request.session.pop(SESSION_KEY, None)
    forget_memberships(request)
    tenant = Tenant.objects.filter(pk=begun.tenant_id).first() if begun else None
    if tenant and isinstance(request.user, User):
        address = request.META.get("REMOTE_ADDR") or None
        record_audit(request.user, action="impersonation.ended", row=tenant, reason=reason, address=address)
    return tenant


def read_impersonation(request: HttpRequest) -> Impersonation | None:
    """Return the impersonation of this session, also one that is over; no query."""
    kept = request.session.get(SESSION_KEY) if hasattr(request, "session") else None
    if not kept:
        return None
    return Impersonation(UUID(kept["tenant"]), datetime.fromtimestamp(kept["until"], UTC))


def find_seen_tenant(request: HttpRequest) -> Tenant | None:
    """Return the workspace that an operator looks at now; None for a former operator."""
    begun = read_impersonation(request)
    user = request.user
    if begun is None or begun.is_over or not isinstance(user, User):
        return None
    if not (user.is_active and user.is_staff and user.has_perm(PERMISSION)):
        return None
    return Tenant.objects.filter(pk=begun.tenant_id, deleted_at=None).first()


def forget_memberships(request: HttpRequest) -> None:
    """Let the request read anew which workspace is open."""
    request._memberships = None  # type: ignore[attr-defined]
