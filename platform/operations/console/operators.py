"""Sessions of operators: a second factor before the console, and eight hours at most."""

import time

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.httpkit import add_query_params
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.urls import reverse

from core.guards import guarded_by

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


def _end_old_session(request: HttpRequest) -> None:
    """Log an operator out eight hours after the login, also an active one."""
    if not (request.user.is_authenticated and request.user.is_staff):
        return
    ends_at = request.session.get(SESSION_ENDS_AT)
    if ends_at is None:
        request.session[SESSION_ENDS_AT] = int(time.time()) + SESSION_S
    elif ends_at < time.time():
        logout(request)


operator_sessions = guarded_by(_end_old_session)  # it stands after AuthenticationMiddleware
