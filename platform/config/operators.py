"""Operators' sessions: a second factor before the console, and eight hours at most."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.httpkit import add_query_params
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import sync_and_async_middleware

SESSION_S = 8 * 60 * 60
UNTIL = "operator_until"  # seconds since the epoch


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether this session showed a second factor, or none is asked for (OPERATOR_MFA)."""
    if not settings.OPERATOR_MFA:
        return True
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == "mfa" for record in records)


def second_factor_page(request: HttpRequest) -> str:
    """Return where an operator shows a second factor, or sets one up, before the console opens."""
    here = {"next": reverse("admin:index")}
    if is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
        return str(add_query_params(reverse("mfa_reauthenticate"), here))
    if is_mfa_enabled(request.user, [Authenticator.Type.WEBAUTHN]):
        return str(add_query_params(reverse("mfa_reauthenticate_webauthn"), here))
    return reverse("mfa_index")


def _end_if_over(request: HttpRequest) -> None:
    """Log an operator out whose login is more than eight hours ago, whatever was done meanwhile."""
    if not (request.user.is_authenticated and request.user.is_staff):
        return
    until = request.session.get(UNTIL)
    if until is None:
        request.session[UNTIL] = int(time.time()) + SESSION_S
    elif until < time.time():
        logout(request)


@sync_and_async_middleware
def operator_sessions(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Bound the sessions of operators. It stands after AuthenticationMiddleware."""
    if iscoroutinefunction(get_response):

        async def bounded_async(request: HttpRequest) -> HttpResponseBase:
            await sync_to_async(_end_if_over, thread_sensitive=True)(request)
            waiting: Awaitable[HttpResponseBase] = get_response(request)
            return await waiting

        return bounded_async

    def bounded(request: HttpRequest) -> HttpResponseBase:
        _end_if_over(request)
        answer: HttpResponseBase = get_response(request)
        return answer

    return bounded
