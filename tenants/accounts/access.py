"""Who acts in a workspace, and what they may do.

Pages let only members in, and show only their own workspace's rows. What changes something is audited.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, cast

from django.contrib.auth.decorators import login_required
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from foundation.errors import NotAllowed
from tenants.audit import record_audit
from tenants.models import ApiKey, Membership, Scope, Tenant, User


class InsufficientScope(NotAllowed):
    """This API key lacks the scope `{scope}`. Make a key with it on the page "API keys"."""

    code = "insufficient_scope"


class OwnersOnly(NotAllowed):
    """Only an owner of the workspace can do this. Ask an owner."""

    code = "owners_only"


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

    def require(self, scope: Scope) -> None:
        """Raise InsufficientScope for a key that lacks a scope; people have the rights of their role."""
        if self.key and not {scope, Scope.ADMIN} & set(self.key.scopes):
            raise InsufficientScope(scope=scope.value)

    def require_owner(self, scope: Scope = Scope.ADMIN) -> None:
        """Raise OwnersOnly for a person who is no owner, InsufficientScope for a key without the scope."""
        self.require(scope)
        if self.user and self.role != Membership.Role.OWNER:
            raise OwnersOnly

    def audit(
        self,
        action: str,
        row: Model,
        *,
        name: str = "",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
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


def member_required[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Return the view with `request.tenant` set.

    Strangers log in first; people without a tenant create one first. Views look their rows up through
    `request.tenant`, so that another tenant's row is a 404.
    """

    @wraps(view)
    def member_view(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        member_request = cast(MemberRequest, request)
        tenant = Tenant.objects.of(member_request.user).first()
        if tenant is None:
            return redirect("tenants:create_workspace")
        member_request.tenant = tenant
        return view(member_request, *args, **kwargs)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], login_required(member_view))


def access_of(request: MemberRequest) -> Access:
    """Return who acts through a page."""
    return access_of_person(request.user, request.tenant, address=request.META.get("REMOTE_ADDR") or None)


def access_of_person(user: User, tenant: Tenant, *, address: str | None) -> Access:
    """Return a person's access to a workspace, with the role that they have at this moment."""
    roles = Membership.objects.filter(tenant=tenant, user=user).values_list("role", flat=True)
    return Access(tenant=tenant, user=user, role=roles.first(), address=address)
