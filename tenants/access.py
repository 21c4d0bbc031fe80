"""Who acts in a workspace, and what they may do.

Pages let only members in, and show only their own workspace's rows. What changes something is audited.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from core.errors import NotAllowed
from core.pages import is_part_wanted
from tenants import current
from tenants.audit import record_audit
from tenants.models import ApiKey, Membership, Scope, Tenant, User
from tenants.roles import ALLOWED, Permission, RoleNotAllowed, allows, find_role, require_role

WORKSPACE_PARAMETER = "workspace"  # of links in mails: a person may have several
NOTHING_DONE = _("You were logged out, so nothing was saved. Log in and try again.")


class RoleAboveMaker(NotAllowed):
    """This API key can't grant or remove the role `{role}`, because its creator has a lower role. Use a key
    created by an owner."""

    code = "role_not_allowed"


class InsufficientScope(NotAllowed):
    """This API key lacks the scope `{scope}`. Create a key with it under API keys."""

    for_programs = "This API key lacks the scope `{scope}`. Create a key with it on the API keys page."


@dataclass(frozen=True)
class Access:
    """One request's workspace, and the person or the key that acts in it."""

    tenant: Tenant
    user: User | None = None
    key: ApiKey | None = None
    role: str | None = None  # a person's
    address: str | None = None

    @property
    def caller(self) -> str:
        """A name for the person or the key, for what is counted and kept by it."""
        return f"key:{self.key.pk}" if self.key else f"user:{self.user.pk if self.user else ''}"

    @property
    def maker(self) -> User | None:
        """The person who acts, or who made the key that acts: what the key makes is theirs, too."""
        return self.key.created_by if self.key else self.user

    def may(self, permission: Permission) -> bool:
        """Return whether a person's role allows something. Keys go by their scopes: see `require`."""
        return self.key is not None or allows(self.role, permission)

    def require(self, scope: Scope) -> None:
        """Raise InsufficientScope for a key that lacks a scope; people have the rights of their role."""
        if self.key and not {scope, Scope.ADMIN} & set(self.key.scopes):
            raise InsufficientScope(scope=scope.value)

    def require_permission(self, permission: Permission) -> None:
        """Raise RoleNotAllowed for a person whose role does not allow something."""
        if self.key is None:
            require_role(self.tenant, self.role, permission)

    def require_owner_rights(self) -> None:
        """Raise RoleNotAllowed or InsufficientScope for a caller who may not make, change or remove owners.

        A key that only manages members must not: an admin can make one, and would be an owner by it.
        """
        self.require_permission(Permission.MANAGE_OWNERS)
        self.require(Scope.ADMIN)

    def require_assignable(self, role: str) -> None:
        """Raise NotAllowed for a caller who may not give a role to somebody, nor take it from them.

        Only owners do so with owners. A key outlives its maker's role: it assigns nothing above the role that
        its maker has now. Where the maker has left, it assigns members and those below.
        """
        if role == Membership.Role.OWNER:
            self.require_owner_rights()
        if self.key is not None:
            maker_role = self.maker and find_role(self.maker, self.tenant)
            if not ALLOWED[role] <= ALLOWED[maker_role or Membership.Role.MEMBER]:
                raise RoleAboveMaker(role=role)

    def audit(
        self,
        action: str,
        row: Model,
        *,
        name: str = "",
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        """Record in the workspace's log what was done to a row. Call it in the transaction of the change."""
        record_audit(
            self.user,
            action=action,
            row=row,
            name=name,
            before=before,
            after=after,
            address=self.address,
            tenant=self.tenant,
            api_key=self.key,
        )


class MemberRequest(HttpRequest):
    """A request of a logged-in person who has a tenant."""

    user: User
    tenant: Tenant
    role: str


def member_required[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Return the view with `request.tenant` set.

    Strangers log in first; people without a tenant create one first, and operators without one go to the
    console. Views look their rows up through `request.tenant`, so that another tenant's row is a 404.
    A role that does not allow what the view `requires` gets a 403 with a sentence that says who can; a form
    of a view that says nothing is for owners and admins.
    """

    @wraps(view)
    def member_view(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return ask_to_log_in(request)
        member_request = cast(MemberRequest, request)
        membership = current.current_membership(request)
        if membership is None:
            is_operator = member_request.user.is_staff
            return redirect("admin:index" if is_operator else "website:create_workspace")
        named = request.GET.get(WORKSPACE_PARAMETER) if request.method in ("GET", "HEAD") else None
        if named and named != membership.tenant.slug:
            return _offer_switch(request, named)
        member_request.tenant = membership.tenant
        member_request.role = membership.role
        try:
            require_role(membership.tenant, membership.role, _needed(view, request))
        except RoleNotAllowed as error:
            return _refuse(request, error)
        current.record_seen(membership)
        return view(member_request, *args, **kwargs)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], member_view)


def _offer_switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Offer to open the workspace that a link names. Raises Http404 for one that is not the person's own."""
    own = {one.tenant.slug: one.tenant for one in current.list_memberships(request)}
    if slug not in own:
        raise Http404
    return render(request, "website/switch.html", {"wanted": own[slug]})


def _needed(view: Callable[..., object], request: HttpRequest) -> Permission:
    if request.method in ("GET", "HEAD"):
        return cast(Permission, getattr(view, "permission_to_read", Permission.READ))
    return cast(Permission, getattr(view, "permission", Permission.EDIT_WORKSPACE))


def _refuse(request: HttpRequest, error: RoleNotAllowed) -> HttpResponse:
    """Answer a script with the sentence in JSON. Raises PermissionDenied for the page that says it."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=403)
    raise PermissionDenied(error.message)


def ask_to_log_in(request: HttpRequest) -> HttpResponse:
    """Send a visitor to the login, and from there to the page that was open.

    What a form is sent to takes no GET, and a part of a page is no page: so back to where they stand.
    """
    is_part = is_part_wanted(request)
    page = request.get_full_path()
    if is_part:
        page = _own_page(request, request.headers.get("HX-Current-URL", ""))
    elif request.method not in ("GET", "HEAD"):
        page = _own_page(request, request.headers.get("Referer", ""))
        messages.warning(request, NOTHING_DONE)
    login = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page}, safe='/')}"
    # htmx would follow a redirect by itself, and put the login into the part.
    return HttpResponse(headers={"HX-Redirect": login}) if is_part else redirect(login)


def _own_page(request: HttpRequest, address: str) -> str:
    """Return the path of a page of this site; of any other address, the first page after a login."""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    parts = urlsplit(address)
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def access_of(request: MemberRequest) -> Access:
    """Return who acts through a page, with the role that the page was opened by."""
    address = request.META.get("REMOTE_ADDR") or None
    return Access(tenant=request.tenant, user=request.user, role=request.role, address=address)


def access_of_person(user: User, tenant: Tenant, *, address: str | None) -> Access:
    """Return a person's access to a workspace, with the role that they have at this moment."""
    return Access(tenant=tenant, user=user, role=find_role(user, tenant), address=address)
