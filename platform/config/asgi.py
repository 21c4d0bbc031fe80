"""The whole site: `/mcp` goes to its own app, `/v1/…` to the thin data plane, everything else to Django."""

import io
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.handlers.asgi import ASGIHandler, ASGIRequest  # noqa: E402
from django.utils import translation  # noqa: E402

from config.preloading import load_pages  # noqa: E402
from inference.asgi import ROOT_PATHS, app, is_site_path, lifespan  # noqa: E402
from inference.mcp.app import MCP, McpApp  # noqa: E402
from inference.server.proxies import behind_trusted_proxies  # noqa: E402
from inference.server.server import DEFAULT_LIMITS  # noqa: E402
from operations.settings_checks import refuse_half_configured  # noqa: E402
from training.openai_api.streaming import Uploads  # noqa: E402
from website.pages import answer_large_body  # noqa: E402

refuse_half_configured(sends_mail=True)
django_app = ASGIHandler()
uploads = Uploads(most_at_once=8)
UPLOADS = "/v1/files"
API_PATHS = ("/v1", *ROOT_PATHS)  # beside all that is under `/v1/`


type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer HTTP and the server's own lifespan; ignore everything else."""
    if scope["type"] == "lifespan":
        load_pages()  # before the lifespan leaves what is loaded out of garbage collections
        async with mcp.run():
            await lifespan(scope, receive, send)
    elif scope["type"] == "http":
        path = scope["path"]
        if path == UPLOADS and scope["method"] == "POST":
            await uploads(scope, receive, send)
        elif is_site_path(path):
            await pages(scope, receive, send)
        elif path.startswith("/v1/") or path in API_PATHS:
            await app(scope, receive, send)
        elif path.rstrip("/") == MCP:
            await mcp(scope, receive, send)
        else:
            await pages(scope, receive, send)


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by Django. A body that the server wouldn't read to its end is answered before, with a page."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    if not declared.isdigit() or int(declared) <= DEFAULT_LIMITS.body_bytes:
        await django_app(scope, receive, send)
        return
    request = ASGIRequest(scope, io.BytesIO())
    with translation.override(translation.get_language_from_request(request)):
        answer = answer_large_body(request)
    await django_app.send_response(answer, send)


mcp = McpApp(site)  # its tools call the API within the process
application = behind_trusted_proxies(site, settings.TRUSTED_PROXIES)
