"""CORS: pages of which origins may call the API from a browser (`API_ALLOWED_ORIGINS`).

An API key travels in a header, never in a cookie, so no answer depends on who is signed in in that browser.
"""

from django.conf import settings

from inference.contract.http_errors import Headers

ANY = "*"
HEADERS = {
    "authorization",
    "content-type",
    "accept",
    "x-api-key",
    "x-request-id",
    "idempotency-key",
    "user-agent",  # clients set it, and Firefox and Safari ask for it
}
CLIENT_HEADER_PREFIXES = ("anthropic-", "mcp-", "openai-", "x-stainless-")
EXPOSED = (
    "x-request-id, request-id, retry-after, x-should-retry, openai-processing-ms, idempotent-replayed, "
    "x-adapter-state, x-polyscribe-style, x-polyscribe-style-version, x-polyscribe-adapter-sha256, "
    "x-polyscribe-base-model, x-polyscribe-engine, x-polyscribe-first-request, "
    "x-polyscribe-tool-choice, x-polyscribe-sampling, x-polyscribe-watermark, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
MAX_AGE_S = 7200  # the longest that Chromium keeps a preflight


def origin_headers(origin: str) -> Headers:
    """Return the CORS headers of any answer to a page of this origin; none if it isn't allowed."""
    allowed = settings.API_ALLOWED_ORIGINS
    if not origin or not (ANY in allowed or origin in allowed):
        return []
    allowed_origin = ANY if ANY in allowed else origin
    return [
        (b"access-control-allow-origin", allowed_origin.encode("latin-1")),
        (b"access-control-expose-headers", EXPOSED.encode()),
        (b"vary", b"origin"),
    ]


def preflight_headers(requested_headers: str, methods: str) -> Headers:
    """Return the further headers of a preflight's answer: a page may send those headers that we read."""
    requested = [name.strip().lower() for name in requested_headers.split(",")]
    known = [name for name in requested if name in HEADERS or name.startswith(CLIENT_HEADER_PREFIXES)]
    return [
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", ", ".join(known).encode("latin-1")),
        (b"access-control-max-age", b"%d" % MAX_AGE_S),
    ]
