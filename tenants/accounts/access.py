"""Who may see a page: members of a tenant, and only their own tenant's things."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenants.models import Tenant, User


class MemberRequest(HttpRequest):
    """A request of somebody who is logged in and has a tenant."""

    user: User
    tenant: Tenant


def member_required[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Return the view with `request.tenant` set. Strangers log in first; who has no tenant founds one.

    Views look their rows up through `request.tenant`, so that another tenant's row is a 404.
    """

    @wraps(view)
    def member(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        own = cast(MemberRequest, request)
        tenant = Tenant.objects.of(own.user).first()
        if tenant is None:
            return redirect("tenants:create_workspace")
        own.tenant = tenant
        return view(own, *args, **kwargs)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], login_required(member))
