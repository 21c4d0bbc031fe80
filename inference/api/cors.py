"""CORS: which pages of other sites may call the API from a browser (`API_ALLOWED_ORIGINS`).

Keys travel in headers, never in cookies, so no answer depends on who else is signed in in that browser.
"""

from django.conf import settings

from inference.contract.http_errors import Headers

ANY = "*"
HEADERS = {"authorization", "content-type", "accept", "x-api-key", "x-request-id", "idempotency-key"}
HEADERS_OF_CLIENTS = ("anthropic-", "openai-", "x-stainless-")
EXPOSED = (
    "x-request-id, request-id, retry-after, x-should-retry, openai-processing-ms, idempotent-replayed, "
    "x-adapter-state, x-polyscribe-style, x-polyscribe-style-version, x-polyscribe-adapter-sha256, "
    "x-polyscribe-base-model, x-polyscribe-engine, x-polyscribe-first-request, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
REMEMBERED_FOR_S = 7200  # the most that Chromium keeps a preflight


def headers(origin: str) -> Headers:
    """Return the headers of any answer to a page of this origin; none where it isn't allowed."""
    allowed = settings.API_ALLOWED_ORIGINS
    if not origin or not (ANY in allowed or origin in allowed):
        return []
    named = ANY if ANY in allowed else origin
    return [
        (b"access-control-allow-origin", named.encode("latin-1")),
        (b"access-control-expose-headers", EXPOSED.encode()),
        (b"vary", b"origin"),
    ]


def preflight(wanted_headers: str, methods: str) -> Headers:
    """Return what a preflight's answer says besides: of the headers that a page wants to send, the known."""
    wanted = [name.strip().lower() for name in wanted_headers.split(",")]
    known = [name for name in wanted if name in HEADERS or name.startswith(HEADERS_OF_CLIENTS)]
    return [
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", ", ".join(known).encode("latin-1")),
        (b"access-control-max-age", b"%d" % REMEMBERED_FOR_S),
    ]
