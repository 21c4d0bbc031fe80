"""Which of a person's workspaces is open: the session's, else the one that was open last, else the oldest.

A login takes the one that was open last. From then on, a switch in another browser doesn't change it.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from core.errors import NotFound
from tenants.audit import record_audit
from tenants.models import Membership, Tenant, User

# An operator impersonates a workspace's owner: for half an hour, and without changing anything.
#
# The session holds the workspace. While it does, that one is open instead of the operator's own; a middleware
# (operations/console/operators.py) refuses whatever would change something.

IMPERSONATION_KEY = "impersonation"  # of the session: {"tenant": its id, "until": seconds since the epoch}
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
    request.session[IMPERSONATION_KEY] = {"tenant": str(tenant.pk), "until": until_s}
    forget_memberships(request)
    return Impersonation(tenant.pk, datetime.fromtimestamp(until_s, UTC))


def end_impersonation(request: HttpRequest, *, reason: str = "") -> Tenant | None:
    """Close what is open, and write that into the audit log; return the workspace, None where none was."""
    begun = read_impersonation(request)
    request.session.pop(IMPERSONATION_KEY, None)
    forget_memberships(request)
    tenant = Tenant.objects.filter(pk=begun.tenant_id).first() if begun else None
    if tenant and isinstance(request.user, User):
        address = request.META.get("REMOTE_ADDR") or None
        record_audit(request.user, action="impersonation.ended", row=tenant, reason=reason, address=address)
    return tenant


def read_impersonation(request: HttpRequest) -> Impersonation | None:
    """Return the impersonation of this session, also one that is over; no query."""
    kept = request.session.get(IMPERSONATION_KEY) if hasattr(request, "session") else None
    if not kept:
        return None
    return Impersonation(UUID(kept["tenant"]), datetime.fromtimestamp(kept["until"], UTC))


def find_impersonated_tenant(request: HttpRequest) -> Tenant | None:
    """Return the workspace whose owner an operator impersonates now; None for a former operator."""
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


SESSION_KEY = "workspace"  # of the session: the workspace's id
SEEN_EVERY = timedelta(minutes=10)


def current_membership(request: HttpRequest) -> Membership | None:
    """Return a person's place in the workspace that is open, or None for somebody who has none."""
    memberships = list_memberships(request)
    by_workspace = {str(one.tenant_id): one for one in memberships}
    user = request.user
    session_choice = request.session.get(SESSION_KEY, "")
    last_choice = str(user.default_workspace_id) if isinstance(user, User) else ""
    chosen = by_workspace.get(session_choice) or by_workspace.get(last_choice)
    return chosen or (memberships[0] if memberships else None)


def begin_session(request: HttpRequest) -> None:
    """Have a new session keep the workspace that was open last."""
    membership = current_membership(request)
    if membership:
        request.session[SESSION_KEY] = str(membership.tenant_id)


def list_memberships(request: HttpRequest) -> list[Membership]:
    """Return a person's memberships, the oldest workspace first; one query a request.

    An operator who impersonates an owner has that workspace alone, in a row that is never saved.
    """
    user = request.user
    if not isinstance(user, User):
        return []
    found: list[Membership] | None = getattr(request, "_memberships", None)
    if found is None:
        impersonated = find_impersonated_tenant(request)
        if impersonated:
            found = [Membership(tenant=impersonated, user=user, role=Membership.Role.OWNER)]
        else:
            found = list(Membership.objects.open_to(user))
        request._memberships = found  # type: ignore[attr-defined]
    return found


def open_workspace(request: HttpRequest, user: User, tenant_id: UUID) -> None:
    """Open a workspace in this session, and in the person's next ones. The caller checks the membership."""
    request.session[SESSION_KEY] = str(tenant_id)
    User.objects.filter(pk=user.pk).update(default_workspace=tenant_id)
    request._memberships = None  # type: ignore[attr-defined]


def record_seen(membership: Membership) -> None:
    """Note that a person opened a page, to ten minutes: a write for each page would be one too many."""
    now = timezone.now()
    seen_at = membership.last_seen_at
    if seen_at is None or seen_at < now - SEEN_EVERY:
        Membership.objects.filter(pk=membership.pk).update(last_seen_at=now)
