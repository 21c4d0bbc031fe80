"""The client's address behind proxies: read from `X-Forwarded-For` only where a trusted proxy sent it."""

from typing import Any

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def behind_trusted_proxies(app: Any) -> ProxyHeadersMiddleware:
    """Return an ASGI application that sees the client's address, not its proxy's, as the scope's `client`.

    Everything that limits by address (sign-up, login, the API) reads that. An address that is not in
    TRUSTED_PROXIES is the client itself, whatever headers it sends.
    """
    return ProxyHeadersMiddleware(app, trusted_hosts=settings.TRUSTED_PROXIES)
