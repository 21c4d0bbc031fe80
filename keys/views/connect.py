"""The page on which a member confirms the login of a command line."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from core import rates
from core.errors import DomainError
from core.rest.errors import TooManyRequests
from keys import device_logins
from keys.actions import grantable_scopes
from keys.device_logins import LoginOver, TooManyCodes, WaitingLogin
from tenants import current
from tenants.access import MemberRequest, access_of, member_required
from tenants.models import Scope
from tenants.roles import Permission, requires

CODES_PER_MINUTE = 10  # that a person may try
MAX_CODE = 20  # characters


@require_GET
@never_cache
@member_required
@requires(to_read=Permission.MAKE_KEYS)
def show_login(request: MemberRequest) -> HttpResponse:
    """Ask for a code; once it is entered, show the program's request."""
    code = request.GET.get("code", "")[:MAX_CODE]
    login = None
    error = ""
    if code:
        try:
            login = _find(request, code)
        except DomainError as failure:
            error = failure.message
    return _page(request, login, code=code, error=error)


@require_POST
@member_required
@requires(Permission.MAKE_KEYS)
def decide_login(request: MemberRequest) -> HttpResponse:
    """Approve or deny a login."""
    code = request.POST.get("code", "")[:MAX_CODE]
    scopes = request.POST.getlist("scopes")
    if request.POST.get("workspace", request.tenant.slug) != request.tenant.slug:
        raise Http404  # another workspace was opened meanwhile, in another tab
    login = None
    try:
        login = _find(request, code)
        if request.POST.get("decision") == device_logins.APPROVED:
            device_logins.approve_login(login, scopes, by=access_of(request))
            said = gettext("“{name}” is now logged in to {tenant}. Return to your terminal.")
            messages.success(request, said.format(name=login.name, tenant=request.tenant.name))
        else:
            device_logins.deny_login(login, by=access_of(request))
            messages.success(request, gettext("The login of “{name}” was denied.").format(name=login.name))
    except DomainError as failure:
        still_waits = None if isinstance(failure, LoginOver) else login
        return _page(request, still_waits, code=code, error=failure.message, status=400)
    return redirect("keys:keys")


def _find(request: MemberRequest, code: str) -> WaitingLogin:
    """Return the login of a code, of which a person may try a few a minute.

    Raises LoginOver and TooManyCodes.
    """
    try:
        rates.take(f"login code:{request.user.pk}", CODES_PER_MINUTE)
    except TooManyRequests as failure:
        raise TooManyCodes from failure
    return device_logins.find_login(code)


def _page(
    request: MemberRequest, login: WaitingLogin | None, *, code: str, error: str, status: int = 200
) -> HttpResponse:
    grantable = grantable_scopes(access_of(request))
    asked = [Scope(scope) for scope in login.scopes] if login else []
    others = [one.tenant for one in current.list_memberships(request) if one.tenant_id != request.tenant.pk]
    context = {
        "login": login,
        "code": code,
        "error": error,
        "scopes": [scope for scope in asked if scope in grantable],
        "left_out": [scope for scope in asked if scope not in grantable],
        "others": others,
    }
    return render(request, "keys/connect.html", context, status=status)
