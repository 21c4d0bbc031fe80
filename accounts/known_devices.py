"""Browsers in which a person logged in before: wrong passwords from elsewhere do not lock those out.

The cookie names the account and proves its password at that time: a new password ends it. It lets nobody in,
it only has a count of wrong passwords of its own.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from tenants.models import User

COOKIE = "known_device"
SALT = "tenants.known-device"
COOKIE_LASTS_S = 180 * 24 * 3600


def remember_device(response: HttpResponse, user: User) -> None:
    """Give the browser in which a person has just logged in its cookie."""
    value = signing.dumps([str(user.pk), user.get_session_auth_hash(), secrets.token_urlsafe(12)], salt=SALT)
    response.set_cookie(
        COOKIE,
        value,
        max_age=COOKIE_LASTS_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def read_device(request: HttpRequest, email: str) -> str | None:
    """Return the id of the request's device if this account logged in there with today's password."""
    try:
        user_id, password_proof, device_id = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_LASTS_S
        )
    except (signing.BadSignature, ValueError):
        return None
    user = User.objects.filter(pk=user_id, email__iexact=email).first()
    if user is None or not constant_time_compare(password_proof, user.get_session_auth_hash()):
        return None
    return str(device_id)
