"""A gateway process: `/v1/…` alone. It takes half of what the whole site takes, and scales by itself.

The server knows the client's address behind trusted proxies: see config/serve.py.
"""

import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "config.gateway_settings"
django.setup()

from inference.asgi import app, lifespan  # noqa: E402
from operations.settings_checks import refuse_half_configured  # noqa: E402

refuse_half_configured()


@inspect.markcoroutinefunction
def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> Coroutine[Any, Any, None]:
    """Answer every HTTP request as the API does, also an unknown path; ignore what is not HTTP."""
    if scope["type"] == "lifespan":
        return lifespan(scope, receive, send)
    return app(scope, receive, send) if scope["type"] == "http" else _ignore()


async def _ignore() -> None:
    """Answer nothing: this is no HTTP."""
