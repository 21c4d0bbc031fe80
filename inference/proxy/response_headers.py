"""Headers of an answer: what is left of the limits, how near the style was, and what exactly answered."""

from functools import lru_cache

from inference.contract.http_errors import Headers, tier_header
from inference.contract.route import read_provenance
from inference.facts import AdapterTier, Rates

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
def provenance(serialized: str, engine: str, tier: AdapterTier, watermark: str) -> Headers:
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
