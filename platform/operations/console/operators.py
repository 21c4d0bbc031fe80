"""Sessions of operators: a second factor before the console, and eight hours at most."""

import time
from functools import partial

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.httpkit import add_query_params
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.middleware import Steps, in_steps
from tenants.current import end_impersonation, read_impersonation

SESSION_S = 8 * 60 * 60
SESSION_ENDS_AT = "operator_until"  # a key of the session: seconds since the epoch


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether this session showed a second factor that still counts, or the site needs none.

    A factor that was removed, because a phone was stolen, lets its sessions in no more.
    """
    if not settings.OPERATOR_MFA:
        return True
    records = get_authentication_records(request, request.user)
    shown = [record.get("id") for record in records if record.get("method") == "mfa"]
    return bool(shown) and Authenticator.objects.filter(user=request.user, pk__in=shown).exists()


def second_factor_page(request: HttpRequest) -> str:
    """Return the page where an operator shows a second factor, or sets one up."""
    query = {"next": reverse("admin:index")}
    if is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
        return str(add_query_params(reverse("mfa_reauthenticate"), query))
    if is_mfa_enabled(request.user, [Authenticator.Type.WEBAUTHN]):
        return str(add_query_params(reverse("mfa_reauthenticate_webauthn"), query))
    return reverse("mfa_index")


@in_steps
def operator_sessions(request: HttpRequest) -> Steps:
    """End old sessions of operators. It stands after AuthenticationMiddleware."""
    if settings.SESSION_COOKIE_NAME in request.COOKIES:  # visitors have none, and a thread costs time
        yield partial(_end_old_session, request)
    response: HttpResponse = yield None
    return response


def _end_old_session(request: HttpRequest) -> None:
    """Log an operator out eight hours after the login, also an active one."""
    if not (request.user.is_authenticated and request.user.is_staff):
        return
    ends_at = request.session.get(SESSION_ENDS_AT)
    if ends_at is None:
        request.session[SESSION_ENDS_AT] = int(time.time()) + SESSION_S
    elif ends_at < time.time():
        logout(request)


# While an operator impersonates an owner, nothing outside the console is changed.

READS = ("GET", "HEAD", "OPTIONS")
REFUSED = _("You're viewing this workspace as its owner, so nothing can be changed. Stop viewing first.")
CLOSED = _("This is not available while you view a workspace as its owner: it's for the owner only.")


@in_steps
def read_only_impersonation(request: HttpRequest) -> Steps:
    """Answer what would change something with a refusal. It stands after the middleware of sessions."""
    refusal: HttpResponse | None = None
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        refusal = yield partial(_refuse_changes, request)
    response: HttpResponse = refusal or (yield None)
    return response


def _refuse_changes(request: HttpRequest) -> HttpResponse | None:
    """Return the refusal of what would change something during an impersonation; end one that is over."""
    impersonation = read_impersonation(request)
    if impersonation is None:
        return None
    if impersonation.is_over or not has_second_factor(request):
        reason = "Time expired." if impersonation.is_over else "The second factor was removed."
        end_impersonation(request, reason=reason)
        return None
    if request.path == reverse("account_logout") and request.method == "POST":
        end_impersonation(request, reason="Logged out.")
    if request.path.startswith(_open_paths()):
        return None
    if request.method not in READS:
        return _refuse(request, str(REFUSED))
    if request.path.startswith(_closed_paths()):
        return _refuse(request, str(CLOSED))
    return None


def _refuse(request: HttpRequest, sentence: str) -> HttpResponse:
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"errors": {"__all__": [sentence]}}, status=403)
    return render(request, "impersonation_refused.html", {"refused": sentence}, status=403)


def _open_paths() -> tuple[str, ...]:
    """Return where forms work all the same: the console, and the log-out."""
    return reverse("admin:index"), reverse("account_logout")


def _closed_paths() -> tuple[str, ...]:
    """Return where reading gives away too much.

    Addresses of webhooks are as good as passwords, the API signs uploads, and the portal opens an account
    at the payment provider's.
    """
    return "/api/", reverse("events:webhooks"), reverse("billing:payment_portal")
