"""What HTTP says: one table from errors to statuses, in OpenAI's form, and the headers of answers."""

import json
from functools import lru_cache

from core.errors import DomainError, TooManyRequests
from inference import errors
from inference.contract.route import NEAREST, read_provenance
from inference.facts import AdapterTier, Rates

type Headers = list[tuple[bytes, bytes]]

# (error, status, type). The first row that matches counts.
TABLE: tuple[tuple[type[DomainError], int, str], ...] = (
    (errors.RequestFailed, 502, "api_error"),
    (errors.EngineDied, 502, "api_error"),
    (errors.TooLarge, 413, "invalid_request_error"),
    (errors.UnknownEncoding, 415, "invalid_request_error"),
    (errors.UnknownMediaType, 415, "invalid_request_error"),
    (errors.WrongMethod, 405, "invalid_request_error"),
    (errors.Invalid, 400, "invalid_request_error"),
    (errors.UnknownKey, 401, "invalid_request_error"),
    (errors.NotAllowed, 403, "permission_error"),
    (errors.NotFound, 404, "invalid_request_error"),
    (errors.Conflict, 409, "invalid_request_error"),
    (errors.QuotaExhausted, 429, "insufficient_quota"),
    (errors.TooLargeForLimit, 429, "tokens"),
    (errors.StorageFull, 429, "insufficient_quota"),
    (errors.Limited, 429, "requests"),
    (TooManyRequests, 429, "requests"),
    (errors.Unavailable, 503, "service_unavailable_error"),
)
NOT_RETRYABLE = (
    errors.QuotaExhausted,
    errors.TooLargeForLimit,
    errors.TooManyAtOnce,
    errors.StorageFull,
    errors.KeyUsedOtherwise,
    errors.RequestFailed,
    errors.EngineDied,
    errors.SuspectRequest,
)
WAITABLE = (
    errors.Limited,
    TooManyRequests,
    errors.Unavailable,
    errors.KeyInUse,
    errors.ConversationLocked,
)
DEFAULT_RETRY_S = 2
WITHOUT_CODE = (errors.BadRequest, errors.TooLarge)


def status_and_type(error: DomainError) -> tuple[int, str]:
    """Return the HTTP status and OpenAI's error type."""
    for error_class, status, default_type in TABLE:
        if isinstance(error, error_class):
            limit_type = error.limit_type if isinstance(error, errors.Limited) else ""
            return status, limit_type or default_type
    return 500, "server_error"


def error(error: DomainError) -> tuple[int, bytes, Headers]:
    """Return an error's status, body and headers."""
    status, _ = status_and_type(error)
    return status, body(error), headers(error)


def body(error: DomainError) -> bytes:
    """Return `{"error": {...}}` with the four keys that clients expect."""
    _, error_type = status_and_type(error)
    failure = {
        "message": error.message,
        "type": error_type,
        "param": param_of(error),
        "code": None if isinstance(error, WITHOUT_CODE) else error.code,
    }
    return json.dumps({"error": failure}).encode()


def param_of(error: DomainError) -> str | None:
    """Return the field that an error is about, by its name in the client's dialect; None without one."""
    return error.param if isinstance(error, errors.FieldError) else None


def headers(error: DomainError) -> Headers:
    """Return the headers that tell a client whether and when to try again."""
    if isinstance(error, NOT_RETRYABLE):
        return [(b"x-should-retry", b"false")]
    if isinstance(error, WAITABLE):
        retry_s = error.facts.get("retry_s") or DEFAULT_RETRY_S
        retry_after = [(b"retry-after", str(retry_s).encode())]
        tier = error.tier if isinstance(error, errors.Overloaded) else None
        return retry_after + tier_header(tier) if tier else retry_after
    if isinstance(error, errors.UnknownKey):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, errors.WrongMethod):
        return [(b"allow", str(error.facts["allowed"]).encode())]
    return []


TIER_HEADERS: dict[AdapterTier, Headers] = {
    tier: [(b"x-adapter-state", tier.encode())] for tier in (*NEAREST, "loading")
}


def tier_header(tier: AdapterTier) -> Headers:
    """Return the header that says where the engine had the style: warm, cpu, disk; or loading."""
    return TIER_HEADERS[tier]


# Headers of an answer: what is left of the limits, how near the style was, and what exactly answered.

# No tool could be called, though the request let the model choose.
NO_TOOLS: Headers = [(b"x-polyscribe-tool-choice", b"none")]


def duration(milliseconds: float) -> str:
    """Return a duration as OpenAI writes it: `12ms`, `1.5s`, `6m0s`."""
    if milliseconds < 1000:
        return f"{int(milliseconds)}ms"
    minutes, seconds = divmod(milliseconds / 1000, 60)
    return f"{int(minutes)}m{int(seconds)}s" if minutes else f"{seconds:g}s"


def rate_headers(rates: Rates | None) -> Headers:
    """Return the six `x-ratelimit-*` headers from the numbers that admission gave."""
    if rates is None:
        return []
    return [
        (b"x-ratelimit-limit-requests", b"%d" % rates.requests_limit),
        (b"x-ratelimit-remaining-requests", b"%d" % max(0, rates.requests_left)),
        (b"x-ratelimit-reset-requests", duration(rates.requests_reset_ms).encode()),
        (b"x-ratelimit-limit-tokens", b"%d" % rates.tokens_limit),
        (b"x-ratelimit-remaining-tokens", b"%d" % max(0, rates.tokens_left)),
        (b"x-ratelimit-reset-tokens", duration(rates.tokens_reset_ms).encode()),
    ]


@lru_cache(maxsize=4096)
def provenance_headers(serialized: str, engine: str, tier: AdapterTier, watermark: str) -> Headers:
    """Return headers that say exactly what answered: style, version, adapter, base model, engine.

    They also say how near the adapter was there, and whether the answer is watermarked, "" for nothing. A
    version's answers by one engine nearly all have the same, so they are prepared once: nobody may change the
    list. Nothing that a client chose is among them, else one client could take all places.
    """
    answered = read_provenance(serialized)
    facts = {
        "style": answered.name,
        "style-version": answered.version,
        "adapter-sha256": answered.sha256,
        "base-model": answered.base_model,
        "engine": engine,
        "watermark": watermark,
    }
    named = [(f"x-polyscribe-{name}".encode(), str(value).encode()) for name, value in facts.items() if value]
    return tier_header(tier) + named
