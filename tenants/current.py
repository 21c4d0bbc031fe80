"""Which of a person's workspaces is open: the session's, else the one that was open last, else the oldest.

A login takes the one that was open last. From then on, a switch in another browser doesn't change it.
"""

from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from tenants import impersonation
from tenants.models import Membership, User

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

    An operator who looks at a workspace has that one alone, as its owner, in a row that is never saved.
    """
    user = request.user
    if not isinstance(user, User):
        return []
    found: list[Membership] | None = getattr(request, "_memberships", None)
    if found is None:
        seen = impersonation.find_seen_tenant(request)
        if seen:
            found = [Membership(tenant=seen, user=user, role=Membership.Role.OWNER)]
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
