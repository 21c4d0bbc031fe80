"""Let only members of a tenant see a page, and only their own tenant's rows."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenants.models import Tenant, User


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
