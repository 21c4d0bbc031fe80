"""The client's address behind proxies: `X-Forwarded-For` is believed only from a trusted proxy."""

from typing import Any

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def behind_trusted_proxies(app: Any) -> ProxyHeadersMiddleware:
    """Return an ASGI application whose scope holds the client's address, not its proxy's, as `client`.

    Every limit by address (sign-up, login, the API) reads it. An address that is not in TRUSTED_PROXIES is
    the client itself, whatever headers it sends.
    """
    return ProxyHeadersMiddleware(app, trusted_hosts=settings.TRUSTED_PROXIES)
