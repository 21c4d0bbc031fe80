"""The site's front: `/v1/…` goes to the thin data plane, everything else to Django."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402

from config.proxies import behind_trusted_proxies  # noqa: E402
from inference.api.app import app, lifespan  # noqa: E402

pages = ASGIHandler()
OF_THE_API = ("/v1", "/health")


async def site(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer HTTP; refuse what is neither HTTP nor the server's own lifespan."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "http" and (scope["path"].startswith("/v1/") or scope["path"] in OF_THE_API):
        await app(scope, receive, send)
    elif scope["type"] == "http":
        await pages(scope, receive, send)


application = behind_trusted_proxies(site)
